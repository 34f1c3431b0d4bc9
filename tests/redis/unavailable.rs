//! A Redis that is not there. Calls end before their deadlines, what their errors say
//! is true, and calls succeed again when it is back.

use std::time::Duration;

use mcp_state_sidecar::machine::Reply;
use mcp_state_sidecar::store::redis::RedisStore;
use mcp_state_sidecar::store::{Store, StoreError};
use tokio::time::Instant;

use crate::common::{get, open, set, soon};
use support::redis_server::{self, DURABLE, RedisServer};

/// Shorter than the store waits for a connection by itself.
const DEADLINE: Duration = Duration::from_millis(700);

/// What a busy machine may add.
const LATE: Duration = Duration::from_millis(700);

/// Calls at a time.
const CALLS: u64 = 20;

/// What was said of each write, none of which may be acknowledged.
async fn writes_end_in_time(store: &RedisStore, name: &str) -> Vec<StoreError> {
    let began = Instant::now();
    let keys: Vec<String> = (0..CALLS).map(|n| format!("{name}-{n}")).collect();
    let calls = keys.iter().map(|key| set(store, key, 1, began + DEADLINE));
    let ended = futures::future::join_all(calls).await;
    assert!(began.elapsed() < DEADLINE + LATE, "writes took {:?}", began.elapsed());
    ended.into_iter().map(|ended| ended.expect_err("nobody was there")).collect()
}

async fn reads_end_in_time(store: &RedisStore) {
    let began = Instant::now();
    let ended = get(store, "before", began + DEADLINE).await;
    assert!(began.elapsed() < DEADLINE + LATE, "a read took {:?}", began.elapsed());
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
}

/// What was said not to be written is not there, and never comes.
async fn told_the_truth(store: &RedisStore, name: &str, told: &[StoreError]) {
    let written = set(store, "after", 1, soon()).await;
    assert!(matches!(&written, Ok(Reply::Set(written)) if written.ok), "{written:?}");
    assert_eq!(get(store, "before", soon()).await.unwrap(), Some(1), "lost");
    for (n, told) in told.iter().enumerate() {
        let there = get(store, &format!("{name}-{n}"), soon()).await.unwrap().is_some();
        match told {
            StoreError::Unavailable(_) => assert!(!there, "{name}-{n} was written after all"),
            StoreError::Unknown(_) => {}
            StoreError::Storage(_) => panic!("{name}-{n}: {told}"),
        }
    }
    assert_eq!(store.health().await.fault, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_dead_calls_are_refused_in_time() {
    if !redis_server::is_installed("dead") {
        return;
    }
    let mut server = RedisServer::start_with(DURABLE);
    let store = open(&server, "dead").await;
    set(&store, "before", 1, soon()).await.unwrap();
    server.kill();
    let told = writes_end_in_time(&store, "dead").await;
    reads_end_in_time(&store).await;
    // The first may have been sent before anyone knew.
    let later = writes_end_in_time(&store, "later").await;
    let unavailable = |told: &StoreError| matches!(told, StoreError::Unavailable(_));
    assert!(later.iter().all(unavailable), "nothing was sent: {later:?}");
    assert!(later.iter().all(|told| told.to_string().lines().count() == 1), "{later:?}");
    assert!(store.health().await.fault.is_some(), "it is not well");
    server.restart();
    told_the_truth(&store, "dead", &told).await;
    told_the_truth(&store, "later", &later).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_frozen_calls_end_in_time() {
    if !redis_server::is_installed("frozen") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "frozen").await;
    set(&store, "before", 1, soon()).await.unwrap();
    server.pause();
    let told = writes_end_in_time(&store, "frozen").await;
    reads_end_in_time(&store).await;
    server.go_on();
    told_the_truth(&store, "frozen", &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_it_says_so_and_reads_go_on() {
    if !redis_server::is_installed("full") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "full").await;
    set(&store, "before", 1, soon()).await.unwrap();
    server.set("maxmemory", "1");
    let told = writes_end_in_time(&store, "full").await;
    let says = |told: &StoreError| matches!(told, StoreError::Unavailable(why) if why.contains("out of memory"));
    assert!(told.iter().all(says), "{told:?}");
    assert_eq!(get(&store, "before", soon()).await.unwrap(), Some(1));
    server.set("maxmemory", "0");
    told_the_truth(&store, "full", &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demoted_it_says_so() {
    if !redis_server::is_installed("demoted") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "demoted").await;
    set(&store, "before", 1, soon()).await.unwrap();
    server.demote();
    let told = writes_end_in_time(&store, "demoted").await;
    let says =
        |told: &StoreError| matches!(told, StoreError::Unavailable(why) if why.contains("replica"));
    assert!(told.iter().all(says), "{told:?}");
    server.promote();
    told_the_truth(&store, "demoted", &told).await;
}
