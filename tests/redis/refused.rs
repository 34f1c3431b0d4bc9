//! Servers on which the store's promises do not hold, and servers that cannot be used,
//! are refused in one clear line, and nothing is changed.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::redis_server::{self, RedisServer};

/// A start that fails has said so by then.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Starts the program on `url`; it must end by itself.
fn start(url: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"))
        .env_clear()
        .current_dir(dir.path())
        .args(["serve", "--port", "0", "--host", "127.0.0.1"])
        .env("STATE_BACKEND", "redis")
        .env("REDIS_URL", url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + ENDS_WITHIN;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("it goes on: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// The one line that it said.
fn refused(url: &str) -> String {
    let output = start(url);
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    assert!(line.contains("REDIS_URL"), "{line}");
    assert!(!line.contains("correct-horse") && !line.contains("wrong-horse"), "{line}");
    line
}

#[test]
fn a_wrong_password_is_refused() {
    if !redis_server::is_installed("password") {
        return;
    }
    let server = RedisServer::start_with(&["--requirepass", "correct-horse"]);
    let port = server.port();
    let line = refused(&format!("redis://:wrong-horse@127.0.0.1:{port}"));
    assert!(line.contains("assword"), "{line}");
    let line = refused(&format!("redis://127.0.0.1:{port}"));
    assert!(line.contains("uthentication"), "{line}");
    assert_eq!(server.keys(), [""; 0]);
}

#[test]
fn a_database_that_is_not_there_is_refused() {
    if !redis_server::is_installed("database") {
        return;
    }
    let server = RedisServer::start();
    let line = refused(&format!("{}/99", server.url()));
    assert!(line.contains("DB index"), "{line}");
    assert_eq!(server.keys(), [""; 0]);
}

#[test]
fn servers_that_cannot_keep_the_promises_are_refused() {
    if !redis_server::is_installed("promises") {
        return;
    }
    let primary = RedisServer::start();
    let replicaof = format!("127.0.0.1 {}", primary.port());
    let lru = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    for (settings, says) in [
        (&["--cluster-enabled", "yes"][..], "Redis Cluster"),
        (&["--replicaof", &replicaof], "replica"),
        (&lru, "allkeys-lru"),
    ] {
        let server = RedisServer::start_with(settings);
        let line = refused(&server.url());
        assert!(line.contains(says), "{line}");
        assert_eq!(server.keys(), [""; 0], "{settings:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let line = refused("redis://127.0.0.1:1");
    assert!(line.contains("127.0.0.1:1"), "{line}");
}

#[test]
fn keys_of_another_program_and_of_a_newer_version_are_left_alone() {
    if !redis_server::is_installed("keys") {
        return;
    }
    let server = RedisServer::start();
    server.ask::<()>(&["SET", "{sidecar}:meta", "somebody else's"]);
    let line = refused(&server.url());
    assert!(line.contains("SIDECAR_REDIS_PREFIX") || line.contains("damaged"), "{line}");
    assert_eq!(server.ask::<String>(&["GET", "{sidecar}:meta"]), "somebody else's");
    server.ask::<()>(&["DEL", "{sidecar}:meta"]);
    server.ask::<()>(&["HSET", "{sidecar}:meta", "format", "99"]);
    let line = refused(&server.url());
    assert!(line.contains("format 99") && line.contains("newer"), "{line}");
    assert_eq!(server.keys(), ["{sidecar}:meta"]);
}
