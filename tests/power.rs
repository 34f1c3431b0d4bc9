//! The log under power loss: on a disk that forgets what was not synced, cut in
//! the middle of a load, mounted again, checked, gone on with, cut again.
//!
//! Needs root, `/dev/fuse`, `losetup` and `mkfs.ext4`; says so and passes where
//! they are missing. `SEED` repeats a run, `CRASH_POINTS` sets its length.

mod support;

#[path = "power/disk.rs"]
mod disk;

use std::fs::{self, File};
use std::path::PathBuf;

use disk::{CrashDisk, Cut};
use mcp_state_sidecar::store::raft::entry::Vote;
use mcp_state_sidecar::store::raft::log::LogStore;
use openraft::storage::RaftLogStorage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::load::{Load, Run};
use support::model::{Ledger, Model};
use support::{seed, small_options};

const DISK_BYTES: u64 = 64 << 20;
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
    let points = std::env::var("CRASH_POINTS").map_or(120, |points| points.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(seed("power"));
    let mut ledger = Ledger::default();
    let mut totals = (0, 0, 0);
    for point in 0..points {
        if point % CRASHES_A_DISK == 0 {
            drop(disk);
            disk = CrashDisk::new(DISK_BYTES).unwrap();
            ledger = Ledger::default();
        }
        let keep_percent = [0, 30, 70][point % 3];
        let tear_bytes = [4096, 512][point / 3 % 2];
        eprintln!("point {point}: keep {keep_percent} %, tear at {tear_bytes}");
        let mut store = LogStore::open(&log_dir(&disk), small_options()).unwrap();
        let found = Model::observe(&mut store).await;
        ledger.check(&found);
        disk.cut_after(Cut {
            writes: rng.random_range(1..500),
            seed: rng.random(),
            keep_percent,
            tear_bytes,
        });
        let load = Load::new(rng.random(), &found, ENTRY_BYTES_MAX);
        ledger = run(&mut store, &disk, found, load).await;
        totals = (
            totals.0 + ledger.steps.len(),
            totals.1 + ledger.acknowledged,
            totals.2 + usize::from(disk.is_cut()),
        );
        // Refused, when the cut stopped it.
        let _ = store.close().await;
        drop(store);
        disk = disk.restart();
    }
    let (steps, acknowledged, cut) = totals;
    eprintln!("{points} points, {cut} within the load; {steps} steps, {acknowledged} acknowledged");
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
    assert!(
        settled.is_ok() || disk.is_cut(),
        "a disk that works failed: {settled:?}"
    );
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
    let mut store = LogStore::open(&log_dir(&disk), small_options()).unwrap();
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    disk.fail_syncs(true);
    let error = store.save_vote(&Vote::new(2, 1)).await.unwrap_err();
    assert!(error.to_string().contains("cannot sync"), "{error}");
    // The disk works again, but what the failed sync lost is unknown.
    disk.fail_syncs(false);
    let error = store.save_vote(&Vote::new(3, 1)).await.unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
    let load = Load::new(1, &Model::default(), ENTRY_BYTES_MAX);
    let mut run = Run::new(&mut store, Model::default(), load, |_| {});
    assert!(run.step().await.is_err());
    drop(run);
    assert!(store.close().await.is_err());
    drop(store);
    let disk = disk.restart();
    let mut store = LogStore::open(&log_dir(&disk), small_options()).unwrap();
    let vote = Model::observe(&mut store).await.vote;
    assert!(
        [Some(Vote::new(1, 1)), Some(Vote::new(2, 1))].contains(&vote),
        "{vote:?}"
    );
    store.close().await.unwrap();
}
