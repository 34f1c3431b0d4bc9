//! The reference's state after the migration: we answer as it did, its workers continue,
//! and its own copy of the data can still be read by it.

use std::path::Path;

use serde_json::{Value, json};

use crate::STDIO;
use crate::client::{self, Client};
use crate::compare::{Names, told_otherwise};
use crate::package::{self, Package};
use support::redis_server;

use crate::Backend;

#[test]
fn its_file_in_our_hands() {
    let Some(package) = package::installed("its_file") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let backend = Backend::Sqlite;
    let file = dir.path().join("0.db");
    let before = moves_in(package, dir.path(), backend);
    let kept = dir.path().join("0.db.reference-0.1.0");
    assert!(file.exists() && kept.exists());
    std::fs::rename(&kept, dir.path().join("1.db")).expect("the copy is there");
    reads_as_before(package, dir.path(), backend, 1, before);
}

#[test]
fn its_redis_in_our_hands() {
    let Some(package) = package::installed("its_redis") else { return };
    if !redis_server::is_installed("its_redis") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let server = redis_server::RedisServer::start();
    let url = server.url();
    let before = moves_in(package, dir.path(), Backend::Redis(&url));
    reads_as_before(package, dir.path(), Backend::Redis(&url), 0, before);
}

/// Fills the reference, kills it, and opens what it left with ours. Gives what
/// the reference answered last.
fn moves_in(package: &Package, dir: &Path, backend: Backend<'_>) -> Vec<Value> {
    let settings = backend.settings(dir, 0);
    let mut theirs = Client::start(package.program(STDIO, dir, &settings));
    let runs = fill(&mut theirs);
    let reads = reads(&runs);
    let before: Vec<Value> =
        reads.iter().map(|(tool, args)| ask(&mut theirs, tool, args)).collect();
    // Its log is not folded in.
    theirs.kill();
    let mut ours = Client::start(client::ours(dir, &settings));
    compare(&reads, &before, &mut ours);
    go_on(&mut ours, &runs);
    ours.end();
    let mut ours = Client::start(client::ours(dir, &settings));
    let status = ours.call("workflow_status", json!({"run_id": runs[0]}));
    assert_eq!(status["last_step"], 3, "opened twice, it went on from there: {status}");
    ours.end();
    before
}

/// The reference once more, on what is kept of its own.
fn reads_as_before(
    package: &Package,
    dir: &Path,
    backend: Backend<'_>,
    number: u32,
    before: Vec<Value>,
) {
    let mut theirs = Client::start(package.program(STDIO, dir, &backend.settings(dir, number)));
    let runs: Vec<String> = before
        .iter()
        .find_map(|answer| answer["runs"].as_array())
        .expect("a list of runs")
        .iter()
        .rev()
        .map(|run| run["run_id"].as_str().expect("an id").to_owned())
        .collect();
    for ((tool, args), before) in reads(&runs).iter().zip(before) {
        let mut after = ask(&mut theirs, tool, args);
        if *tool == "sidecar_health" {
            after["uptime_s"] = before["uptime_s"].clone();
        }
        assert_eq!(after, before, "{tool} {args}");
    }
    theirs.end();
}

