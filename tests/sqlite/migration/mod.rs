//! A file that the Python reference wrote becomes ours: whole, once, and as a
//! whole or not at all, whoever is killed, refused or in the way.

mod foreign_data;
mod killed;

use std::path::{Path, PathBuf};
use std::process::Command as Program;

use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::{Answer, ClusterMs, Question, Revision, WallMs};
use mcp_state_sidecar::store::sqlite::{Options, SqliteOpenError, SqliteStore};
use mcp_state_sidecar::store::{Store, clock};
use rusqlite::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child::{ARGUMENTS, dress, program, say, start};
use crate::common::{ask, check_chain, get, history, open, set, submit};
use crate::files::{Contents, contents, opened_by_nobody, reachable_copy};

/// The tables as the reference makes them, one statement each.
const TABLES: [&str; 6] = [
    "CREATE TABLE kv_store (key TEXT PRIMARY KEY, value_json TEXT NOT NULL, expires_at REAL)",
    "CREATE TABLE leases (resource_id TEXT PRIMARY KEY, holder_id TEXT NOT NULL, \
     expires_at REAL NOT NULL)",
    "CREATE TABLE workflows (run_id TEXT PRIMARY KEY, name TEXT NOT NULL, \
     status TEXT NOT NULL DEFAULT 'created', tags_json TEXT NOT NULL DEFAULT '{}', \
     agent_id TEXT, last_step INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL, \
     updated_at REAL NOT NULL)",
    "CREATE TABLE step_outputs (run_id TEXT NOT NULL, step INTEGER NOT NULL, \
     output_json TEXT NOT NULL, PRIMARY KEY (run_id, step))",
    "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, \
     new_value_json TEXT NOT NULL, previous_value_json TEXT, agent_id TEXT, \
     written_at REAL NOT NULL)",
    "CREATE TABLE sessions (session_id TEXT PRIMARY KEY, context_json TEXT NOT NULL, \
     saved_at REAL NOT NULL, updated_at REAL NOT NULL)",
];

const RECORDED: &[u8] = include_bytes!("../../recorded/state_sidecar.db");

/// The file that the reference wrote, in a folder of its own.
fn recorded() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state_sidecar.db");
    std::fs::write(&file, RECORDED).unwrap();
    (folder, file)
}

/// A reference's file with `rows` keys, each of which was written once.
fn large(file: &Path, rows: usize) {
    let mut conn = Connection::open(file).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
    let all = conn.transaction().unwrap();
    TABLES.iter().for_each(|table| all.execute_batch(table).unwrap());
    for n in 0..rows {
        let (key, value) = (format!("key-{n}"), format!("\"{n}-{}\"", "x".repeat(200)));
        all.execute("INSERT INTO kv_store VALUES (?1, ?2, NULL)", [&key, &value]).unwrap();
        let sql = "INSERT INTO history (key, new_value_json, written_at) VALUES (?1, ?2, 1.7e9)";
        all.execute(sql, [&key, &value]).unwrap();
    }
    all.commit().unwrap();
    conn.close().unwrap();
}

fn copy_of(file: &Path) -> PathBuf {
    file.with_file_name(format!("{}.reference-0.1.0", file.file_name().unwrap().to_str().unwrap()))
}

/// Everything in a reference's file, as text.
fn dump(file: &Path) -> Vec<String> {
    let conn = Connection::open(file).unwrap();
    let mut all = Vec::new();
    for table in ["kv_store", "leases", "workflows", "step_outputs", "history", "sessions"] {
        let mut statement = conn.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                let cells = (0..columns).map(|n| row.get::<_, rusqlite::types::Value>(n));
                Ok(format!("{table}: {:?}", cells.collect::<Result<Vec<_>, _>>()?))
            })
            .unwrap();
        all.extend(rows.map(Result::unwrap));
    }
    all
}

