//! A whole node under power loss: the only member of its cluster, so that what
//! it acknowledged is nowhere else. Its log, its snapshots and its archive share
//! a disk that forgets what was not synced. Power goes under load, at a
//! snapshot and the purge behind it, and while the node comes up; each time all
//! that was acknowledged must be there, with its history.
//!
//! `SEED` repeats the choices, `CRASH_POINTS` sets how often power goes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::machine::{Answer, Json, Question, Reply, Text};
use mcp_state_sidecar::store::raft::consensus::options;
use mcp_state_sidecar::store::raft::consensus::types::Peer;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::{Options, RaftStore, StartError, rpc};
use mcp_state_sidecar::store::{Consistency, Store, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

use super::told::{Ledger, PATIENCE, Told, WRITERS, Writer, check, set};
use support::crash_disk::{CrashDisk, Cut};
use support::{seed, small_options};

const DISK_BYTES: u64 = 256 << 20;
const POINTS: usize = 48;
/// Crashes of one disk before the next is formatted.
const CRASHES_A_DISK: usize = 12;
/// How long a node may be asked that has lost its disk.
const WITHOUT_DISK: Duration = Duration::from_secs(1);
/// Between two looks at what the disk is doing.
const LOOK: Duration = Duration::from_millis(1);

/// When power goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// While the node comes up.
    Start,
    /// Once a snapshot is begun: under it, or under the purge that follows.
    Snapshot,
    /// Some writes into the load.
    Load,
}

#[derive(Debug, Default)]
struct Totals {
    cut_at_start: usize,
    cut_in_load: usize,
    snapshots: usize,
    acknowledged: usize,
    events: usize,
    doubts_kept: usize,
    doubts_gone: usize,
}

/// A node that runs, on a runtime of its own, so that all its files are closed
/// when it is gone.
struct Node {
    store: Arc<RaftStore>,
    runtime: Runtime,
}

impl Node {
    fn start(folder: &Path) -> Result<Node, StartError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let peer = Peer::at("127.0.0.1:1");
        let options = Options {
            cluster_name: "power".to_owned(),
            node_id: 1,
            members: [(1, peer)].into(),
            url: String::new(),
            data_dir: folder.join("node"),
            secret: None,
            limits: Default::default(),
            speaks: rpc::SPEAKS,
            consensus: options::Options {
                heartbeat: Duration::from_millis(20),
                election_min: Duration::from_millis(40),
                election_max: Duration::from_millis(80),
                snapshot_entries: 40,
                keep_entries: 10,
            },
            log: small_options(),
        };
        let started = runtime.block_on(RaftStore::start(options, Environment::system()));
        match started {
            Ok(started) => Ok(Node { store: started.store, runtime }),
            Err(error) => {
                runtime.shutdown_timeout(PATIENCE);
                Err(error)
            }
        }
    }

    /// Stops it, whatever its disk says.
    fn end(self) {
        let closed = self.runtime.block_on(async { timeout(PATIENCE, self.store.close()).await });
        drop(self.store);
        self.runtime.shutdown_timeout(PATIENCE);
        closed.expect("a node closes, also on a disk that is gone");
    }
}

#[test]
fn a_node_keeps_what_it_acknowledged() {
    let Some(mut disk) = CrashDisk::new_or_say_why(DISK_BYTES) else { return };
    let points = std::env::var("CRASH_POINTS").map_or(POINTS, |points| points.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(seed("node"));
    let mut ledger = Ledger::new();
    let mut totals = Totals::default();
    for point in 0..points {
        if point % CRASHES_A_DISK == 0 {
            drop(disk);
            disk = CrashDisk::new(DISK_BYTES).unwrap();
            ledger = Ledger::new();
        }
        let moment = [Moment::Load, Moment::Start, Moment::Snapshot][rng.random_range(0..3)];
        let cut = Cut {
            writes: rng.random_range(match moment {
                Moment::Start => 1..40,
                Moment::Snapshot => 1..40,
                Moment::Load => 1..1_500,
            }),
            seed: rng.random(),
            keep_percent: [0, 30, 70][point % 3],
            tear_bytes: [4096, 512][point / 3 % 2],
        };
        let load_seed = rng.random();
        eprintln!("point {point}: {moment:?}, {cut:?}");
        if moment == Moment::Start {
            disk.cut_after(cut);
        }
        match Node::start(&disk.path()) {
            Ok(node) => {
                let run = Run { disk: &disk, moment, cut, seed: load_seed };
                node.runtime.block_on(run.all(&node.store, &mut ledger, &mut totals));
                node.end();
            }
            Err(error) => {
                assert!(disk.is_cut(), "{error}");
                totals.cut_at_start += 1;
            }
        }
        disk = disk.restart();
    }
    eprintln!("{points} points: {totals:?}");
}

/// One life of a node, until power goes.
struct Run<'a> {
    disk: &'a CrashDisk,
    moment: Moment,
    cut: Cut,
    seed: u64,
}

