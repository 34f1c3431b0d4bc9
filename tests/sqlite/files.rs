//! Which files are opened, and that all others are refused and stay as they are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use mcp_state_sidecar::store::sqlite::{Options, SqliteOpenError, SqliteStore, export_file};
use mcp_state_sidecar::store::{Store, clock};
use rusqlite::Connection;

use crate::child::{program, start};
use crate::common::{check_chain, get, open, set, submit};

pub type Contents = BTreeMap<OsString, Vec<u8>>;

pub fn contents(folder: &Path) -> Contents {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
}

/// Opening is refused in one line and changes nothing in the folder.
pub fn refused(file: &Path) -> SqliteOpenError {
    let before = contents(file.parent().unwrap());
    let error = SqliteStore::open(file, Options::default(), clock::system())
        .err()
        .expect("the file is refused");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    let after = contents(file.parent().unwrap());
    assert!(before == after, "changed: {:?}, then {:?}", before.keys(), after.keys());
    error
}

async fn made(file: &Path) {
    let store = open(file);
    for n in 0..200 {
        submit(&store, set(&format!("key-{n}"), n)).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn a_closed_file_opens_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    made(&file).await;
    assert_eq!(contents(folder.path()).len(), 1, "the log was folded in");
    let store = open(&file);
    assert_eq!(get(&store, "key-199").await.0.as_deref(), Some("199"));
    check_chain(&store).await;
    store.close().await;
    let refused = submit(&store, set("late", 1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "unavailable: the store is closing");
    store.close().await;
}

#[tokio::test]
async fn closing_folds_the_log_in_though_another_has_the_file_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = open(&file);
    submit(&store, set("k", 1)).await.unwrap();
    let other = Connection::open(&file).unwrap();
    other.query_row("SELECT COUNT(*) FROM kv", [], |_| Ok(())).unwrap();
    let log = || std::fs::metadata(folder.path().join("state.db-wal")).unwrap().len();
    assert!(log() > 0, "the test proves nothing");
    store.close().await;
    assert_eq!(log(), 0);
}

#[tokio::test]
async fn an_empty_database_becomes_ours() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    Connection::open(&file).unwrap().execute_batch("PRAGMA journal_mode = WAL; VACUUM").unwrap();
    assert!(std::fs::metadata(&file).unwrap().len() > 0);
    made(&file).await;
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    made(&file).await;
    Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 5").unwrap();
    let error = refused(&file);
    assert!(matches!(error, SqliteOpenError::Newer { found: 5, known: 4, .. }), "{error}");
}

#[test]
fn a_foreign_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state?%20 #.db");
    let foreign = Connection::open(&file).unwrap();
    foreign.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    drop(foreign);
    let error = refused(&file);
    assert!(matches!(error, SqliteOpenError::Foreign(_)), "{error}");
    // Marked by its program, with a log that somebody has open.
    let foreign = Connection::open(&file).unwrap();
    foreign
        .execute_batch("PRAGMA application_id = 7; PRAGMA journal_mode = WAL; DROP TABLE notes")
        .unwrap();
    let error = refused(&file);
    assert!(matches!(error, SqliteOpenError::Foreign(_)), "{error}");
}

#[test]
fn a_foreign_database_whose_tables_are_in_its_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let foreign = Connection::open(&file).unwrap();
    foreign.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE notes (text TEXT)").unwrap();
    let before = std::fs::read(&file).unwrap();
    let error = SqliteStore::open(&file, Options::default(), clock::system()).err().unwrap();
    assert!(matches!(error, SqliteOpenError::Foreign(_)), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    foreign.execute_batch("INSERT INTO notes VALUES ('still here')").unwrap();
}

