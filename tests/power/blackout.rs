//! A blackout: all three nodes of a cluster lose power at one instant, under
//! load, again and again. Each has a disk of its own that forgets what was not
//! synced, or a part of it. Afterwards all that any node acknowledged must be
//! there, on every node, in one history.
//!
//! `SEED` repeats the choices, `CUTS` sets how often power goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::raft::consensus::options;
use mcp_state_sidecar::store::raft::consensus::types::{NodeId, Peer};
use mcp_state_sidecar::store::raft::{Options, RaftStore, rpc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::told::{Ledger, PATIENCE, WRITERS, Writer, check};
use support::cluster::Running;
use support::crash_disk::{CrashDisk, Cut};
use support::{seed, small_options};

pub const NODES: usize = 3;
const DISK_BYTES: u64 = 192 << 20;
const CUTS: usize = 5;
/// Cuts of the same disks before the next are formatted.
const CUTS_OF_A_DISK: usize = 7;
/// How far into the load power goes.
const LOAD_MS: std::ops::Range<u64> = 20..1_500;
const START_MS: u64 = 1_700_000_000_000;

#[derive(Debug, Default)]
struct Totals {
    acknowledged: usize,
    events: usize,
    doubts_kept: usize,
    doubts_gone: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_all_nodes_lose_power() {
    let Some(first) = CrashDisk::new_or_say_why(DISK_BYTES) else { return };
    let cuts = std::env::var("CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(seed("blackout"));
    let mut disks = vec![first];
    let mut addrs = Vec::new();
    let (mut ledger, mut totals) = (Ledger::new(), Totals::default());
    for number in 0..cuts {
        if number % CUTS_OF_A_DISK == 0 {
            disks.clear();
            disks.extend((0..NODES).map(|_| CrashDisk::new(DISK_BYTES).unwrap()));
            addrs = free_addrs().await;
            ledger = Ledger::new();
        }
        let nodes = start(&disks, &addrs).await;
        let stores: Vec<_> = nodes.iter().map(|node| node.store.clone()).collect();
        check_all(&stores, &mut ledger, &mut totals).await;
        let writer = |number: usize, seed| {
            let store = stores[number % NODES].clone();
            tokio::spawn(Writer::new(store, &ledger, number, seed).write())
        };
        let writers: Vec<_> = (0..WRITERS).map(|number| writer(number, rng.random())).collect();
        sleep(Duration::from_millis(rng.random_range(LOAD_MS))).await;
        let cut = |_| Cut {
            writes: 0,
            seed: rng.random(),
            keep_percent: [0, 30, 70][number % 3],
            tear_bytes: [4096, 512][number / 3 % 2],
        };
        let cut: Vec<Cut> = (0..NODES).map(cut).collect();
        CrashDisk::cut_together(&disks, &cut);
        for writer in writers {
            let ended = writer.await.unwrap();
            totals.acknowledged += ended.acknowledged;
            ledger.extend(ended.told);
        }
        drop(stores);
        join_all(nodes.into_iter().map(Running::end)).await;
        disks = disks.into_iter().map(CrashDisk::restart).collect();
    }
    let nodes = start(&disks, &addrs).await;
    let stores: Vec<_> = nodes.iter().map(|node| node.store.clone()).collect();
    check_all(&stores, &mut ledger, &mut totals).await;
    drop(stores);
    join_all(nodes.into_iter().map(Running::end)).await;
    eprintln!("{cuts} blackouts: {totals:?}");
    assert!(totals.acknowledged > cuts, "hardly anything was acknowledged: {totals:?}");
}

/// Where the nodes of a cluster will listen.
pub async fn free_addrs() -> Vec<String> {
    let mut listeners = Vec::new();
    for _ in 0..NODES {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

/// Listens again once whoever did so before has let go.
async fn listen(addr: &str) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{addr}: {error}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Starts a node on each disk.
pub async fn start(disks: &[CrashDisk], addrs: &[String]) -> Vec<Running> {
    let members: BTreeMap<NodeId, Peer> = (1..).zip(addrs.iter().map(Peer::at)).collect();
    let mut nodes = Vec::new();
    for ((id, disk), addr) in (1..).zip(disks).zip(addrs) {
        let listener = listen(addr).await;
        let options = Options {
            cluster_name: "blackout".to_owned(),
            node_id: id,
            members: members.clone(),
            url: String::new(),
            data_dir: disk.path().join("node"),
            secret: None,
            limits: Default::default(),
            speaks: rpc::SPEAKS,
            // Snapshots and purges under way when power goes.
            consensus: options::Options {
                snapshot_entries: 40,
                keep_entries: 10,
                ..options::Options::default()
            },
            log: small_options(),
        };
        let started = Running::start(options, ManualClock::at(START_MS), listener).await;
        nodes.push(started.unwrap_or_else(|error| panic!("node {id}: {error}")));
    }
    nodes
}

/// On every node all that was acknowledged, and the same history.
async fn check_all(stores: &[Arc<RaftStore>], ledger: &mut Ledger, totals: &mut Totals) {
    for (at, store) in stores.iter().enumerate() {
        let found = check(store, ledger).await.unwrap();
        if at == 0 {
            totals.events = totals.events.max(found.events);
            totals.doubts_kept += found.doubts_kept;
            totals.doubts_gone += found.doubts_gone;
        }
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let heads = join_all(stores.iter().map(|store| store.health())).await;
        let mut heads = heads.iter().map(|health| (health.revision, health.chain));
        let first = heads.next().expect("three nodes");
        if heads.all(|head| head == first) {
            return;
        }
        assert!(Instant::now() < deadline, "the nodes' histories stay apart");
        sleep(Duration::from_millis(10)).await;
    }
}
