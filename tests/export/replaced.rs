//! The target: empty, or given up; else it stays as it was.

use mcp_state_sidecar::export::ExportOrigin;
use mcp_state_sidecar::machine::Command;
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::export::{Part, StoreImport};
use mcp_state_sidecar::store::sqlite::{SqliteImport, SqliteImportError};

use crate::state::*;

/// A file that holds the filled state.
async fn full(folder: &tempfile::TempDir) -> (std::path::PathBuf, Vec<u8>) {
    let file = folder.path().join("state.db");
    let out = export(&Memory::filled().await.store).await;
    import(&file, &out, false).await.unwrap();
    let bytes = export_of(&file).await;
    (file, bytes)
}

async fn other() -> Vec<u8> {
    let memory = Memory::new();
    submit(&memory.store, set("other", "1")).await;
    export(&memory.store).await
}

#[tokio::test]
async fn a_state_is_replaced_only_where_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (file, before) = full(&folder).await;
    let other = other().await;
    let meta = read(&other).unwrap().0.meta;
    let refused = SqliteImport::begin(&file, meta, false).err().unwrap();
    assert!(matches!(refused, SqliteImportError::NotEmpty { .. }), "{refused}");
    let line = refused.to_string();
    assert!(line.contains("its fencing tokens would fall"), "{line}");
    assert_eq!(export_of(&file).await, before);
    import(&file, &other, true).await.unwrap();
    assert_eq!(essence(&export_of(&file).await), essence(&other));
    // Upwards there is nothing to warn of.
    let meta = read(&before).unwrap().0.meta;
    let line = SqliteImport::begin(&file, meta, false).err().unwrap().to_string();
    assert!(line.contains("it holds 1 rows at revision 1") && !line.contains("fall"), "{line}");
    import(&file, &before, true).await.unwrap();
    assert_eq!(export_of(&file).await, before);
}

/// Rows that left no event are something too.
#[tokio::test]
async fn a_target_with_nothing_but_a_revision_or_a_row_is_not_empty() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = open(&file);
    submit(&store, Command::Reset).await;
    store.close().await;
    let meta = read(&other().await).unwrap().0.meta;
    let refused = SqliteImport::begin(&file, meta, false).err().unwrap();
    assert!(matches!(refused, SqliteImportError::NotEmpty { .. }), "{refused}");
}

#[tokio::test]
async fn an_import_that_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, before) = full(&folder).await;
    let (header, _, parts) = read(&other().await).unwrap();
    let mut import = SqliteImport::begin(&file, header.meta.clone(), true).unwrap();
    import.take(parts).await.unwrap();
    drop(import);
    assert_eq!(export_of(&file).await, before);
    // Nor does one whose parts are not the state that was announced.
    let import = SqliteImport::begin(&file, header.meta, true).unwrap();
    Box::new(import).finish().await.expect_err("the history is missing");
    assert_eq!(export_of(&file).await, before);
}

#[tokio::test]
async fn a_name_that_comes_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let (header, _, parts) = read(&export(&Memory::filled().await.store).await).unwrap();
    for at in 0..parts.len() {
        let mut import = SqliteImport::begin(&file, header.meta.clone(), false).unwrap();
        let mut twice = parts.clone();
        twice.insert(at, parts[at].clone());
        let refused = match import.take(twice).await {
            Ok(()) => Box::new(import).finish().await,
            Err(error) => Err(error),
        };
        refused.expect_err(&format!("{:?} came twice", parts[at]));
    }
    assert_eq!(revision(&export_of(&file).await).0, 0);
}

/// A store that serves an empty file meanwhile sees the state appear whole; a
/// store that serves a full one is never robbed of it.
#[tokio::test]
async fn stores_that_serve_the_file_see_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let serving = open(&file);
    let out = export(&Memory::filled().await.store).await;
    let (header, _, parts) = read(&out).unwrap();
    let mut import = SqliteImport::begin(&file, header.meta.clone(), false).unwrap();
    import.take(parts).await.unwrap();
    assert_eq!(revision(&export(&serving).await).0, 0);
    let mut revisions = serving.revision();
    Box::new(import).finish().await.unwrap();
    assert_eq!(essence(&export(&serving).await), essence(&out));
    let seen = tokio::time::timeout(
        PATIENCE,
        revisions.wait_for(|seen| *seen > header.meta.anchor.revision),
    );
    assert_eq!(*seen.await.unwrap().unwrap(), header.meta.revision);
    let meta = read(&other().await).unwrap().0.meta;
    let refused = SqliteImport::begin(&file, meta.clone(), true).err().unwrap();
    assert!(matches!(refused, SqliteImportError::InUse(_)), "{refused}");
    serving.close().await;
    SqliteImport::begin(&file, meta, true).unwrap();
}

/// Of two imports at once into one file, the second says what it waited for,
/// and finds the first one's state once that is there.
#[tokio::test]
async fn two_imports_at_once_are_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let (header, _, parts) = read(&other().await).unwrap();
    let meta = header.meta;
    let mut first = SqliteImport::begin(&file, meta.clone(), false).unwrap();
    let refused = SqliteImport::begin(&file, meta.clone(), false).err().unwrap().to_string();
    assert!(refused.contains("locked by another process for more than 10 s"), "{refused}");
    first.take(parts).await.unwrap();
    Box::new(first).finish().await.unwrap();
    let refused = SqliteImport::begin(&file, meta, false).err().unwrap();
    assert!(matches!(refused, SqliteImportError::NotEmpty { .. }), "{refused}");
}

#[tokio::test]
async fn a_file_of_somebody_else_takes_no_import() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("theirs.db");
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    drop(conn);
    let before = std::fs::read(&file).unwrap();
    let meta = read(&other().await).unwrap().0.meta;
    let refused = SqliteImport::begin(&file, meta, true).err().unwrap().to_string();
    assert!(refused.contains("a database of another program"), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

/// What a node keeps for itself has no place in an import.
#[tokio::test]
async fn a_nodes_own_rows_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let (header, ..) = read(&other().await).unwrap();
    assert_eq!(header.origin, ExportOrigin::here("memory"));
    let mut import = SqliteImport::begin(&file, header.meta, false).unwrap();
    let row = mcp_state_sidecar::machine::row::OriginRow { lowest: 0, seen_at: Default::default() };
    let part = Part::Row(mcp_state_sidecar::machine::Row::Origin(1, row));
    import.take(vec![part]).await.expect_err("it was taken");
}
