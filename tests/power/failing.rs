//! Disks that fail beside others that work: the node says so and serves nobody,
//! the cluster goes on with another leader, nothing that was acknowledged is
//! missing, and once its disk works the node comes back.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mcp_state_sidecar::machine::{Json, Reply, Text};
use mcp_state_sidecar::store::raft::RaftStore;
use mcp_state_sidecar::store::{Role, Store};
use tokio::time::{Instant, sleep};

use super::blackout::{NODES, free_addrs, start};
use super::told::{Ledger, PATIENCE, Told, check, set};
use support::cluster::Running;
use support::crash_disk::CrashDisk;

/// Small, so that it is soon full.
const DISK_BYTES: u64 = 64 << 20;

/// A call that a node with a broken disk answers later than this hangs.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(20);

/// What is done to a disk, and how it is made good.
struct Fault {
    name: &'static str,
    breaks: fn(&CrashDisk),
    mends: fn(CrashDisk) -> CrashDisk,
}

const FAULTS: [Fault; 3] = [
    Fault {
        name: "syncs fail",
        breaks: |disk| disk.fail_syncs(u32::MAX),
        // The file system has given up; it holds what was synced.
        mends: CrashDisk::restart,
    },
    Fault {
        name: "full",
        breaks: |disk| fill(&disk.path()),
        mends: |disk| {
            fs::remove_file(disk.path().join("filler")).unwrap();
            disk
        },
    },
    Fault { name: "read-only", breaks: CrashDisk::turn_read_only, mends: CrashDisk::restart },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_fails_is_replaced_and_nothing_is_lost() {
    for fault in FAULTS {
        let Some(first) = CrashDisk::new_or_say_why(DISK_BYTES) else { return };
        let mut disks = vec![first];
        disks.extend((1..NODES).map(|_| CrashDisk::new(DISK_BYTES).unwrap()));
        let addrs = free_addrs().await;
        let nodes = start(&disks, &addrs).await;
        let stores: Vec<_> = nodes.iter().map(|node| node.store.clone()).collect();
        let mut ledger = Ledger::new();
        write(&stores[0], &mut ledger, 0..20).await;
        let leader = leader(&stores).await;
        (fault.breaks)(&disks[leader]);
        let broken = stores[leader].clone();
        let healthy: Vec<_> =
            stores.iter().filter(|store| !Arc::ptr_eq(store, &broken)).cloned().collect();
        // Calls to the others are carried out, however long it takes the broken
        // leader to notice: the log needs a new segment for that, where it is full.
        for number in 20..45 {
            write(&healthy[number as usize % 2], &mut ledger, number..number + 1).await;
        }
        let next = self::leader(&healthy).await;
        let asked = Instant::now();
        let call = broken.submit(request(1_000), asked + ANSWERED_WITHIN / 2).await;
        assert!(asked.elapsed() < ANSWERED_WITHIN, "{}: it hangs", fault.name);
        let told = broken.health().await.fault;
        match call {
            // It follows, and its log has room for the moment.
            Ok(_) => assert_eq!(told, None, "{}: serves with a fault", fault.name),
            Err(error) => assert!(told.is_some(), "{}: {error}, and no fault", fault.name),
        }
        eprintln!("{}: node {} leads; the broken one says {told:?}", fault.name, next + 1);
        drop((stores, healthy, broken));
        join_all(nodes.into_iter().map(Running::end)).await;
        let mended = (fault.mends)(disks.remove(leader));
        disks.insert(leader, mended);
        let nodes = start(&disks, &addrs).await;
        ledger.entry(key(1_000)).or_default().doubt = Some(Some(value(1_000)));
        for node in &nodes {
            check(&node.store, &mut ledger).await.unwrap();
        }
        join_all(nodes.into_iter().map(Running::end)).await;
    }
}

fn key(number: u64) -> Text {
    format!("key/{number}").into()
}

/// Large enough that some fill a segment.
fn value(number: u64) -> Json {
    Json::new(format!("\"{number}{}\"", "v".repeat(40_000)))
}

fn request(number: u64) -> mcp_state_sidecar::store::Request {
    set(&key(number), value(number))
}

/// Writes that are acknowledged, each tried until it is.
async fn write(store: &RaftStore, ledger: &mut Ledger, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let deadline = Instant::now() + PATIENCE;
        let written = store.submit(request(number), deadline).await;
        let Ok(Reply::Set(written)) = written else { panic!("{number}: {written:?}") };
        let known = Some((written.revision, Some(value(number))));
        ledger.insert(key(number), Told { known, doubt: None });
    }
}

/// Which of these leads, as it knows itself.
async fn leader(stores: &[Arc<RaftStore>]) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for (at, store) in stores.iter().enumerate() {
            let health = store.health().await;
            let leads = health.cluster.is_some_and(|cluster| cluster.role == Role::Leader);
            if leads && health.fault.is_none() {
                return at;
            }
        }
        assert!(Instant::now() < deadline, "nobody leads");
        sleep(LOOK).await;
    }
}

/// Leaves no room on a disk.
fn fill(folder: &Path) {
    let mut filler = File::create(folder.join("filler")).unwrap();
    let block = vec![0; 64 << 10];
    while filler.write_all(&block).is_ok() {}
    // The last blocks too.
    while filler.write_all(&[0]).is_ok() {}
    let _ = filler.sync_all();
}
