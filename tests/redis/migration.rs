//! A Redis that the Python reference filled. Its data is taken over when the store is
//! first opened, only once however many sidecars open it, and stays as it was beside the
//! new state.

use mcp_state_sidecar::machine::filter::RunFilter;
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::{Answer, Question};
use mcp_state_sidecar::store::redis::{MoveIn, Options, RedisClock, RedisOpenError, RedisStore};
use mcp_state_sidecar::store::{Consistency, Store};
use serde_json::Value;

use crate::common::{get, open, set, soon};
use support::redis_server::{self, RedisServer};

/// What one reference had stored: keys with type, remaining time and value.
const RECORDED: &str = include_str!("../recorded/redis-keys.json");

pub fn filled() -> RedisServer {
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

pub async fn counts(store: &RedisStore) -> (u64, u64, u64, u64, u64) {
    match ask(store, Question::Counts).await {
        Answer::Counts(c) => (c.keys, c.runs, c.steps, c.leases, c.sessions),
        other => panic!("not counts: {other:?}"),
    }
}

/// Opens what cannot be opened; gives the one line that says why.
pub async fn refused(url: &str, move_in: MoveIn) -> String {
    let options = Options { url: url.to_owned(), move_in, ..Options::default() };
    let refused = RedisStore::open(options, RedisClock::Server).await.err();
    let line = refused.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(matches!(refused, Some(RedisOpenError::Unfit { .. })), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_reference_stored_is_there_once_and_its_keys_stay() {
    if !redis_server::is_installed("moving in") {
        return;
    }
    let server = filled();
    let theirs = server.keys().len();
    // Two at once: one converts, the other finds it done.
    let (one, other) = tokio::join!(open(&server, "sidecar"), open(&server, "sidecar"));
    assert_eq!(counts(&one).await, (3, 3, 3, 1, 1));
    assert_eq!(counts(&other).await, (3, 3, 3, 1, 1));
    let Answer::Keys { rows, .. } =
        ask(&one, Question::Keys { scan: Scan::default(), page: Page::of_rows(10) }).await
    else {
        panic!("not keys")
    };
    let long = rows.iter().find(|(key, _)| &**key == "cache/long").expect("it is there");
    assert!(long.1.expires_at.is_some(), "its deadline was lost");
    let runs =
        Question::Runs { filter: RunFilter::default(), before: None, page: Page::of_rows(10) };
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
    if !redis_server::is_installed("moving in") {
        return;
    }
    for (key, value) in [("session:abc", "no JSON"), ("session:x", "[1]"), ("wf:meta:x", "{}")] {
        let server = filled();
        server.ask::<()>(&["SET", key, value]);
        let before = server.keys().len();
        let line = refused(&server.url(), MoveIn::Auto).await;
        assert!(line.contains(key) && line.contains("/1"), "{line}");
        assert_eq!(server.keys().len(), before, "something was changed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_is_said_and_taken_over_once_there_is_room() {
    if !redis_server::is_installed("moving in") {
        return;
    }
    let server = filled();
    let before = server.keys().len();
    server.set("maxmemory", "1");
    let line = refused(&server.url(), MoveIn::Auto).await;
    assert!(line.contains("out of memory"), "{line}");
    assert_eq!(server.keys().len(), before, "something was changed");
    server.set("maxmemory", "0");
    assert_eq!(counts(&open(&server, "sidecar").await).await, (3, 3, 3, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_at_the_last_step_does_not_pass_for_a_sidecar_that_was_first() {
    if !redis_server::is_installed("moving in") {
        return;
    }
    let server = filled();
    // The script that makes what has come the state asks first what is there.
    let user = |right: &str| {
        let rights = ["ACL", "SETUSER", "mover", "on", ">secret", "~*", "&*", "+@all", right];
        server.ask::<()>(&rights);
        format!("redis://mover:secret@127.0.0.1:{}", server.port())
    };
    let line = refused(&user("-exists"), MoveIn::Auto).await;
    assert!(line.contains("cannot be taken over") && line.contains("can't run"), "{line}");
    assert!(!server.keys().contains(&"{sidecar}:meta".into()), "a state has begun");
    let options = Options { url: user("+exists"), ..Options::default() };
    let store = RedisStore::open(options, RedisClock::Server).await.expect("it may, now");
    assert_eq!(counts(&store).await, (3, 3, 3, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_stay_however_long_the_reading_takes() {
    if !redis_server::is_installed("moving in") {
        return;
    }
    /// Some dozens of round trips.
    const KEYS: usize = 5_000;
    let server = filled();
    let names: Vec<String> = (0..KEYS).map(|n| format!("kv:{n:05}")).collect();
    let words: Vec<&str> = names.iter().flat_map(|name| [name, "1"]).collect();
    server.ask::<()>(&[&["MSET"], &words[..]].concat());
    let (seconds, _): (u64, u64) = server.ask(&["TIME"]);
    let deadline_ms = (seconds + 3_600) * 1_000 + 123;
    // Read last of all keys.
    server.ask::<()>(&["SET", "kv:~", "1", "PXAT", &deadline_ms.to_string()]);
    let store = open(&server, "sidecar").await;
    assert_eq!(counts(&store).await.0, KEYS as u64 + 4);
    let Answer::Key(Some(row)) = ask(&store, Question::Key { key: "~".into() }).await else {
        panic!("it is not there")
    };
    let moved = row.expires_at.expect("it expires").0.abs_diff(deadline_ms);
    // One of rounding, one of two clocks read one after the other.
    assert!(moved <= 2, "it moved by {moved} ms");
}