/// Gives the ids of the runs, oldest first.
fn fill(theirs: &mut Client) -> Vec<String> {
    let value = json!({"name": "ü", "t": 0.7, "big": 12345678901234567890_u64});
    for (key, value, ttl) in [
        ("config/model", json!(1), Value::Null),
        ("config/model", value, Value::Null),
        ("", json!(null), Value::Null),
        ("year", json!("lives a year"), json!(31_536_000)),
        ("past", json!(1), json!(1)),
        ("deleted", json!(1), Value::Null),
    ] {
        let args = json!({"key": key, "value": value, "ttl_seconds": ttl, "agent_id": "tuner"});
        theirs.call("state_set", args);
    }
    theirs.call("state_delete", json!({"key": "deleted"}));
    let runs: Vec<String> = ["etl", "report", "cleanup"]
        .map(|name| {
            let tags = json!({"team": "data", "name": name});
            let run = theirs.call("workflow_create", json!({"name": name, "tags": tags}));
            run["run_id"].as_str().expect("an id").to_owned()
        })
        .into();
    theirs.call("workflow_claim", json!({"run_id": runs[0], "agent_id": "worker-1"}));
    theirs.call("workflow_claim", json!({"run_id": runs[1], "agent_id": "worker-2"}));
    for step in [1, 2] {
        let output = json!({"rows": step * 10});
        theirs.call(
            "workflow_checkpoint",
            json!({"run_id": runs[0], "step": step, "output": output}),
        );
    }
    let lease = json!({"resource_id": "db/main", "holder_id": "worker-1", "ttl_seconds": 600});
    theirs.call("lease_acquire", lease);
    theirs
        .call("session_save", json!({"session_id": "chat-7", "context": {"turn": 3, "n": ["ü"]}}));
    // Its deadline passes in real time.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    runs
}

fn reads(runs: &[String]) -> Vec<(&'static str, Value)> {
    let mut reads = vec![
        ("workflow_list", json!({})),
        ("workflow_discover", json!({"status": "claimed"})),
        ("workflow_discover", json!({"tags": {"name": "etl"}})),
        ("state_list", json!({})),
        ("session_restore", json!({"session_id": "chat-7"})),
        ("session_restore", json!({"session_id": "none"})),
        ("history_log", json!({"n": 100})),
        ("history_log", json!({"key": "config/model"})),
        ("history_log", json!({"key": "deleted"})),
        // Refused, and says who has it.
        ("lease_acquire", json!({"resource_id": "db/main", "holder_id": "x", "ttl_seconds": 1})),
        ("workflow_claim", json!({"run_id": runs[0], "agent_id": "x"})),
        ("workflow_claim", json!({"run_id": runs[1], "agent_id": "x"})),
        ("sidecar_health", json!({})),
    ];
    reads.extend(
        ["config/model", "", "year", "past", "deleted"]
            .map(|key| ("state_get", json!({"key": key}))),
    );
    for run_id in runs {
        reads.push(("workflow_status", json!({"run_id": run_id})));
        reads.push(("workflow_resume", json!({"run_id": run_id})));
    }
    reads
}

fn ask(client: &mut Client, tool: &str, args: &Value) -> Value {
    client.call(tool, args.clone())
}

fn compare(reads: &[(&'static str, Value)], before: &[Value], ours: &mut Client) {
    let names = Names::default();
    for ((tool, args), theirs) in reads.iter().zip(before) {
        let theirs = &told_otherwise(tool, theirs).unwrap_or_else(|| theirs.clone());
        let mut args = args.clone();
        if *tool == "history_log" {
            // It records nothing else.
            args["action"] = json!("state_set");
        }
        let answer = ask(ours, tool, &args);
        if let Err(why) = names.compare(theirs, &answer) {
            panic!("{tool} {args}: {why}\ntheirs {theirs}\nours   {answer}");
        }
    }
}

/// What the reference's workers call next, as they call it.
fn go_on(ours: &mut Client, runs: &[String]) {
    let step = json!({"run_id": runs[0], "step": 3, "output": {"rows": 30}});
    assert_eq!(ours.call("workflow_checkpoint", step)["ok"], true);
    let claim = json!({"run_id": runs[2], "agent_id": "worker-3"});
    assert_eq!(ours.call("workflow_claim", claim)["claimed"], true);
    let renew = json!({"resource_id": "db/main", "holder_id": "worker-1", "ttl_seconds": 600});
    assert_eq!(ours.call("lease_renew", renew)["renewed"], true);
    let set = ours.call("state_set", json!({"key": "config/model", "value": 3}));
    assert_eq!(set["ok"], true);
    let log = ours.call("history_log", json!({"key": "config/model", "n": 1}));
    assert_eq!(log["entries"][0]["previous_value"]["t"], 0.7, "{log}");
}
