//! One form of address everywhere: each command takes a node as `host:port` and as a URL,
//! and says what is wrong if it is the other address of the node. Also the header that
//! names the tools.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use support::command_line::{PATIENCE, PROGRAM, run, text};

use crate::pipe::{Pipe, serve};

/// A port that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn every_command_takes_every_form_of_address() {
    let dir = tempfile::tempdir().unwrap();
    let grpc = format!("127.0.0.1:{}", free_port());
    let env = [("STATE_BACKEND", "memory"), ("SIDECAR_GRPC_ADDR", grpc.as_str())];
    let (_node, port) = serve(&PROGRAM, dir.path(), &env, &["serve"]);
    let forms = |address: &str| {
        let with = |prefix: &str, path: &str| format!("{prefix}{address}{path}");
        [with("", ""), with("http://", ""), with("http://", "/"), with("http://", "/mcp")]
    };
    let mcp = format!("127.0.0.1:{port}");
    for node in forms(&mcp) {
        let call = ["call", "state_set", "key=k", "value:=1", "--node", &node];
        let output = run(dir.path(), &[], &call);
        assert_eq!(output.status.code(), Some(0), "{node}: {}", text(&output.stderr));
        let mut pipe = Pipe::start(dir.path(), &["connect", &node]);
        pipe.initialize();
        assert_eq!(pipe.call("state_get", json!({"key": "k"}))["value"], 1, "{node}");
        assert_eq!(pipe.hang_up(), Some(0));
    }
    for node in forms(&grpc) {
        let output = run(dir.path(), &[], &["export", "--node", &node]);
        assert_eq!(output.status.code(), Some(0), "{node}: {}", text(&output.stderr));
        let output = run(dir.path(), &[], &["cluster", "status", "--node", &node]);
        let line = text(&output.stderr);
        assert!(line.contains(&format!("{grpc} is not the node of a cluster")), "{line}");
        let output = run(dir.path(), &[], &["cluster", "transfer", "--node", &node]);
        let line = text(&output.stderr);
        assert!(line.contains(&format!("{grpc} refuses: ")), "{line}");
    }
    // Each is the address of the other service.
    let wrong = run(dir.path(), &[], &["call", "sidecar_health", "--node", &grpc]);
    let line = text(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(line.contains(&grpc) && line.contains("this may be its gRPC address"), "{line}");
    for args in [&["export"][..], &["cluster", "status"], &["cluster", "snapshot"]] {
        let wrong = run(dir.path(), &[], &[args, &["--node", &mcp]].concat());
        let line = text(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(1), "{line}");
        assert!(line.contains(&mcp) && line.contains("not a gRPC address"), "{args:?}: {line}");
        assert!(!line.contains("transport error"), "{line}");
    }
}

#[test]
fn an_ipv6_address_is_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("did not run, since this machine has no IPv6");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let args = ["serve", "--host", "::1", "--state-backend", "memory"];
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &args);
    for node in [format!("[::1]:{port}"), format!("http://[::1]:{port}/mcp")] {
        let output = run(dir.path(), &[], &["call", "sidecar_health", "--node", &node]);
        assert_eq!(output.status.code(), Some(0), "{node}: {}", text(&output.stderr));
    }
}

/// Answers requests like a node, and returns the first lines of each.
fn recorded(requests: usize) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        (0..requests)
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                let body = r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"ok":true}}}"#;
                let length = body.len();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
                    .unwrap();
                String::from_utf8_lossy(&head).to_ascii_lowercase()
            })
            .collect()
    });
    (port, thread)
}

#[test]
fn the_tools_to_choose_from_are_named_in_a_header() {
    let dir = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&[][..], "x-mcp-toolsets: all\r\n"),
        (&["--tools", "state_get,worker"], "x-mcp-toolsets: state_get,worker\r\n"),
    ] {
        let (port, heads) = recorded(1);
        let node = format!("127.0.0.1:{port}");
        let call = [&["call", "sidecar_health", "--node", &node], args].concat();
        let output = run(dir.path(), &[], &call);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let heads = heads.join().unwrap();
        assert!(heads[0].contains(expected), "{heads:?}");
    }
    for (args, expected) in [(&["--tools", "worker"][..], true), (&[], false)] {
        let (port, heads) = recorded(1);
        let node = format!("127.0.0.1:{port}");
        let mut pipe = Pipe::start(dir.path(), &[&["connect", &node], args].concat());
        pipe.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
        let heads = heads.join().unwrap();
        assert_eq!(heads[0].contains("x-mcp-toolsets: worker\r\n"), expected, "{heads:?}");
        assert_eq!(heads[0].contains("x-mcp-toolsets"), expected, "{heads:?}");
        assert_eq!(pipe.hang_up(), Some(0));
    }
    let output = run(dir.path(), &[], &["connect", "127.0.0.1:1", "--tools", "a\nb"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected a profile such as worker"), "{output:?}");
}
