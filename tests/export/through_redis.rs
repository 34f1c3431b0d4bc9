//! Into a Redis and out of it again, by the program: nothing is lost, nothing
//! added, and nothing replaced that should not be.

use std::path::Path;
use std::process::Stdio;

use crate::program::{OTHER, PROGRAM, STATE, folder, says};
use crate::state::essence;
use support::command_line::{Running, command, run, text};
use support::redis_server::{self, RedisServer};

const REDIS: (&str, &str) = ("STATE_BACKEND", "redis");

fn export(dir: &Path, env: &[(&str, &str)]) -> Vec<u8> {
    let output = run(dir, env, &["export"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    output.stdout
}

#[tokio::test]
async fn a_state_comes_back_from_redis_as_it_was() {
    if !redis_server::is_installed("a state through Redis") {
        return;
    }
    let (folder, server) = (folder().await, RedisServer::start());
    let (dir, url) = (folder.path(), server.url());
    let redis = [REDIS, ("REDIS_URL", &*url)];
    let first = export(dir, &[STATE]);
    std::fs::write(dir.join("e.jsonl"), &first).unwrap();
    let line = says(&run(dir, &redis, &["import", "e.jsonl"]), 0);
    assert!(line.starts_with("imported revision "), "{line}");
    let there = export(dir, &redis);
    assert!(text(&there).contains("\"backend\":\"redis\""));
    assert_eq!(essence(&there), essence(&first));
    std::fs::write(dir.join("r.jsonl"), &there).unwrap();
    says(&run(dir, &[OTHER], &["import", "r.jsonl"]), 0);
    assert_eq!(export(dir, &[OTHER]), first, "not byte for byte");
    // Not over what is there, unless told; then the same again.
    let line = says(&run(dir, &redis, &["import", "e.jsonl"]), 1);
    assert!(line.contains("not empty") && line.contains("--replace"), "{line}");
    assert_eq!(export(dir, &redis), there);
    says(&run(dir, &redis, &["import", "--replace", "e.jsonl"]), 0);
    assert_eq!(export(dir, &redis), there);
    let left = server.keys().into_iter().filter(|key| key.contains(":import:")).count();
    assert_eq!(left, 0, "an import left something behind");
}

#[tokio::test]
async fn a_sidecar_on_redis_is_exported_while_it_serves_and_not_replaced() {
    if !redis_server::is_installed("a sidecar on Redis") {
        return;
    }
    let (folder, server) = (folder().await, RedisServer::start());
    let (dir, url) = (folder.path(), server.url());
    let redis = [REDIS, ("REDIS_URL", &*url)];
    std::fs::write(dir.join("e.jsonl"), export(dir, &[STATE])).unwrap();
    says(&run(dir, &redis, &["import", "e.jsonl"]), 0);
    let addr = format!("127.0.0.1:{}", redis_server::free_port());
    let mut serve = command(&PROGRAM, dir);
    serve.envs(redis).envs([
        ("SIDECAR_HOST", "127.0.0.1"),
        ("SIDECAR_PORT", "0"),
        ("SIDECAR_GRPC_ADDR", &addr),
    ]);
    serve.arg("serve").stdout(Stdio::null());
    let mut node = Running::start(serve);
    node.port();
    let from_node = || {
        let output = run(dir, &[], &["export", "--node", &addr]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        output.stdout
    };
    // What was over long ago is swept meanwhile: until nothing is.
    let mut before = from_node();
    let beside = loop {
        let beside = export(dir, &redis);
        let after = from_node();
        if after == before {
            break beside;
        }
        before = after;
    };
    assert_eq!(text(&before), text(&beside));
    let line = says(&run(dir, &redis, &["import", "--replace", "e.jsonl"]), 1);
    assert!(line.contains("served by 1 sidecars"), "{line}");
    assert_eq!(from_node(), before);
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.ended(), Some(0));
    says(&run(dir, &redis, &["import", "--replace", "e.jsonl"]), 0);
}