impl Run<'_> {
    async fn all(&self, store: &Arc<RaftStore>, ledger: &mut Ledger, totals: &mut Totals) {
        let checked = tokio::select! {
            checked = check(store, ledger) => checked,
            // Without peers history waits for its archive, which is cut off.
            () = self.cut_for(WITHOUT_DISK) => {
                Err(StoreError::Storage("the disk is gone".to_owned()))
            }
        };
        match checked {
            Ok(found) => {
                totals.events = totals.events.max(found.events);
                totals.doubts_kept += found.doubts_kept;
                totals.doubts_gone += found.doubts_gone;
            }
            Err(error) => {
                assert!(self.moment == Moment::Start && self.disk.is_cut(), "{error}");
                totals.cut_at_start += 1;
                return;
            }
        }
        let writer = |number| Writer::new(store.clone(), ledger, number, self.seed).write();
        let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(writer(number))).collect();
        let mut armed = self.moment != Moment::Snapshot;
        if self.moment == Moment::Load {
            self.disk.cut_after(self.cut);
        }
        let snapshots = self.disk.path().join("node/snapshots");
        while !self.disk.is_cut() && !writers.iter().all(|writer| writer.is_finished()) {
            if !armed && is_being_written(&snapshots) {
                armed = true;
                totals.snapshots += 1;
                self.disk.cut_after(self.cut);
            }
            sleep(LOOK).await;
        }
        for writer in writers {
            let ended = writer.await.unwrap();
            if let Some(error) = ended.refused {
                assert!(self.disk.is_cut(), "a disk that works: {error}");
            }
            totals.acknowledged += ended.acknowledged;
            ledger.extend(ended.told);
        }
        totals.cut_in_load += usize::from(self.disk.is_cut());
    }

    /// Returns once power has been gone for so long.
    async fn cut_for(&self, time: Duration) {
        while !self.disk.is_cut() {
            sleep(LOOK).await;
        }
        sleep(time).await;
    }
}

fn is_being_written(folder: &Path) -> bool {
    let files = fs::read_dir(folder).unwrap();
    files.flatten().any(|file| file.path().extension().is_some_and(|end| end == "part"))
}

/// After a sync that failed nobody knows what the disk has: the node says so,
/// acknowledges nothing, and is idle.
#[test]
fn a_node_whose_log_failed_says_so_and_acknowledges_nothing() {
    let Some(disk) = CrashDisk::new_or_say_why(DISK_BYTES) else { return };
    let node = Node::start(&disk.path()).unwrap();
    let store = node.store.clone();
    let (key, mut ledger): (Text, _) = ("key/0/0".into(), Ledger::new());
    let set = |value: &str| set(&key, Json::new(value));
    node.runtime.block_on(async {
        let Ok(Reply::Set(first)) = store.submit(set("1"), Instant::now() + PATIENCE).await else {
            panic!("a disk that works")
        };
        let known = Some((first.revision, Some(Json::new("1"))));
        ledger.insert(key.clone(), Told { known, doubt: Some(Some(Json::new("2"))) });
        assert_eq!(store.health().await.fault, None);
        disk.fail_syncs(u32::MAX);
        let failed = store.submit(set("2"), Instant::now() + PATIENCE).await.unwrap_err();
        assert!(matches!(failed, StoreError::Unknown(_)), "{failed}");
        // The disk works again: too late.
        disk.fail_syncs(0);
        let asked = Instant::now();
        let later = store.submit(set("3"), asked + PATIENCE).await.unwrap_err();
        assert!(matches!(later, StoreError::Unavailable(_)), "{later}");
        let question = Question::Key { key: key.clone() };
        let read = store.ask(question.clone(), Consistency::Linearizable, asked + PATIENCE).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        assert!(asked.elapsed() < PATIENCE / 2, "refused at once");
        let fault = store.health().await.fault.expect("it has stopped");
        assert!(fault.contains("cannot sync") && fault.contains(".wal"), "{fault}");
        // Its own state can still be looked at.
        let local = store.ask(question, Consistency::Local, Instant::now() + PATIENCE).await;
        let Ok(Answer::Key(Some(row))) = local.map(|found| found.answer) else { panic!("no row") };
        assert_eq!(row.value, Json::new("1"));
        let (busy, window) = (busy(&node.runtime), Duration::from_millis(500));
        sleep(window).await;
        let spent = self::busy(&node.runtime) - busy;
        assert!(spent < window / 4, "a node that has stopped was busy for {spent:?}");
    });
    drop(store);
    node.end();
    let disk = disk.restart();
    let node = Node::start(&disk.path()).unwrap();
    node.runtime.block_on(check(&node.store, &mut ledger)).unwrap();
    node.end();
}

/// How long the runtime's threads were busy, all together.
fn busy(runtime: &Runtime) -> Duration {
    let metrics = runtime.metrics();
    (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum()
}