#[tokio::test]
async fn damage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    std::fs::write(&file, "no database, only words".repeat(300)).unwrap();
    assert!(matches!(refused(&file), SqliteOpenError::NotADatabase(_)));
    std::fs::write(&file, "short").unwrap();
    assert!(matches!(refused(&file), SqliteOpenError::NotADatabase(_)));
    std::fs::remove_file(&file).unwrap();

    made(&file).await;
    let sound = std::fs::read(&file).unwrap();
    // Every page but the first, whose header is another matter.
    for page in 1..sound.len() / 4096 {
        let mut damaged = sound.clone();
        damaged[page * 4096..page * 4096 + 64].fill(0xA5);
        std::fs::write(&file, damaged).unwrap();
        let error = refused(&file);
        assert!(matches!(error, SqliteOpenError::Damaged { .. }), "page {page}: {error}");
    }
    std::fs::write(&file, &sound[..sound.len() / 2]).unwrap();
    assert!(matches!(refused(&file), SqliteOpenError::Damaged { .. }));
    // History that does not lead to the state.
    std::fs::write(&file, &sound).unwrap();
    let hand = Connection::open(&file).unwrap();
    hand.execute_batch("DELETE FROM event WHERE revision = (SELECT MAX(revision) FROM event)")
        .unwrap();
    hand.close().unwrap();
    let error = refused(&file);
    assert!(matches!(error, SqliteOpenError::Damaged { .. }), "{error}");
}

#[test]
fn names_of_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| SqliteStore::open(path, Options::default(), clock::system()).err();
    for path in [Path::new(""), Path::new(":memory:"), folder.path()] {
        assert!(matches!(open(path), Some(SqliteOpenError::NotAFile(_))), "{path:?}");
    }
    // No file can be made here, not even by root.
    let error = open(Path::new("/proc/state.db")).unwrap();
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
}

#[test]
fn the_folder_is_created_for_a_state_and_not_to_read_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/state.db");
    let deadline = tokio::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let read = runtime.block_on(export_file(&file, deadline));
    assert!(read.is_err() && !folder.path().join("a").exists());
    assert!(SqliteStore::open(&file, Options::default(), clock::system()).is_ok());
    assert!(file.exists());
    let below_a_file = SqliteStore::open(&file.join("c"), Options::default(), clock::system());
    let error = below_a_file.err().expect("a file is where the folder should be");
    assert!(matches!(&error, SqliteOpenError::NoFolder { path, .. } if *path == file), "{error}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
}

/// As a user without rights, in a process of its own where this one has them.
#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let folder = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let file = folder.path().join("state.db");
    made(&file).await;
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let (_tool_folder, tool) = reachable_copy();
    let attempt = || opened_by_nobody(&tool, &file);
    // The folder can be read, the file written: the log has no place.
    mode(&file, 0o666);
    mode(folder.path(), 0o555);
    let said = attempt();
    assert!(said.contains("cannot be"), "{said}");
    // The folder can be written, the file not.
    mode(&file, 0o444);
    mode(folder.path(), 0o777);
    let said = attempt();
    assert!(said.contains("cannot be written"), "{said}");
    mode(&file, 0o666);
    assert_eq!(attempt(), "opened", "the test proves nothing");
    mode(folder.path(), 0o755);
}

/// What a user without rights is told who opens the file.
pub fn opened_by_nobody(tool: &Path, file: &Path) -> String {
    let dressed = program("open", file, "nobody");
    let mut program = std::process::Command::new(tool);
    program.args(dressed.get_args());
    program.envs(dressed.get_envs().filter_map(|(name, value)| Some((name, value?))));
    program.stdout(std::process::Stdio::piped());
    if rustix::process::geteuid().is_root() {
        program.uid(65_534).gid(65_534);
    }
    let (mut child, mut said) = start(program);
    let said = said.next();
    child.succeeds();
    said.expect("an outcome")
}

/// This program where every user can run it.
pub fn reachable_copy() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let tool = folder.path().join("tool");
    std::fs::copy(std::env::current_exe().unwrap(), &tool).unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, tool)
}
