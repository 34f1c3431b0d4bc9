//! Files that are not quite the reference's: refused by name where somebody
//! edited them, as foreign where they are another program's.

use mcp_state_sidecar::machine::Meta;
use mcp_state_sidecar::store::sqlite::{SqliteImport, SqliteOpenError, export_file};
use rusqlite::Connection;

use super::{copy_of, recorded};
use crate::common::{check_chain, get, open, soon};
use crate::files::{contents, refused};

#[test]
fn what_somebody_edited_is_refused_by_table_and_row() {
    for (edit, wanted) in [
        (
            "UPDATE kv_store SET value_json = '{''a'': 1}' WHERE key = 'flag'",
            "kv_store 'flag': value_json is not JSON",
        ),
        ("UPDATE kv_store SET value_json = X'00'", "value_json holds a value of type Blob"),
        ("UPDATE kv_store SET expires_at = 'soon'", "expires_at holds a value of type Text"),
        ("INSERT INTO kv_store VALUES (NULL, '1', NULL)", "key holds a value of type Null"),
        (
            "INSERT INTO kv_store VALUES (CAST(X'FF' AS TEXT), '1', NULL)",
            "kv_store '\u{fffd}': key is not UTF-8",
        ),
        (
            "UPDATE history SET new_value_json = '' WHERE id = 2",
            "history 2: new_value_json is not JSON",
        ),
        (
            "UPDATE history SET previous_value_json = '' WHERE id = 1",
            "history 1: previous_value_json is not JSON",
        ),
        (
            "UPDATE workflows SET status = 'paused' WHERE name = 'etl'",
            "workflows 'wf-c61834b90859': status is created, claimed",
        ),
        (
            "UPDATE workflows SET tags_json = '{\"n\": 1}' WHERE name = 'etl'",
            "workflows 'wf-c61834b90859': tags_json is not a JSON object of strings",
        ),
        ("UPDATE workflows SET last_step = 0.5", "last_step holds a value of type Real"),
        (
            "UPDATE step_outputs SET output_json = 'tru\ne' WHERE step = 2",
            "step_outputs 'wf-c61834b90859' step 2: output_json is not JSON",
        ),
        ("UPDATE sessions SET context_json = '['", "sessions 'chat-7': context_json is not JSON"),
        (
            "UPDATE sessions SET context_json = '[1]'",
            "sessions 'chat-7': context_json is a JSON object, not [1]",
        ),
    ] {
        let (_folder, file) = recorded();
        Connection::open(&file).unwrap().execute_batch(edit).unwrap();
        let error = refused(&file);
        assert!(matches!(error, SqliteOpenError::ForeignData { .. }), "{edit}: {error}");
        assert!(error.to_string().contains(wanted), "{edit}: {error}");
    }
}

#[test]
fn tables_that_only_look_alike_are_foreign() {
    for edit in [
        "CREATE TABLE notes (text TEXT)",
        "CREATE VIEW everything AS SELECT * FROM kv_store",
        "CREATE TRIGGER t AFTER INSERT ON kv_store BEGIN DELETE FROM leases; END",
        "ALTER TABLE kv_store ADD COLUMN owner TEXT",
        "ALTER TABLE kv_store DROP COLUMN expires_at",
        "ALTER TABLE kv_store RENAME TO kv",
        "DROP TABLE kv_store",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 7",
    ] {
        let (_folder, file) = recorded();
        Connection::open(&file).unwrap().execute_batch(edit).unwrap();
        let error = refused(&file);
        assert!(matches!(error, SqliteOpenError::Foreign(_)), "{edit}: {error}");
    }
}

#[tokio::test]
async fn an_index_of_somebodys_does_not_matter() {
    let (_folder, file) = recorded();
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("CREATE INDEX by_time ON history (written_at); ANALYZE").unwrap();
    conn.close().unwrap();
    let store = open(&file);
    check_chain(&store).await;
}

#[test]
fn a_damaged_file_is_not_converted() {
    let (_folder, file) = recorded();
    let sound = std::fs::read(&file).unwrap();
    for page in 1..sound.len() / 4096 {
        let mut damaged = sound.clone();
        damaged[page * 4096..page * 4096 + 64].fill(0xA5);
        std::fs::write(&file, damaged).unwrap();
        let error = refused(&file);
        assert!(matches!(error, SqliteOpenError::Damaged { .. }), "page {page}: {error}");
    }
}

#[tokio::test]
async fn an_import_or_export_does_not_convert_by_the_way() {
    let (folder, file) = recorded();
    let before = contents(folder.path());
    let refused = SqliteImport::begin(&file, Meta::default(), true).err().expect("refused");
    assert!(refused.to_string().contains("serve it once, and it is converted"), "{refused}");
    let refused = export_file(&file, soon()).await.err().expect("refused");
    assert!(refused.to_string().contains("serve it once, and it is converted"), "{refused}");
    assert!(contents(folder.path()) == before);
}

/// The reference stores them, and fails to read them ever after.
#[tokio::test]
async fn numbers_that_json_does_not_have_become_strings() {
    let (_folder, file) = recorded();
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("INSERT INTO kv_store VALUES ('n', '[NaN, -Infinity, \"NaN\"]', NULL)")
        .unwrap();
    conn.close().unwrap();
    let store = open(&file);
    let (value, _) = get(&store, "n").await;
    assert_eq!(value.as_deref(), Some(r#"["NaN", "-Infinity", "NaN"]"#));
    let copy = Connection::open(copy_of(&file)).unwrap();
    let kept: String = copy
        .query_row("SELECT value_json FROM kv_store WHERE key = 'n'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, r#"[NaN, -Infinity, "NaN"]"#);
}
