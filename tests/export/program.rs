//! `export` and `import` as a person runs them.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use mcp_state_sidecar::machine::{Command, Reply};
use mcp_state_sidecar::store::Store;
use support::command_line::{Running, command, run, text};

pub use support::command_line::PROGRAM;

use crate::state::*;

/// A folder with a file that holds the filled state, as `state.db`.
pub async fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let out = export(&Memory::filled().await.store).await;
    import(&folder.path().join("state.db"), &out, false).await.unwrap();
    folder
}

pub const STATE: (&str, &str) = ("DB_PATH", "state.db");
pub const OTHER: (&str, &str) = ("DB_PATH", "other.db");

/// One line on standard error, and this exit code.
pub fn says(output: &Output, code: i32) -> String {
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    line
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_state_moves_through_a_file_of_either_kind() {
    let folder = folder().await;
    let dir = folder.path();
    for (file, flags) in [("e.jsonl", &[][..]), ("e.zst", &[]), ("e", &["--zstd"])] {
        let args = [&["export", file], flags].concat();
        let line = says(&run(dir, &[STATE], &args), 0);
        assert!(line.starts_with("exported revision ") && line.contains(" 4 runs, "), "{line}");
        let bytes = std::fs::read(dir.join(file)).unwrap();
        let compressed = bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        assert_eq!(compressed, file != "e.jsonl", "{file}");
        let line = says(&run(dir, &[OTHER], &["import", file, "--replace"]), 0);
        assert!(line.starts_with("imported revision "), "{line}");
        let there = run(dir, &[OTHER], &["export"]);
        assert_eq!(there.stdout, std::fs::read(dir.join("e.jsonl")).unwrap(), "{file}");
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = dir.join("e.jsonl").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may read it");
    assert!(!names(dir).iter().any(|name| name.contains("unfinished")));
}

#[tokio::test]
async fn an_import_is_refused_where_something_is_and_where_the_file_is_not_whole() {
    let folder = folder().await;
    let dir = folder.path();
    let before = run(dir, &[STATE], &["export", "e.jsonl"]);
    assert_eq!(before.status.code(), Some(0));
    let whole = std::fs::read(dir.join("e.jsonl")).unwrap();
    let line = says(&run(dir, &[STATE], &["import", "e.jsonl"]), 1);
    assert!(line.contains("state.db: not empty") && line.contains("--replace"), "{line}");
    std::fs::write(dir.join("cut"), &whole[..whole.len() - 1]).unwrap();
    let line = says(&run(dir, &[OTHER], &["import", "cut"]), 1);
    assert!(line.contains("cut: cut short: it stops after line"), "{line}");
    let line = says(&run(dir, &[STATE], &["import", "--replace", "cut"]), 1);
    assert!(line.contains("cut short"), "{line}");
    run(dir, &[STATE], &["export", "e.zst"]);
    let zst = std::fs::read(dir.join("e.zst")).unwrap();
    std::fs::write(dir.join("cut.zst"), &zst[..zst.len() - 5]).unwrap();
    let line = says(&run(dir, &[OTHER], &["import", "cut.zst"]), 1);
    assert!(line.contains("cut.zst: cannot be read"), "{line}");
    std::fs::write(dir.join("text"), "hello\n").unwrap();
    let line = says(&run(dir, &[("DB_PATH", "none.db")], &["import", "text"]), 1);
    assert!(line.contains("text: not an export"), "{line}");
    assert!(!dir.join("none.db").exists(), "it made a file");
    // All that was refused has changed nothing.
    assert_eq!(run(dir, &[STATE], &["export"]).stdout, whole);
    assert!(!dir.join("other.db").exists(), "a refused import made a file");
}

#[tokio::test]
async fn a_dry_run_reads_and_writes_nothing() {
    let folder = folder().await;
    let dir = folder.path();
    let stream = run(dir, &[STATE], &["export"]).stdout;
    let before = names(dir);
    let mut check = command(&PROGRAM, dir);
    check.args(["import", "--dry-run", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(&stream).unwrap();
    let line = says(&check.wait_with_output().unwrap(), 0);
    assert!(line.starts_with("complete: revision "), "{line}");
    // Compressed, its first bytes one by one.
    let stream = run(dir, &[STATE], &["export", "--zstd"]).stdout;
    let mut check = command(&PROGRAM, dir);
    check.args(["import", "--dry-run", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stream.chunks(1).for_each(|byte| stdin.write_all(byte).unwrap());
    drop(stdin);
    says(&check.wait_with_output().unwrap(), 0);
    assert_eq!(names(dir), before);
}

#[test]
fn what_cannot_be_exported_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let line = says(&run(dir, &[], &["export", "e.jsonl"]), 1);
    assert!(line.contains("state_sidecar.db: there is no such file"), "{line}");
    let memory = [("STATE_BACKEND", "memory")];
    let line = says(&run(dir, &memory, &["export", "e.jsonl"]), 2);
    assert!(line.contains("STATE_BACKEND: got \"memory\"") && line.contains("--node"), "{line}");
    // Nobody can listen on port 0.
    let line = says(&run(dir, &[], &["export", "e.jsonl", "--node", "127.0.0.1:0"]), 1);
    assert!(line.contains("cannot reach 127.0.0.1:0"), "{line}");
    let line = says(&run(dir, &[], &["import", "e.jsonl"]), 1);
    assert!(line.contains("e.jsonl: cannot be read"), "{line}");
    let output = run(dir, &[], &["import"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(names(dir).is_empty(), "it left something: {:?}", names(dir));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_and_the_old_one_stays() {
    let folder = folder().await;
    let dir = folder.path();
    let line = says(&run(dir, &[STATE], &["export", "no/where"]), 1);
    assert!(line.contains("no/where: cannot be written"), "{line}");
    std::fs::write(dir.join("e.jsonl"), "old").unwrap();
    let line = says(&run(dir, &[("DB_PATH", "nothing.db")], &["export", "e.jsonl"]), 1);
    assert!(line.contains("nothing.db"), "{line}");
    assert_eq!(std::fs::read(dir.join("e.jsonl")).unwrap(), b"old");
    // A device has no name to be given.
    let line = says(&run(dir, &[STATE], &["export", "/dev/full"]), 1);
    assert!(line.contains("/dev/full: cannot be written"), "{line}");
    says(&run(dir, &[STATE], &["export", "/dev/null"]), 0);
}

/// The export would take the place of what it reads, under a live server too.
#[tokio::test]
async fn a_state_is_not_exported_over_itself() {
    let folder = folder().await;
    let dir = folder.path();
    let state = dir.join(STATE.1);
    let before = std::fs::read(&state).unwrap();
    std::fs::hard_link(&state, dir.join("another.name")).unwrap();
    std::fs::write(dir.join(format!("{}-wal", STATE.1)), "").unwrap();
    for name in [STATE.1.to_owned(), "another.name".to_owned(), format!("{}-wal", STATE.1)] {
        let line = says(&run(dir, &[STATE], &["export", &name]), 2);
        assert!(
            line.contains(&name) && line.contains("is part of the database to export"),
            "{line}"
        );
    }
    assert!(std::fs::read(&state).unwrap() == before, "it was changed");
}

/// From a node that serves, over gRPC and beside it: the same stream, and only
/// for who may administer.
#[tokio::test]
async fn a_running_node_is_exported_by_who_may() {
    let folder = folder().await;
    let dir = folder.path();
    // What is due is swept before, so that the node's own sweep changes nothing
    // between two exports.
    let store = open(&dir.join("state.db"));
    while let Reply::Swept { more: true, .. } = submit(&store, Command::Sweep { limit: 100 }).await
    {
    }
    store.close().await;
    drop(store);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let addr = format!("127.0.0.1:{port}");
    let env = [
        STATE,
        ("SIDECAR_HOST", "127.0.0.1"),
        ("SIDECAR_PORT", "0"),
        ("SIDECAR_GRPC_ADDR", &addr),
        ("SIDECAR_TOKEN", "user-token"),
        ("SIDECAR_ADMIN_TOKEN", "root-token"),
    ];
    let mut serve = command(&PROGRAM, dir);
    serve.envs(env).arg("serve").stdout(Stdio::null());
    let mut node = Running::start(serve);
    node.port();
    let beside = run(dir, &[STATE], &["export"]).stdout;
    let ask = ["export", "--node", &addr];
    let from_node = run(dir, &[("SIDECAR_ADMIN_TOKEN", "root-token")], &ask);
    assert_eq!(from_node.stdout, beside, "{}", text(&from_node.stderr));
    std::fs::write(dir.join("token"), "root-token\n").unwrap();
    let with_file = run(dir, &[], &[&ask[..], &["--token-file", "token"]].concat());
    assert_eq!(with_file.stdout, beside, "{}", text(&with_file.stderr));
    let user = run(dir, &[("SIDECAR_TOKEN", "user-token")], &ask);
    assert!(says(&user, 1).contains("refuses: export needs the right"), "{user:?}");
    let nobody = run(dir, &[], &ask);
    assert!(says(&nobody, 1).contains("refuses: this server needs a token"), "{nobody:?}");
    let line = says(&run(dir, &[STATE], &["import", "--replace", "token"]), 1);
    assert!(line.contains("token: not an export"), "{line}");
    std::fs::write(dir.join("e.jsonl"), &beside).unwrap();
    let line = says(&run(dir, &[STATE], &["import", "--replace", "e.jsonl"]), 1);
    assert!(line.contains("state.db: used by another process"), "{line}");
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.ended(), Some(0));
    says(&run(dir, &[STATE], &["import", "--replace", "e.jsonl"]), 0);
}
