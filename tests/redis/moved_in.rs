//! A Redis that the Python reference filled: taken over when it is first
//! opened, once, by however many sidecars, and left as it was beside it.

use mcp_state_sidecar::machine::view::{RunFilter, Scan};
use mcp_state_sidecar::machine::{Answer, Question};
use mcp_state_sidecar::store::redis::{OpenError, Options, RedisClock, RedisStore};
use mcp_state_sidecar::store::{Consistency, Store};
use serde_json::Value;

use crate::common::{get, open, set, soon};
use crate::server::{self, RedisServer};

/// What one reference had stored: keys with type, remaining time and value.
const RECORDED: &str = include_str!("../recorded/redis-keys.json");

fn filled() -> RedisServer {
    let server = RedisServer::start();
    let keys: Value = serde_json::from_str(RECORDED).expect("the recorded keys are JSON");
    for (key, item) in keys.as_object().expect("keys by name") {
        match (item["type"].as_str(), &item["value"]) {
            (Some("set"), Value::Array(members)) => {
                for member in members {
                    server.ask::<()>(&["SADD", key, member.as_str().expect("a text")]);
                }
            }
            (Some("string"), Value::String(value)) => server.ask::<()>(&["SET", key, value]),
            other => panic!("{key}: {other:?}"),
        }
        if let Some(left_ms) = item["pttl"].as_u64() {
            server.ask::<()>(&["PEXPIRE", key, &left_ms.to_string()]);
        }
    }
    server
}

async fn ask(store: &RedisStore, question: Question) -> Answer {
    store.ask(question, Consistency::Linearizable, soon()).await.expect("an answer").answer
}

async fn counts(store: &RedisStore) -> (u64, u64, u64, u64, u64) {
    match ask(store, Question::Counts).await {
        Answer::Counts(c) => (c.keys, c.runs, c.steps, c.leases, c.sessions),
        other => panic!("not counts: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_reference_stored_is_there_once_and_its_keys_stay() {
    if !server::is_installed("moving in") {
        return;
    }
    let server = filled();
    let theirs = server.keys().len();
    // Two at once: one converts, the other finds it done.
    let (one, other) = tokio::join!(open(&server, "sidecar"), open(&server, "sidecar"));
    assert_eq!(counts(&one).await, (3, 3, 3, 1, 1));
    assert_eq!(counts(&other).await, (3, 3, 3, 1, 1));
    let Answer::Keys { rows, .. } =
        ask(&one, Question::Keys { scan: Scan::default(), limit: 10 }).await
    else {
        panic!("not keys")
    };
    let long = rows.iter().find(|(key, _)| &**key == "cache/long").expect("it is there");
    assert!(long.1.expires_at.is_some(), "its deadline was lost");
    let runs = Question::Runs { filter: RunFilter::default(), before: None, limit: 10 };
    let Answer::Runs { rows: runs, .. } = ask(&other, runs).await else { panic!("not runs") };
    assert!(runs.iter().any(|run| run.agent_id.as_deref() == Some("worker-1")), "{runs:?}");
    // Opened again, and changed: it is not taken over a second time.
    set(&one, "flag", 7, soon()).await.unwrap();
    let revision = one.health().await.revision;
    one.close().await;
    let again = open(&server, "sidecar").await;
    assert_eq!(again.health().await.revision, revision, "it was taken over again");
    assert_eq!(get(&again, "flag", soon()).await.unwrap(), Some(7));
    let left = server.keys().into_iter().filter(|key| !key.starts_with('{')).count();
    assert_eq!(left, theirs, "the reference's own keys were touched");
    let coming = server.keys().into_iter().filter(|key| key.contains(":import:")).count();
    assert_eq!(coming, 0, "an import left something behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_neither_the_references_nor_ours_is_refused_by_name() {
    if !server::is_installed("moving in") {
        return;
    }
    for (key, value) in [("session:abc", "no JSON"), ("wf:meta:x", "{}")] {
        let server = filled();
        server.ask::<()>(&["SET", key, value]);
        let before = server.keys().len();
        let options = Options { url: server.url(), ..Options::default() };
        let refused = RedisStore::open(options, RedisClock::Server).await.err();
        let line = refused.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(matches!(refused, Some(OpenError::Unfit { .. })), "{line}");
        assert!(line.contains(key) && line.contains("/1"), "{line}");
        assert_eq!(server.keys().len(), before, "something was changed");
    }
}
