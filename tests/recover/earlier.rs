//! Data of the previous release gives the same answers in this one: the folder of a
//! node, logs that are decided again by the rules of their time, and an export.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mcp_state_sidecar::access::Caller;
use mcp_state_sidecar::api::mcp::tools;
use mcp_state_sidecar::service::{Options, Service};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::sqlite::{self, SqliteStore};
use serde_json::Value;

use crate::programs::{done, path, setting};
use crate::survivor;
use support::recorded::comparable;

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/release-0.1.0").join(name)
}

fn json(file: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Unpacks a node's data directory, and returns its path.
fn unpack(archive: &str, into: &Path) -> PathBuf {
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(recorded(archive)).arg("-C").arg(into);
    assert!(tar.status().expect("there is a tar").success(), "{archive} does not unpack");
    let node = Path::new(archive).file_name().unwrap().to_str().unwrap();
    into.join(node.trim_end_matches(".tar.gz"))
}

/// Asks a store the recorded questions, as of the same moment.
async fn answers_alike(store: Arc<dyn Store>, clock: Arc<ManualClock>, folder: &str) {
    let service = Service::new(store, Options { clock, ..Options::default() });
    let asked = json(recorded(folder).join("answers.json"));
    let asked = asked.as_array().expect("a list of calls");
    assert!(asked.len() > 150, "only {} calls", asked.len());
    for call in asked {
        let name = call["tool"].as_str().expect("a name");
        let tool = tools::find(name).expect("the tool is still there");
        let arguments = call["args"].as_object().expect("arguments").clone();
        let answered = tools::call(&service, &Caller::local(), tool, arguments).await;
        let answered = serde_json::from_str(&answered.structured).unwrap();
        let (answered, recorded) = comparable(answered, call["result"].clone());
        for (member, value) in recorded.as_object().expect("an object") {
            assert_eq!(&answered[member], value, "{member} of {name} {}", call["args"]);
        }
    }
}

/// A clock at the moment at which the state was recorded.
fn clock_of(folder: &str) -> Arc<ManualClock> {
    let seconds = json(recorded(folder).join("recorded.json"))["last_write_at"].as_f64().unwrap();
    ManualClock::at((seconds * 1000.0) as u64 + 1_000)
}

fn open(file: &Path, clock: Arc<ManualClock>) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(file, sqlite::Options::default(), clock).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_continues_where_the_previous_release_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let folder = unpack("raft/node1.tar.gz", dir.path());
    let clock = clock_of("raft");
    let store = survivor::of_cluster("recorded-one", &folder, clock.clone()).await;
    let head = json(recorded("raft/recorded.json"));
    let health = store.health().await;
    assert_eq!((health.revision.0, health.chain.to_string()), {
        (head["revision"].as_u64().unwrap(), head["chain"].as_str().unwrap().to_owned())
    });
    answers_alike(store.clone(), clock, "raft").await;
    survivor::submit(&*store, survivor::set("k", 1)).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_of_three_nodes_are_decided_as_before() {
    for node in ["node1", "node2", "node3"] {
        let dir = tempfile::tempdir().unwrap();
        let folder = unpack(&format!("raft-three/{node}.tar.gz"), dir.path());
        let file = dir.path().join("state.db");
        done(&[], &["recover", "--data-dir", path(&folder), "--to-sqlite", path(&file)]);
        let clock = clock_of("raft-three");
        let store = open(&file, clock.clone());
        answers_alike(store.clone(), clock, "raft-three").await;
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_the_previous_release_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.db");
    let env = [setting("DB_PATH", path(&file))];
    done(&env, &["import", path(&recorded("export/state.jsonl.zst"))]);
    let clock = clock_of("export");
    let store = open(&file, clock.clone());
    answers_alike(store.clone(), clock, "export").await;
    store.close().await;
}
