//! A change that one sidecar makes immediately wakes callers that wait on another.

use mcp_state_sidecar::store::Store;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::common::{PATIENCE, get, open, set, soon};
use support::client::{Client, Outcome};
use support::redis_server::{self, RedisServer};
use support::sidecar;

/// Changes of each of two stores, one after the other.
const ROUNDS: u64 = 200;

/// In which all of them are noticed; one look a second would take minutes.
const ROUNDS_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_another_wakes_who_waits() {
    if !redis_server::is_installed("noticed") {
        return;
    }
    let server = RedisServer::start();
    let (ours, theirs) = (open(&server, "p").await, open(&server, "p").await);
    let mut seen = theirs.revision();
    let rounds = async {
        for round in 1..=ROUNDS {
            set(&ours, "ping", round, soon()).await.unwrap();
            // Asking would tell the store of the change: only the watch may.
            let noticed = seen.wait_for(|seen| seen.0 >= round).await.unwrap();
            assert_eq!(noticed.0, round, "it leads");
            drop(noticed);
            assert_eq!(get(&theirs, "ping", soon()).await.unwrap(), Some(round));
        }
    };
    timeout(ROUNDS_WITHIN, rounds).await.expect("each change is noticed at once");
}

/// Changes that were made while nobody told of them are found afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_while_the_listener_was_cut_off_is_noticed() {
    if !redis_server::is_installed("cut off") {
        return;
    }
    let server = RedisServer::start();
    let (ours, theirs) = (open(&server, "p").await, open(&server, "p").await);
    let mut seen = theirs.revision();
    for round in 1..=20 {
        server.ask::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        set(&ours, "ping", round, soon()).await.unwrap();
        let noticed = timeout(PATIENCE, seen.wait_for(|seen| seen.0 >= round)).await;
        noticed.expect("it is noticed").unwrap();
    }
}

/// Over MCP: the waiting call on one sidecar ends with the change on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_wait_on_one_sidecar_ends_with_a_change_on_another() {
    if !redis_server::is_installed("state_wait") {
        return;
    }
    let server = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let settings = [("STATE_BACKEND", "redis"), ("REDIS_URL", &*server.url())];
    let sidecars = sidecar::start_all(2, dir.path(), &settings).await;
    let (here, there) = (Client::new(sidecars[0].port), Client::new(sidecars[1].port));
    let mut revision = 0;
    let rounds = async {
        for round in 1..=20 {
            let wait = json!({"key": "k", "after_revision": revision, "timeout_seconds": 50});
            let waits = answer(&there, "state_wait", wait);
            let sets = answer(&here, "state_set", json!({"key": "k", "value": round}));
            let (waited, set) = tokio::join!(waits, sets);
            assert_eq!(waited["changed"], json!(true), "{waited}");
            assert_eq!(waited["events"][0]["new_value"], json!(round), "{waited}");
            revision = set["revision"].as_u64().unwrap();
        }
    };
    timeout(ROUNDS_WITHIN, rounds).await.expect("each change ends the wait at once");
}

async fn answer(client: &Client, tool: &str, arguments: Value) -> Value {
    match client.call(tool, arguments).await {
        Outcome::Answer(answer) => answer,
        other @ (Outcome::Unavailable | Outcome::Unknown) => panic!("{tool}: {other:?}"),
    }
}
