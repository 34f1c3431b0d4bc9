//! A node on a pipe and over HTTP: it answers, and it stops in order.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use support::command_line::{HTTP_PROGRAM, PATIENCE, PROGRAM, Running, command, run, text};

use crate::pipe::{Pipe, serve};

pub fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn stdio_answers_and_keeps_its_state_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut pipe = Pipe::start(dir.path(), &[]);
    pipe.initialize();
    let tools = pipe.ask("tools/list", json!({}));
    assert!(tools["tools"].as_array().unwrap().len() >= 19, "{tools}");
    assert_eq!(pipe.call("state_set", json!({"key": "k", "value": [1, null]}))["ok"], true);
    assert_eq!(pipe.hang_up(), Some(0));
    assert!(dir.path().join("state_sidecar.db").exists());
    let mut pipe = Pipe::start(dir.path(), &["stdio"]);
    pipe.initialize();
    assert_eq!(pipe.call("state_get", json!({"key": "k"}))["value"], json!([1, null]));
    pipe.running.signal(Signal::TERM);
    assert_eq!(pipe.running.ended(), Some(0));
}

#[test]
fn serve_answers_and_stops_in_order_on_sigterm_and_sigint() {
    for (program, args, signal) in
        [(&*PROGRAM, &["serve"][..], Signal::TERM), (&*HTTP_PROGRAM, &[], Signal::INT)]
    {
        let dir = tempfile::tempdir().unwrap();
        let (mut node, port) = serve(program, dir.path(), &[], args);
        assert!(get(port, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(get(port, "/readyz").starts_with("HTTP/1.1 200"));
        assert!(get(port, "/metrics").contains("sidecar_revision"));
        let url = format!("http://127.0.0.1:{port}");
        let set = r#"{"key": "k", "value": "v"}"#;
        let output = run(dir.path(), &[], &["call", "state_set", set, "--node", &url]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let get = ["call", "state_get", r#"{"key": "k"}"#, "--field", "value", "--node", &url];
        assert_eq!(text(&run(dir.path(), &[], &get).stdout), "v\n");
        let wrong = ["call", "state_get", r#"{"kee": "k"}"#, "--node", &url];
        let output = run(dir.path(), &[], &wrong);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("invalid_argument"), "{}", text(&output.stderr));
        node.signal(signal);
        assert_eq!(node.ended(), Some(0));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let env = [("SIDECAR_PORT", port.as_str()), ("SIDECAR_HOST", "127.0.0.1")];
    let output = run(dir.path(), &env, &["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let line = text(&output.stderr);
    assert!(line.contains("SIDECAR_PORT: cannot listen on 127.0.0.1"), "{line}");
    assert!(!dir.path().join("state_sidecar.db").exists(), "nothing was opened");
}

#[test]
fn with_a_token_only_callers_that_send_it_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let token = [("SIDECAR_TOKEN", "correct-horse")];
    let (mut node, port) = serve(&PROGRAM, dir.path(), &token, &["serve", "--log", "trace"]);
    let url = format!("http://127.0.0.1:{port}");
    let call = ["call", "sidecar_health", "--node", url.as_str()];
    let output = run(dir.path(), &[], &call);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("401"), "{}", text(&output.stderr));
    assert_eq!(run(dir.path(), &token, &call).status.code(), Some(0));
    std::fs::write(dir.path().join("token"), "correct-horse\n").unwrap();
    let with_file: Vec<&str> = call.iter().copied().chain(["--token-file", "token"]).collect();
    assert_eq!(run(dir.path(), &[], &with_file).status.code(), Some(0));
    node.signal(Signal::TERM);
    assert_eq!(node.ended(), Some(0));
    assert!(!node.rest().contains("correct-horse"), "the token was logged");
}

#[test]
fn a_node_that_dev_started_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    // The shell starts the node and is killed while the node runs.
    let mut shell = command("/bin/sh", dir.path());
    let script = format!("{} serve --host 127.0.0.1 --port 0 --die-with=$$ & read _", *PROGRAM);
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut shell = Running::start(shell);
    shell.port();
    shell.signal(Signal::KILL);
    shell.line_with("stopping");
}
