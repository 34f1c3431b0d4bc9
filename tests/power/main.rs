//! The log, a whole node, and three nodes at once, under power loss: on disks
//! that forget what was not synced, cut in the middle of a load, mounted again,
//! checked, gone on with, cut again.
//!
//! Needs root, `/dev/fuse`, `losetup` and `mkfs.ext4`; says so and passes where
//! they are missing. `SEED` repeats a run, `CRASH_POINTS` and `CUTS` set its
//! length.

mod blackout;
mod failing;
mod node;
mod reopen;
mod told;

use std::fs::{self, File};
use std::path::PathBuf;

use mcp_state_sidecar::store::raft::consensus::entry::{Entry, Vote, log_id};
use mcp_state_sidecar::store::raft::consensus::types::TypeConfig;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::{LogError, LogStore};
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::crash_disk::{CrashDisk, Cut};
use support::log_load::{Answer, Load, Run};
use support::log_model::{Ledger, Model};
use support::{seed, small_options};

const DISK_BYTES: u64 = 64 << 20;
/// Half a minute of crashes; a few on a machine with other work.
const POINTS: usize = 150;
/// Crashes of one disk before the next is formatted.
const CRASHES_A_DISK: usize = 15;
/// Steps after which a load ends without a cut, which then comes at rest.
const STEPS_MAX: usize = 400;
const ENTRY_BYTES_MAX: usize = 1 << 20;

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_power_is() {
    let Some(mut disk) = CrashDisk::new_or_say_why(DISK_BYTES) else {
        return;
    };
    let points = std::env::var("CRASH_POINTS").map_or(POINTS, |points| points.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(seed("power"));
    let mut ledger = Ledger::default();
    let mut totals = Totals::default();
    for point in 0..points {
        if point % CRASHES_A_DISK == 0 {
            drop(disk);
            disk = CrashDisk::new(DISK_BYTES).unwrap();
            ledger = Ledger::default();
        }
        let dir = log_dir(&disk);
        // Some cuts come while the log is opened.
        let early = rng.random_range(0..4) == 0;
        let cut = Cut {
            writes: rng.random_range(1..if early { 12 } else { 500 }),
            seed: rng.random(),
            keep_percent: [0, 30, 70][point % 3],
            tear_bytes: [4096, 512][point / 3 % 2],
        };
        let load_seed = rng.random();
        eprintln!("point {point}: early {early}, {cut:?}");
        if early {
            disk.cut_after(cut);
        }
        match LogStore::open(&Environment::system(), &dir, small_options()) {
            Ok(mut store) => {
                let found = Model::observe(&mut store).await;
                ledger.check(&found);
                if !early {
                    disk.cut_after(cut);
                }
                let load = Load::new(load_seed, &found, ENTRY_BYTES_MAX);
                ledger = run(&mut store, &disk, found, load).await;
                totals.add(&ledger, &disk);
                // Refused, when the cut stopped it.
                let _ = store.close().await;
            }
            // Nothing was acknowledged since: the same must be found next time.
            Err(error) => {
                assert!(matches!(error, LogError::Io { .. }) && disk.is_cut(), "{error}");
                totals.cut_at_open += 1;
            }
        }
        disk = disk.restart();
    }
    eprintln!("{points} points: {totals:?}");
}

/// What a run came to.
#[derive(Debug, Default)]
struct Totals {
    cut_at_open: usize,
    cut_in_load: usize,
    steps: usize,
    acknowledged: usize,
}

impl Totals {
    fn add(&mut self, ledger: &Ledger, disk: &CrashDisk) {
        self.cut_in_load += usize::from(disk.is_cut());
        self.steps += ledger.steps.len();
        self.acknowledged += ledger.acknowledged;
    }
}

/// Runs a load until the disk is cut, and a bit further.
async fn run(store: &mut LogStore, disk: &CrashDisk, found: Model, load: Load) -> Ledger {
    let mut run = Run::new(store, found, load, |_| {});
    for _ in 0..STEPS_MAX {
        if run.step().await.is_err() {
            assert!(disk.is_cut(), "the log refused a step on a disk that works");
            return run.ledger;
        }
    }
    let settled = run.settle().await;
    assert!(settled.is_ok() || disk.is_cut(), "a disk that works failed: {settled:?}");
    run.ledger
}

fn log_dir(disk: &CrashDisk) -> PathBuf {
    let dir = disk.path().join("log");
    if !dir.exists() {
        fs::create_dir(&dir).unwrap();
        File::open(disk.path()).unwrap().sync_all().unwrap();
    }
    dir
}

#[tokio::test]
async fn a_failed_sync_stops_the_log_for_good() {
    let Some(disk) = CrashDisk::new_or_say_why(DISK_BYTES) else {
        return;
    };
    let mut store =
        LogStore::open(&Environment::system(), &log_dir(&disk), small_options()).unwrap();
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    // The next segment is there by now: the sync that fails is a commit's.
    let mut store =
        LogStore::open(&Environment::system(), &log_dir(&disk), small_options()).unwrap();
    let failing = disk.fail_next_sync();
    let first = append(&mut store, 1).await;
    failing.wait();
    // This one waits meanwhile: by its turn the disk works again, but what the
    // failed sync lost is unknown.
    let second = append(&mut store, 2).await;
    failing.fail();
    let error = first.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("cannot sync"), "{error}");
    let error = second.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("stopped"), "{error}");
    let error = store.save_vote(&Vote::new(2, 1)).await.unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
    assert!(store.close().await.is_err());
    drop(store);
    let disk = disk.restart();
    let mut store =
        LogStore::open(&Environment::system(), &log_dir(&disk), small_options()).unwrap();
    assert_eq!(Model::observe(&mut store).await.vote, Some(Vote::new(1, 1)));
    store.close().await.unwrap();
}

/// Appends an entry; its answer.
async fn append(store: &mut LogStore, index: u64) -> Answer {
    let (tx, rx) = TypeConfig::oneshot();
    let payload = EntryPayload::Blank;
    let entry = Entry { log_id: log_id(1, index), payload };
    store.append([entry], IOFlushed::signal(tx)).await.unwrap();
    rx
}