#[tokio::test]
async fn the_recorded_file_opens_as_it_is() {
    let (folder, file) = recorded();
    let store = open(&file);
    let (value, revision) = get(&store, "config/model").await;
    assert_eq!(value.as_deref(), Some(r#"{"name": "gpt", "temperature": 0.7}"#));
    assert_eq!(revision, Revision(2), "the history's entry made it");
    assert_eq!(get(&store, "flag").await.0.as_deref(), Some("true"));
    match ask(&store, Question::Key { key: "cache/long".into() }).await {
        Answer::Key(Some(row)) => assert_eq!(row.expires_at, Some(ClusterMs(1_826_892_416_000))),
        other => panic!("{other:?}"),
    }
    match ask(&store, Question::Leases { scan: Scan::default(), page: Page::of_rows(10) }).await {
        Answer::Leases { rows: leases, .. } => {
            assert_eq!(
                (&*leases[0].0, &*leases[0].1.holders[0].holder_id),
                ("db/main", "worker-1")
            );
            assert_eq!(leases[0].1.holders[0].expires_at, ClusterMs(1_826_892_416_393));
        }
        other => panic!("{other:?}"),
    }
    match ask(
        &store,
        Question::Resume {
            run_id: "wf-c61834b90859".into(),
            from_step: 0,
            page: Page::of_rows(10),
        },
    )
    .await
    {
        Answer::Resume(Some(found)) => {
            let (run, steps) = (found.run, found.steps);
            assert_eq!((run.status, run.agent_id.as_deref()), (Status::Running, Some("worker-1")));
            assert_eq!((run.created_at, run.last_step), (WallMs(1_795_356_416_272), 3));
            let outputs: Vec<&str> = steps.iter().map(|(_, step)| step.output.as_str()).collect();
            assert_eq!(outputs, [r#"{"rows": 10}"#, r#"{"rows": 20}"#, r#"{"rows": 30}"#]);
        }
        other => panic!("{other:?}"),
    }
    match ask(&store, Question::Session { session_id: "chat-7".into() }).await {
        Answer::Session(Some(row)) => {
            assert_eq!(row.context.as_str(), r#"{"turn": 3, "notes": ["a", "\u00fc"]}"#);
            assert_eq!(row.saved_at, WallMs(1_795_356_416_000));
        }
        other => panic!("{other:?}"),
    }
    check_chain(&store).await;
    let before = history(&store).await;
    assert_eq!(before.len(), 14);
    submit(&store, set("after", 1)).await.unwrap();
    store.close().await;
    let left: Vec<_> = contents(folder.path()).into_keys().collect();
    assert_eq!(left, ["state_sidecar.db", "state_sidecar.db.reference-0.1.0"]);

    let store = open(&file);
    check_chain(&store).await;
    assert_eq!(history(&store).await[..14], before, "opening again changes nothing");
    store.close().await;
    let original = folder.path().join("original.db");
    std::fs::write(&original, RECORDED).unwrap();
    assert_eq!(dump(&copy_of(&file)), dump(&original));
}

#[tokio::test]
async fn what_is_in_its_log_comes_along() {
    let folder = tempfile::tempdir().unwrap();
    let running = folder.path().join("running.db");
    large(&running, 3);
    // Killed before its log was folded in.
    let reference = Connection::open(&running).unwrap();
    reference.execute_batch("INSERT INTO kv_store VALUES ('in the log', '[1]', NULL)").unwrap();
    let file = folder.path().join("state.db");
    std::fs::copy(&running, &file).unwrap();
    std::fs::copy(folder.path().join("running.db-wal"), folder.path().join("state.db-wal"))
        .unwrap();
    let store = open(&file);
    assert_eq!(get(&store, "in the log").await.0.as_deref(), Some("[1]"));
    check_chain(&store).await;
    store.close().await;
    assert!(dump(&copy_of(&file)).iter().any(|row| row.contains("in the log")));
}

#[tokio::test]
async fn a_reference_that_was_killed_as_it_began_is_an_empty_state() {
    for made in 1..=TABLES.len() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        let conn = Connection::open(&file).unwrap();
        TABLES[..made].iter().for_each(|table| conn.execute_batch(table).unwrap());
        conn.close().unwrap();
        let store = open(&file);
        assert_eq!(store.health().await.revision, Revision::ZERO);
        store.close().await;
    }
}

/// It finds none of its tables and makes them, beside ours.
#[tokio::test]
async fn a_reference_that_is_started_on_our_file_harms_nothing() {
    let (_folder, file) = recorded();
    open(&file).close().await;
    let reference = Connection::open(&file).unwrap();
    reference.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    TABLES.iter().for_each(|table| reference.execute_batch(table).unwrap());
    reference.execute_batch("INSERT INTO kv_store VALUES ('flag', 'false', NULL)").unwrap();
    let store = open(&file);
    check_chain(&store).await;
    assert_eq!(get(&store, "flag").await.0.as_deref(), Some("true"));
    store.close().await;
}

#[test]
fn a_reference_that_runs_is_left_alone() {
    let (folder, file) = recorded();
    // It has the file open and does nothing.
    let reference = Connection::open(&file).unwrap();
    reference.query_row("SELECT COUNT(*) FROM kv_store", [], |_| Ok(())).unwrap();
    let before = std::fs::read(&file).unwrap();
    let error = SqliteStore::open(&file, Options::default(), clock::system()).err().unwrap();
    assert!(matches!(error, SqliteOpenError::ReferenceRuns(_)), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert!(!copy_of(&file).exists());
    reference.execute_batch("INSERT INTO kv_store VALUES ('k', '1', NULL)").unwrap();
    reference.close().unwrap();
    drop(open(&file));
    assert!(copy_of(&file).exists());
    drop(folder);
}

#[tokio::test]
async fn of_processes_that_start_at_once_one_converts() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let file = folder.path().join(format!("state-{round}.db"));
        large(&file, 500);
        let children: Vec<_> = (0..4).map(|_| start(program("open", &file, "one"))).collect();
        for (mut child, mut said) in children {
            assert_eq!(said.next().as_deref(), Some("opened"));
            assert!(child.succeeds());
        }
        let store = open(&file);
        check_chain(&store).await;
        assert_eq!(store.health().await.revision, Revision(500));
        store.close().await;
    }
    assert_eq!(contents(folder.path()).len(), 10, "one copy each");
}

#[tokio::test]
async fn a_copy_of_another_file_is_never_overwritten() {
    let (folder, file) = recorded();
    std::fs::write(copy_of(&file), "somebody's").unwrap();
    open(&file).close().await;
    assert_eq!(std::fs::read(copy_of(&file)).unwrap(), b"somebody's");
    let second = folder.path().join("state_sidecar.db.reference-0.1.0.2");
    let kept = std::fs::read(&second).unwrap();
    // The same file once more: its copy is there.
    std::fs::write(&file, RECORDED).unwrap();
    open(&file).close().await;
    assert_eq!(std::fs::read(&second).unwrap(), kept);
    assert_eq!(contents(folder.path()).len(), 3, "{:?}", contents(folder.path()).keys());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_leaves_it_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let file = folder.path().join("state.db");
    std::fs::write(&file, RECORDED).unwrap();
    let (_tool_folder, tool) = reachable_copy();
    for (of_file, of_folder) in [(0o666, 0o555), (0o444, 0o777)] {
        mode(&file, of_file);
        mode(folder.path(), of_folder);
        let said = opened_by_nobody(&tool, &file);
        assert!(said.contains("cannot be"), "{said}");
        assert_eq!(contents(folder.path()), Contents::from([("state.db".into(), RECORDED.into())]));
    }
    mode(&file, 0o666);
    assert_eq!(opened_by_nobody(&tool, &file), "opened", "the test proves nothing");
    mode(folder.path(), 0o755);
}

/// With every amount of room, from none to enough.
#[test]
fn a_full_disk_leaves_it_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    large(&file, 300);
    // The signal that goes with the limit would end the child.
    let mut shell = Program::new("sh");
    let tool = std::env::current_exe().unwrap();
    shell.arg("-c").arg("trap '' XFSZ; exec \"$0\" \"$@\"").arg(tool).args(ARGUMENTS);
    dress(&mut shell, "squeeze", &file, "squeeze");
    let (mut child, said) = start(shell);
    let said: Vec<String> = said.collect();
    assert!(child.succeeds(), "{said:?}");
    let told = |what: &str| said.iter().filter(|line| line.contains(what)).count();
    assert!(told("the copy") > 2, "no copy was refused: {said:?}");
    assert!(told("cannot be opened: the disk") > 2, "no conversion was refused: {said:?}");
    assert_eq!(said.last().map(String::as_str), Some("opened"));
}

/// The child's part: opens with ever more room.
pub fn squeeze(file: &Path) {
    let unlimited = getrlimit(Resource::Fsize);
    let dump_before = dump(file);
    for limit_bytes in (0..).step_by(16 * 1024) {
        let limit = Rlimit { current: Some(limit_bytes), ..unlimited };
        let before = std::fs::read(file).unwrap();
        setrlimit(Resource::Fsize, limit).unwrap();
        let outcome = SqliteStore::open(file, Options::default(), clock::system());
        setrlimit(Resource::Fsize, unlimited).unwrap();
        match outcome {
            Ok(_) => return say("opened"),
            Err(error) => say(&error),
        }
        let same = std::fs::read(file).unwrap() == before && dump(file) == dump_before;
        assert!(same, "changed with {limit_bytes} bytes");
        // SQLite may have come to make an empty log.
        let left = contents(file.parent().unwrap()).into_keys();
        let left: Vec<_> = left.filter(|name| !name.to_string_lossy().contains("db-")).collect();
        assert_eq!(left, ["state.db"], "with {limit_bytes} bytes");
    }
}
