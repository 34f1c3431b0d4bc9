//! What should never happen to a state and yet does: keys that hold something else,
//! turns that nobody ends, commits that Redis loses, and announcements that do not
//! arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mcp_state_sidecar::machine::Reply;
use mcp_state_sidecar::store::redis::{Options, RedisClock, RedisOpenError, RedisStore};
use mcp_state_sidecar::store::{Store, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::common::{PATIENCE, get, open, set, soon};
use support::redis_server::{self, RedisServer};

const META: &str = "{sidecar}:meta";

fn version(server: &RedisServer) -> u64 {
    server.ask(&["HGET", META, "version"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_do_all_of_it_is_refused() {
    if !redis_server::is_installed("rights") {
        return;
    }
    // Redis gives no right to any channel by default.
    let forbidden: [&[&str]; 3] =
        [&["~*", "+@all"], &["~*", "&*", "+@all", "-unlink"], &["~*", "&*", "+@all", "-xadd"]];
    for rights in forbidden {
        let user = [&["--user", "app", "on", ">pw"], rights].concat();
        let server = RedisServer::start_with(&user);
        let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
        let options = Options { url, ..Options::default() };
        let refused = RedisStore::open(options, RedisClock::Server).await.err();
        let line = refused.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(matches!(refused, Some(RedisOpenError::Unfit { .. })), "{rights:?}: {line}");
        assert!(line.contains("user may not"), "{rights:?}: {line}");
        let left = server.keys();
        assert!(left.iter().all(|key| key.ends_with(":proof")), "{rights:?}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_type_leaves_nothing_half_done() {
    if !redis_server::is_installed("types") {
        return;
    }
    for name in
        ["row", "name", "entry", "kept", "kept:entry", "event", "event:by", "commits", "queue"]
    {
        let server = RedisServer::start();
        let store = open(&server, "sidecar").await;
        set(&store, "a", 1, soon()).await.unwrap();
        let key = format!("{{sidecar}}:{name}");
        server.ask::<()>(&["DEL", &key]);
        server.ask::<()>(&["SET", &key, "of another program"]);
        let before = (version(&server), server.keys().len());
        let deadline = Instant::now() + std::time::Duration::from_millis(500);
        let refused = set(&store, "b", 2, deadline).await;
        assert!(
            matches!(refused, Err(StoreError::Storage(_) | StoreError::Unavailable(_))),
            "{name}: {refused:?}"
        );
        assert_eq!((version(&server), server.keys().len()), before, "{name}: half done");
        if name != "row" {
            let there = get(&store, "b", soon()).await;
            assert!(!matches!(there, Ok(Some(_))), "{name}: {there:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_without_its_position_is_damaged_and_not_begun_anew() {
    if !redis_server::is_installed("positions") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    for n in 0..5 {
        set(&store, "a", n, soon()).await.unwrap();
    }
    server.ask::<()>(&["DEL", META]);
    let refused = set(&store, "a", 9, soon()).await;
    assert!(matches!(refused, Err(StoreError::Storage(_))), "{refused:?}");
    assert_eq!(server.ask::<u64>(&["XLEN", "{sidecar}:event"]), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_half_done_is_never_called_undone() {
    if !redis_server::is_installed("rights taken away") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    set(&store, "a", 1, soon()).await.unwrap();
    // It was allowed when the sidecar began.
    server.ask::<()>(&["ACL", "SETUSER", "default", "-xadd"]);
    let told = set(&store, "b", 2, soon()).await;
    server.ask::<()>(&["ACL", "SETUSER", "default", "+xadd"]);
    let there = get(&store, "b", soon()).await.unwrap();
    match told {
        Err(StoreError::Unknown(_)) => {}
        Err(StoreError::Unavailable(_)) => assert_eq!(there, None, "{told:?}"),
        Err(StoreError::Storage(_)) | Ok(_) => panic!("{told:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_nobody_ends_ends_by_itself_by_whatever_clock() {
    if !redis_server::is_installed("turns") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    set(&store, "a", 1, soon()).await.unwrap();
    let now = server.ask::<Vec<String>>(&["TIME"])[0].parse::<u64>().unwrap() * 1000;
    for ends in [now + 50, now + 3_600_000] {
        server.ask::<()>(&["HSET", META, "turn", "ghost", "turn_until", &ends.to_string()]);
        // A ghost that waits, too: it is given the turn, and never ends it.
        server.ask::<()>(&["ZADD", "{sidecar}:queue", "1", "another-ghost"]);
        let written = set(&store, "a", ends, soon()).await;
        assert!(matches!(&written, Ok(Reply::Set(written)) if written.ok), "{written:?}");
        let written = set(&store, "a", ends, soon()).await;
        assert!(matches!(&written, Ok(Reply::Set(written)) if written.ok), "{written:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_commits_is_seen_although_it_counts_as_far_again() {
    if !redis_server::is_installed("losses") {
        return;
    }
    // Nothing of it is on a disk.
    let mut server = RedisServer::start();
    let one = open(&server, "sidecar").await;
    for n in 0..5 {
        set(&one, &format!("before-{n}"), n, soon()).await.unwrap();
    }
    let lost = one.health().await;
    server.kill();
    server.restart();
    let other = open(&server, "sidecar").await;
    for n in 0..5 {
        set(&other, &format!("after-{n}"), n, soon()).await.unwrap();
    }
    let present = other.health().await;
    assert_eq!(present.revision, lost.revision, "as far as before");
    assert_eq!(get(&one, "before-1", soon()).await.unwrap(), None);
    let seen = one.health().await;
    assert_eq!((seen.revision, seen.chain), (present.revision, present.chain), "not seen");
    // And what was decided over the lost ones is not written over the others.
    let written = set(&one, "last", 1, soon()).await;
    assert!(matches!(&written, Ok(Reply::Set(w)) if w.revision == lost.revision.next()));
}

/// Passes everything on between a store and its Redis, except, once told, what
/// is told to those who have subscribed by then.
struct Proxy {
    port: u16,
    swallow: AtomicBool,
    subscribed: AtomicUsize,
}

impl Proxy {
    async fn before(server: &RedisServer) -> Arc<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let proxy = Arc::new(Proxy {
            port: listener.local_addr().expect("it is bound").port(),
            swallow: AtomicBool::new(false),
            subscribed: AtomicUsize::new(0),
        });
        let (passing, to) = (proxy.clone(), server.port());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(passing.clone().pass(client, to));
            }
        });
        proxy
    }

    async fn pass(self: Arc<Self>, client: TcpStream, to: u16) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let deaf = Arc::new(AtomicBool::new(false));
        let (listens, proxy) = (deaf.clone(), self.clone());
        let up = async move {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
                if bytes[..read].windows(9).any(|word| word.eq_ignore_ascii_case(b"SUBSCRIBE")) {
                    // Those who come after it was told are not swallowed.
                    listens.store(!proxy.swallow.load(Ordering::SeqCst), Ordering::SeqCst);
                    proxy.subscribed.fetch_add(1, Ordering::SeqCst);
                }
                if to_server.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
        };
        let down = async move {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
                if deaf.load(Ordering::SeqCst) && self.swallow.load(Ordering::SeqCst) {
                    continue;
                }
                if to_client.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(up, down);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_hears_nothing_listens_anew() {
    if !redis_server::is_installed("deafness") {
        return;
    }
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    let options =
        Options { url: format!("redis://127.0.0.1:{}", proxy.port), ..Options::default() };
    let deaf = RedisStore::open(options, RedisClock::Server).await.expect("through the proxy");
    let other = open(&server, "sidecar").await;
    set(&other, "k", 0, soon()).await.unwrap();
    let mut watch = deaf.revision();
    let first = other.health().await.revision;
    let heard = watch.wait_for(|revision| *revision >= first);
    tokio::time::timeout(PATIENCE, heard).await.expect("in time").expect("it is told");
    assert_eq!(proxy.subscribed.load(Ordering::SeqCst), 1);
    proxy.swallow.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + PATIENCE;
    while proxy.subscribed.load(Ordering::SeqCst) == 1 {
        assert!(Instant::now() < deadline, "it never listened anew");
        set(&other, "k", 1, soon()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(get(&deaf, "k", soon()).await.unwrap(), Some(1));
}
