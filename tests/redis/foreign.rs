//! A Redis that other programs share: keys of other applications with names like the
//! reference's, other prefixes, and sidecars that only read.

use std::process::Command;

use mcp_state_sidecar::store::redis::{MoveIn, Options, RedisClock, RedisOpenError, RedisStore};

use crate::common::{get, open};
use crate::migration::{counts, filled, refused};
use support::redis_server::{self, RedisServer};

/// What a web application and a job queue keep in their cache.
const OTHERS: [(&str, &str); 6] = [
    ("session:web-2", "{\"user\":\"alice\"}"),
    ("session:abc", "a:1:{s:4:\"user\";}"),
    ("kv:cart", "[1,2]"),
    ("lease:job-1", "{\"owner\":\"a\",\"expires_at\":1795356416}"),
    ("lease:job-2", "worker-7"),
    ("wf:meta:doc", "{\"title\":\"a page\"}"),
];

const NOTHING: (u64, u64, u64, u64, u64) = (0, 0, 0, 0, 0);

async fn opened(url: String, move_in: MoveIn) -> RedisStore {
    let options = Options { url, move_in, ..Options::default() };
    RedisStore::open(options, RedisClock::Server).await.expect("it opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_other_applications_stay_theirs_until_told_otherwise() {
    if !redis_server::is_installed("foreign keys") {
        return;
    }
    let server = RedisServer::start();
    for (key, value) in OTHERS {
        server.ask::<()>(&["SET", key, value]);
    }
    server.ask::<()>(&["HSET", "kv:settings", "a", "1"]);
    let before = server.keys().len();
    assert_eq!(counts(&opened(server.url(), MoveIn::Auto).await).await, NOTHING);
    assert_eq!(counts(&opened(server.url(), MoveIn::Never).await).await, NOTHING);
    let line = refused(&server.url(), MoveIn::Always).await;
    assert!(line.contains("kv:settings: a hash") && line.contains("=never"), "{line}");
    assert_eq!(server.keys().len(), before, "something was changed");
    // All that is left has the reference's form, though nothing shows it.
    for key in ["session:abc", "lease:job-1", "lease:job-2", "wf:meta:doc", "kv:settings"] {
        server.ask::<()>(&["DEL", key]);
    }
    assert_eq!(counts(&opened(server.url(), MoveIn::Auto).await).await, NOTHING);
    let told = opened(server.url(), MoveIn::Always).await;
    assert_eq!(counts(&told).await, (1, 0, 0, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_database_is_taken_over_under_one_prefix() {
    if !redis_server::is_installed("foreign keys") {
        return;
    }
    let server = filled();
    let (one, other) = tokio::join!(open(&server, "one"), open(&server, "other"));
    let mut found = [counts(&one).await, counts(&other).await];
    found.sort_unstable();
    assert_eq!(found, [NOTHING, (3, 3, 3, 1, 1)]);
    assert_eq!(counts(&open(&server, "third").await).await, NOTHING);
    let always = Options {
        url: server.url(),
        prefix: "fourth".into(),
        move_in: MoveIn::Always,
        ..Options::default()
    };
    let store = RedisStore::open(always, RedisClock::Server).await.expect("it opens");
    assert_eq!(counts(&store).await, NOTHING);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_died_after_marking_the_database_goes_on() {
    if !redis_server::is_installed("foreign keys") {
        return;
    }
    let server = filled();
    server.ask::<()>(&["SET", "{mcp-state-sidecar}:moved-in", "sidecar"]);
    assert_eq!(counts(&open(&server, "sidecar").await).await, (3, 3, 3, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_see_no_other_keys_begins_without_them() {
    if !redis_server::is_installed("foreign keys") {
        return;
    }
    let server = filled();
    let rights = [
        &["~{sidecar}:*"][..],
        &["~{sidecar}:*", "~{mcp-state-sidecar}:*"],
        &["~{sidecar}:*", "~{mcp-state-sidecar}:*", "~wf:*", "~lease:*"],
    ];
    for (at, keys) in rights.into_iter().enumerate() {
        let begin = ["ACL", "SETUSER", "own", "reset", "on", ">secret", "&*", "+@all"];
        server.ask::<()>(&[&begin, keys].concat());
        let url = format!("redis://own:secret@127.0.0.1:{}", server.port());
        if at < 2 {
            let store = opened(url, MoveIn::Auto).await;
            assert_eq!(counts(&store).await, NOTHING);
            assert_eq!(get(&store, "flag", crate::common::soon()).await.unwrap(), None);
        } else {
            // The reference shows, and half of what it stored does not.
            let line = refused(&url, MoveIn::Auto).await;
            assert!(line.contains("may not do"), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_takes_nothing_over() {
    if !redis_server::is_installed("foreign keys") {
        return;
    }
    let server = filled();
    let before = server.keys().len();
    let dir = tempfile::tempdir().unwrap();
    let export = |move_in: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"));
        program.env_clear().current_dir(dir.path()).args(["export", "state.jsonl"]);
        program.env("STATE_BACKEND", "redis").env("REDIS_URL", server.url());
        program.env("SIDECAR_REDIS_MOVE_IN", move_in).output().expect("the program runs")
    };
    let output = export("auto");
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && line.contains("not been taken over yet"), "{line}");
    assert!(!dir.path().join("state.jsonl").exists());
    let output = export("never");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.keys().len(), before, "something was changed");
    let options = || Options { url: server.url(), ..Options::default() };
    let refused = RedisStore::open_to_read(options(), RedisClock::Server).await.err();
    assert!(matches!(refused, Some(RedisOpenError::Unfit { .. })), "{refused:?}");
    // Taken over, it is there.
    drop(open(&server, "sidecar").await);
    let store = RedisStore::open_to_read(options(), RedisClock::Server).await.expect("it opens");
    assert_eq!(counts(&store).await, (3, 3, 3, 1, 1));
}
