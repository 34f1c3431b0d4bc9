//! A state that release 0.1.0 left (`tests/recorded/release-0.1.0/redis`) in its old
//! format. It is upgraded when it is first opened, and it gives the same answers as
//! before.

use std::path::{Path, PathBuf};

use mcp_state_sidecar::machine::size::counted_bytes;
use mcp_state_sidecar::machine::{Answer, Question, Row};
use mcp_state_sidecar::store::redis::{
    Options, RedisClock, RedisImport, RedisImportError, RedisStore,
};
use mcp_state_sidecar::store::{Consistency, Store};
use serde_json::{Value, json};

use crate::common::{get, open, set, soon};
use crate::export::{chain_holds, whole};
use support::client::Client;
use support::recorded::comparable;
use support::redis_server::{self, RedisServer};
use support::sidecar::start_all;

/// Keys of the state's form that are left, or come.
const PRESENT: [&str; 8] =
    ["commits", "entry", "event", "event:by", "kept", "kept:entry", "meta", "name"];

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/release-0.1.0/redis").join(name)
}

/// A server that begins with what was recorded; none where its Redis is too old
/// for the dump's form.
fn filled() -> Option<RedisServer> {
    if !redis_server::is_installed("a recorded state") {
        return None;
    }
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::copy(recorded("dump.rdb"), dir.path().join("dump.rdb")).expect("it is there");
    Some(RedisServer::start_in(dir, &["--dbfilename", "dump.rdb"]))
}

/// What was asked then, and answered.
fn answers() -> Vec<Value> {
    let text = std::fs::read_to_string(recorded("answers.json")).expect("it is there");
    serde_json::from_str(&text).expect("JSON")
}

fn keys(server: &RedisServer) -> Vec<String> {
    let mut keys = server.keys();
    keys.sort();
    keys
}

async fn refused(server: &RedisServer) -> String {
    let options = Options { url: server.url(), ..Options::default() };
    let refused = RedisStore::open(options, RedisClock::Server).await.err();
    refused.expect("it is refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_left_behind() {
    let Some(server) = filled() else { return };
    let told = answers().remove(0)["result"].clone();
    // Two at a time: one brings it up, and the other one finds it so.
    let (store, other) = tokio::join!(open(&server, "sidecar"), open(&server, "sidecar"));
    let health = other.health().await;
    assert_eq!(json!(health.revision.0), told["revision"]);
    assert_eq!(json!(health.chain.to_string()), told["chain"]);
    assert_eq!(json!(health.state_bytes), told["state_bytes"]);
    let asked = store.ask(Question::Counts, Consistency::Local, soon()).await.expect("an answer");
    let Answer::Counts(counts) = asked.answer else { panic!("no counts: {asked:?}") };
    let counts = [counts.keys, counts.runs, counts.steps, counts.leases, counts.sessions];
    let names = ["key_count", "workflow_count", "step_count", "lease_count", "session_count"];
    assert_eq!(counts.map(|count| json!(count)), names.map(|name| told[name].clone()));
    let (meta, rows, events) = whole(&store).await;
    chain_holds(&meta, &events);
    assert_eq!(rows.iter().map(counted_bytes).sum::<u64>(), meta.state_bytes);
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Request(..))).count(), 7);
    let found = keys(&server);
    let left = found.iter().filter(|key| !key.ends_with(":row"));
    let present = PRESENT.map(|name| format!("{{sidecar}}:{name}"));
    assert_eq!(left.collect::<Vec<_>>(), present.iter().collect::<Vec<_>>());
    // And it goes on.
    set(&store, "kv/plain", 3, soon()).await.expect("a write");
    assert_eq!(get(&other, "kv/plain", soon()).await.expect("an answer"), Some(3));
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_as_before() {
    let Some(server) = filled() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let settings = [("STATE_BACKEND", "redis"), ("REDIS_URL", &*server.url())];
    let sidecars = start_all(1, dir.path(), &settings).await;
    let client = Client::at(&sidecars[0].host, sidecars[0].port);
    // The first is about the moment; see the other test.
    for asked in answers().into_iter().skip(1) {
        let (tool, args) = (asked["tool"].as_str().expect("a name"), &asked["args"]);
        let answer = client.answer(tool, args.clone()).await;
        let (answer, told) = comparable(answer, asked["result"].clone());
        assert_eq!(answer, told, "{tool} {args}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_sidecar_that_serves_it_it_stays_as_it_is() {
    let Some(server) = filled() else { return };
    let before = keys(&server);
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut listening = client.get_async_pubsub().await.expect("it is ours");
    listening.subscribe("{sidecar}:changes").await.expect("it is ours");
    let line = refused(&server).await;
    assert!(line.contains("format of an older version") && line.contains("stop them"), "{line}");
    assert_eq!(keys(&server), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_reads_changes_nothing() {
    let Some(server) = filled() else { return };
    let before = keys(&server);
    let options = || Options { url: server.url(), ..Options::default() };
    let refused = RedisStore::open_to_read(options(), RedisClock::Server).await.err();
    let line = refused.expect("it is refused").to_string();
    assert!(line.contains("start a sidecar here once"), "{line}");
    let meta = Default::default();
    let refused = RedisImport::begin(options(), meta, false).await.err();
    assert!(matches!(&refused, Some(RedisImportError::NotEmpty { .. })), "{refused:?}");
    assert_eq!(keys(&server), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_one_stays_as_it_is() {
    let Some(server) = filled() else { return };
    server.ask::<()>(&["HSET", "{sidecar}:run", "wf-damaged", "no row"]);
    let before = keys(&server);
    let line = refused(&server).await;
    assert!(line.contains("format of an older version") && line.contains("damaged"), "{line}");
    let left = keys(&server);
    let coming = |key: &&String| !key.contains(":import:");
    assert_eq!(left.iter().filter(coming).collect::<Vec<_>>(), before.iter().collect::<Vec<_>>());
}
