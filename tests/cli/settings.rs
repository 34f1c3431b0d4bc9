//! Settings as they arrive: a node starts although its environment contains more than its
//! settings, the stronger source wins, and folders that are missing are created.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use support::command_line::{PROGRAM, run, text};

use crate::pipe::{Pipe, serve};

/// What Kubernetes sets in every container beside a Service named `sidecar`, which has the
/// ports `http` and `grpc`, and beside one named `sidecar-redis`.
const KUBERNETES: [(&str, &str); 16] = [
    ("SIDECAR_SERVICE_HOST", "10.0.0.1"),
    ("SIDECAR_SERVICE_PORT", "8000"),
    ("SIDECAR_SERVICE_PORT_HTTP", "8000"),
    ("SIDECAR_SERVICE_PORT_GRPC", "9000"),
    ("SIDECAR_PORT", "tcp://10.0.0.1:8000"),
    ("SIDECAR_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
    ("SIDECAR_PORT_8000_TCP_PROTO", "tcp"),
    ("SIDECAR_PORT_8000_TCP_PORT", "8000"),
    ("SIDECAR_PORT_8000_TCP_ADDR", "10.0.0.1"),
    ("SIDECAR_PORT_9000_TCP_ADDR", "10.0.0.1"),
    ("SIDECAR_REDIS_SERVICE_HOST", "fd00::2"),
    ("SIDECAR_REDIS_SERVICE_PORT", "6379"),
    ("SIDECAR_REDIS_PORT", "tcp://[fd00::2]:6379"),
    ("SIDECAR_REDIS_PORT_6379_TCP", "tcp://[fd00::2]:6379"),
    ("SIDECAR_REDIS_PORT_6379_TCP_PROTO", "tcp"),
    ("SIDECAR_REDIS_PORT_6379_TCP_ADDR", "fd00::2"),
];

#[test]
fn a_node_starts_beside_kubernetes_services() {
    let dir = tempfile::tempdir().unwrap();
    let mut pipe = Pipe::start_with(dir.path(), &KUBERNETES, &["stdio"]);
    pipe.initialize();
    assert_eq!(pipe.call("state_set", json!({"key": "k", "value": 1}))["ok"], true);
    assert_eq!(pipe.hang_up(), Some(0));
    // The port of the file counts.
    std::fs::write(dir.path().join("node.toml"), "port = 0\nhost = \"127.0.0.1\"\n").unwrap();
    let mut node = support::command_line::command(&PROGRAM, dir.path());
    node.envs(KUBERNETES).args(["serve", "--config", "node.toml"]);
    let mut node = support::command_line::Running::start(node);
    let note = node.line_with("describes a Kubernetes Service; ignored");
    assert!(note.contains("INFO") && note.contains("SIDECAR_PORT"), "{note}");
    node.port();
    node.signal(Signal::TERM);
    assert_eq!(node.ended(), Some(0));
    let log = node.rest();
    assert!(!log.contains("no such setting"), "a variable of a Service is no mistake: {log}");
}

#[test]
fn an_unknown_variable_is_a_warning_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("SIDECAR_TOKNE", "hunter2-hunter2")];
    let (mut node, _) = serve(&PROGRAM, dir.path(), &env, &["serve"]);
    node.signal(Signal::TERM);
    assert_eq!(node.ended(), Some(0));
    let log = node.rest();
    let warning = log.lines().find(|line| line.contains("no such setting")).expect("a warning");
    assert!(warning.contains("WARN") && warning.contains("SIDECAR_TOKNE"), "{warning}");
    assert!(warning.contains("did_you_mean=\"SIDECAR_TOKEN\""), "{warning}");
    assert!(!log.contains("hunter2"), "its value may be a secret");
    let output = run(dir.path(), &env, &["import", "--dry-run", "nowhere"]);
    assert!(text(&output.stderr).contains("did you mean SIDECAR_TOKEN?"), "{output:?}");
}

#[test]
fn a_token_in_the_environment_wins_over_a_file_of_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("node.toml"), "token_file = \"nowhere/token\"\n").unwrap();
    let token = [("SIDECAR_TOKEN", "correct-horse")];
    let args = ["serve", "--config", "node.toml"];
    let (_node, port) = serve(&PROGRAM, dir.path(), &token, &args);
    let address = format!("127.0.0.1:{port}");
    let call = ["call", "sidecar_health", "--node", &address];
    assert_eq!(run(dir.path(), &token, &call).status.code(), Some(0));
    assert_eq!(run(dir.path(), &[], &call).status.code(), Some(1));
    // For a command, its option wins over the environment.
    std::fs::write(dir.path().join("wrong"), "wrong-horse").unwrap();
    let wrong = [&call[..], &["--token-file", "wrong"]].concat();
    assert_eq!(run(dir.path(), &token, &wrong).status.code(), Some(1));
}

#[test]
fn the_folder_of_the_database_is_created_where_a_state_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let db = [("DB_PATH", "a/b/state.db")];
    let exists = |path: &str| dir.path().join(path).exists();
    let output = run(dir.path(), &db, &["export", "copy"]);
    assert_eq!(output.status.code(), Some(1), "there is nothing to export");
    assert!(!exists("a"), "an export creates nothing");
    let mut pipe = Pipe::start_with(dir.path(), &db, &["stdio"]);
    pipe.initialize();
    assert_eq!(pipe.call("state_set", json!({"key": "k", "value": 1}))["ok"], true);
    assert_eq!(pipe.hang_up(), Some(0));
    assert!(exists("a/b/state.db"));
    std::fs::create_dir(dir.path().join("usual")).unwrap();
    let mode = |path: &str| std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode();
    assert_eq!((mode("a"), mode("a/b")), (mode("usual"), mode("usual")));
    let output = run(dir.path(), &db, &["export", "copy"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = run(dir.path(), &[("DB_PATH", "c/d/state.db")], &["import", "copy"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(exists("c/d/state.db"));
    let env = [("DB_PATH", "e/f/state.db")];
    let (node, _) = serve(&PROGRAM, dir.path(), &env, &["serve"]);
    assert!(exists("e/f/state.db"));
    drop(node);
    // A file is where the folder should be.
    let output = run(dir.path(), &[("DB_PATH", "copy/state.db")], &["serve", "--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let line = text(&output.stderr);
    let folder = Path::new("copy").display();
    assert!(line.contains("DB_PATH: folder") && line.contains(&format!("/{folder}: ")), "{line}");
}
