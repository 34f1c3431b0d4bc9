//! Nodes that were down, one for longer than the log is kept, or all of them at once;
//! and replicas that are compared byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::raft::Options;

use support::cluster::Cluster;
use support::raft_calls::{everything, get, history, mixed, set, soon, until, whole_history, work};

const SNAPSHOT_ENTRIES: u64 = 40;
/// How often peers restart before an archive must have fetched what it lacks.
const ARCHIVED_WITHIN: usize = 5;

/// Takes a snapshot after few entries, and keeps hardly any behind it.
fn small_snapshots(options: &mut Options) {
    options.consensus.snapshot_entries = SNAPSHOT_ENTRIES;
    options.consensus.keep_entries = 10;
}

async fn load(store: &dyn Store, numbers: std::ops::Range<u64>) {
    for n in numbers {
        store.submit(mixed(n), soon()).await.unwrap();
    }
}

/// Compares everything that can be asked of the nodes, once all are at one
/// revision and nobody writes.
async fn assert_all_equal(cluster: &Cluster) {
    cluster.assert_replicas_equal().await;
    let mut stores = cluster.stores();
    let first = stores.next().unwrap();
    let (state, events) = (everything(&*first).await, whole_history(&*first).await);
    for other in stores {
        assert_eq!(everything(&*other).await, state);
        assert_eq!(whole_history(&*other).await, events);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_away_for_longer_than_the_log_comes_back_by_snapshot() {
    let mut cluster = Cluster::start_with(small_snapshots).await;
    load(&*cluster.any(), 0..30).await;
    work(&*cluster.any(), 1_001, false).await;
    let leader = cluster.leader().await;
    let away = (leader + 1) % 3;
    let missed_from = cluster.store(away).health().await.cluster.unwrap().last_log_index;
    cluster.stop(away).await;
    load(&*cluster.any(), 30..300).await;
    work(&*cluster.any(), 1_002, true).await;
    let leader = cluster.store(leader);
    until("the missed entries are purged", || async {
        let snapshot = leader.health().await.cluster.unwrap().snapshot_index;
        snapshot > missed_from + 5 * SNAPSHOT_ENTRIES
    })
    .await;
    // Writes go on while it comes back.
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (stop, written, leader) = (stop.clone(), written.clone(), leader.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Acquire) {
                let n = written.load(Ordering::Acquire);
                load(&*leader, 300 + n..301 + n).await;
                let key = format!("during/{n}");
                leader.submit(set(&key, "1"), soon()).await.unwrap();
                written.store(n + 1, Ordering::Release);
            }
        })
    };
    cluster.restart(away).await;
    let back = cluster.store(away);
    until("it has caught up", || async { back.health().await.cluster.unwrap().caught_up }).await;
    let before = written.load(Ordering::Acquire);
    until("writes go on", || async { written.load(Ordering::Acquire) > before + 20 }).await;
    stop.store(true, Ordering::Release);
    writer.await.unwrap();
    for n in 0..written.load(Ordering::Acquire) {
        assert_eq!(get(&*back, &format!("during/{n}")).await.as_deref(), Some("1"), "{n}");
    }
    assert_all_equal(&cluster).await;

    // Its archive has fetched the events that it missed, so it needs no peer to
    // answer.
    let events = whole_history(&*back).await;
    drop(leader);
    for attempt in 0.. {
        for at in (0..3).filter(|at| *at != away) {
            cluster.stop(at).await;
        }
        match history(&*back).await {
            Ok(alone) => {
                assert_eq!(alone, events);
                return;
            }
            Err(why) => assert!(attempt < ARCHIVED_WITHIN, "its archive lacks some: {why}"),
        }
        for at in (0..3).filter(|at| *at != away) {
            cluster.restart(at).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_at_once_come_back_with_everything() {
    let mut cluster = Cluster::start_with(small_snapshots).await;
    load(&*cluster.any(), 0..130).await;
    work(&*cluster.any(), 1_001, false).await;
    cluster.assert_replicas_equal().await;
    let before = cluster.any();
    let (state, events) = (everything(&*before).await, whole_history(&*before).await);
    drop(before);
    for _ in 0..2 {
        cluster.stop_all().await;
        cluster.restart_all().await;
        assert!(get(&*cluster.any(), "other/6").await.is_some());
        assert_all_equal(&cluster).await;
        for store in cluster.stores() {
            assert_eq!(everything(&*store).await, state);
            assert_eq!(whole_history(&*store).await, events);
        }
    }
    // Requests are still remembered, even those that were purged from the log.
    let again = cluster.any().submit(mixed(8), soon()).await.unwrap();
    let revision = cluster.any().health().await.revision;
    assert_eq!(revision.0 as usize, events.len(), "{again:?}");
    load(&*cluster.any(), 130..200).await;
    assert_all_equal(&cluster).await;
}

/// Snapshots hold every table, including those for requests and sessions, which no
/// question shows.
#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_one_entry_are_the_same_bytes_on_every_node() {
    let cluster = Cluster::start_with(small_snapshots).await;
    let mut found: BTreeMap<String, BTreeMap<usize, Vec<u8>>> = BTreeMap::new();
    let mut compared = 0;
    for n in 0..40 * SNAPSHOT_ENTRIES {
        // Alternate between the nodes, so that the session of each is remembered.
        let store = cluster.store(n as usize % 3);
        store.submit(mixed(n), soon()).await.unwrap();
        for at in 0..3 {
            for file in fs::read_dir(cluster.options(at).data_dir.join("snapshots")).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if name.ends_with(".snapshot")
                    && !found.get(&name).is_some_and(|nodes| nodes.contains_key(&at))
                    && let Ok(bytes) = fs::read(path)
                {
                    found.entry(name).or_default().insert(at, bytes);
                }
            }
        }
        compared = found.values().filter(|nodes| nodes.len() == 3).count();
        if compared >= 3 {
            break;
        }
    }
    for (name, nodes) in &found {
        let mut all = nodes.iter();
        let (first, bytes) = all.next().unwrap();
        for (other, others) in all {
            assert!(bytes == others, "{name} differs on {first} and {other}");
        }
    }
    let names: Vec<_> = found.iter().map(|(name, nodes)| (name, nodes.len())).collect();
    assert!(compared >= 3, "nodes never took snapshots of one entry: {names:?}");
}
