//! Exports during which Redis goes away and comes back. They wait for a while and
//! then continue.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use mcp_state_sidecar::store::Store;
use tokio_util::sync::CancellationToken;

use crate::common::{all, get, open, soon};
use crate::large::{calls, set_all_large};
use support::redis_server::{self, RedisServer};

/// Large values of a state, so that it takes many pages.
const COUNT: u64 = 60;

/// Cuts every connection again and again, each time once another script was
/// answered.
async fn cut(server: &RedisServer, cuts: &AtomicU64, stop: &CancellationToken) {
    let mut seen = calls(server, "evalsha");
    while !stop.is_cancelled() {
        let now = calls(server, "evalsha");
        // Two: else nobody would ever get on.
        if now >= seen + 2 {
            server.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal"]);
            cuts.fetch_add(1, Ordering::Relaxed);
            seen = now;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_outlives_its_connections() {
    if !redis_server::is_installed("cut connections") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    set_all_large(&store, COUNT).await;
    let (cuts, stop) = (AtomicU64::new(0), CancellationToken::new());
    let exporting = async {
        let export = store.export(soon()).await;
        let while_gathered = cuts.load(Ordering::Relaxed);
        let exported = all(export.expect("an export")).await;
        stop.cancel();
        (exported, while_gathered)
    };
    let (((meta, rows, events), gathered), ()) =
        tokio::join!(exporting, cut(&server, &cuts, &stop));
    let cuts = cuts.load(Ordering::Relaxed);
    assert!(gathered > 0 && cuts > gathered, "cut {gathered} and {cuts} times only");
    assert_eq!((rows.len() as u64, events.len() as u64), (COUNT, COUNT));
    assert_eq!(events.last().map(|event| event.revision), Some(meta.revision));
    assert_eq!(get(&store, "none", soon()).await.expect("it goes on"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_waits_for_a_primary() {
    if !redis_server::is_installed("a demoted server") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    set_all_large(&store, COUNT).await;
    let mut export = store.export(soon()).await.expect("an export");
    let first = export.parts.next().await.expect("it begins").expect("parts");
    server.demote();
    let back = async {
        // Somebody has met the replica.
        while store.health().await.fault.is_none() {
            tokio::task::yield_now().await;
        }
        server.promote();
    };
    let ((_, rows, events), ()) = tokio::join!(all(export), back);
    assert_eq!((first.len() + rows.len()) as u64, COUNT);
    assert_eq!(events.len() as u64, COUNT);
}
