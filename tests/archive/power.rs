//! The archive on a disk that loses power, again and again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_state_sidecar::store::raft::history::archive::{
    Archive, ArchiveError, Options, RevisionSpan,
};
use mcp_state_sidecar::store::raft::history::{self, History};
use mcp_state_sidecar::store::raft::host::Environment;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::timeout;

use super::finding::{append_all, small_memory};
use super::peers::{Manner, Peer};
use super::story::{Plot, Story, seed};
use super::truth;
use support::crash_disk::{CrashDisk, Cut};

const DISK_BYTES: u64 = 256 << 20;
const POINTS: usize = 48;
/// Crashes of one disk before the next is formatted.
const CRASHES_A_DISK: usize = 12;
const PLOT: Plot = Plot { seed: 12, events: 30_000, keys: 60, large: Some((300, 1 << 20)) };

#[derive(Default, Debug)]
struct Totals {
    begun_anew: usize,
    short: usize,
    fetched: u64,
    acknowledged: u64,
}

#[tokio::test]
async fn nothing_wrong_is_left_when_power_goes() {
    let Some(mut disk) = CrashDisk::new_or_say_why(DISK_BYTES) else { return };
    let points = std::env::var("CRASH_POINTS").map_or(POINTS, |points| points.parse().unwrap());
    let mut rng = StdRng::seed_from_u64(seed("power"));
    let story = Arc::new(Story::write(PLOT));
    let (mut totals, mut durable) = (Totals::default(), 0);
    for point in 0..points {
        if point % CRASHES_A_DISK == 0 {
            drop(disk);
            disk = CrashDisk::new(DISK_BYTES).unwrap();
            durable = 0;
        }
        let cut = Cut {
            writes: rng.random_range(1..400),
            seed: rng.random(),
            keep_percent: [0, 30, 70][point % 3],
            tear_bytes: [4096, 512][point / 3 % 2],
        };
        let early = rng.random_range(0..4) == 0;
        durable = load(&disk, &story, cut, early, durable, &mut rng).await;
        disk = disk.restart();
        durable = reopen(&disk, &story, durable, &mut rng, &mut totals).await;
        println!("point {point}: early {early}, {cut:?}, now at {durable}");
    }
    println!("{totals:?}");
    assert_eq!((totals.begun_anew, totals.short), (0, 0), "{totals:?}");
}

/// Archives until power goes; returns what was durable before.
async fn load(
    disk: &CrashDisk,
    story: &Arc<Story>,
    cut: Cut,
    early: bool,
    durable: u64,
    rng: &mut StdRng,
) -> u64 {
    if early {
        disk.cut_after(cut);
    }
    let mut acknowledged = durable;
    let Ok((archive, _)) = Archive::open(&Environment::system(), disk.path().join("a"), options())
    else {
        return acknowledged;
    };
    if !early {
        disk.cut_after(cut);
    }
    let last = story.last();
    let mut next = durable + 1;
    while !disk.is_cut() && next <= last {
        let end = last.min(next + rng.random_range(0..120));
        let taken = archive.append(story.run(RevisionSpan::new(next, end))).await;
        next = end + 1;
        if taken.is_err() || (rng.random_bool(0.3) && archive.sync().await.is_err()) {
            break;
        }
        acknowledged = acknowledged.max(archive.durable().borrow().0);
    }
    archive.close().await;
    acknowledged
}

/// Looks at what is left, and has it made whole.
async fn reopen(
    disk: &CrashDisk,
    story: &Arc<Story>,
    acknowledged: u64,
    rng: &mut StdRng,
    totals: &mut Totals,
) -> u64 {
    let (archive, opened) =
        Archive::open(&Environment::system(), disk.path().join("a"), options()).unwrap();
    totals.acknowledged = totals.acknowledged.max(acknowledged);
    totals.begun_anew += usize::from(opened.damage.is_some());
    totals.short += usize::from(opened.damage.is_none() && opened.durable.0 < acknowledged);
    let last = opened.durable.0.max(acknowledged);
    let meta = story.meta(last);
    if last > 0 {
        for _ in 0..5 {
            let question = truth::question(rng, PLOT.keys, last);
            truth::never_wrong(&archive, story, &meta, &question).await;
        }
    }
    let peer = Peer::new(story, Manner::Honest);
    let history = History::start(archive.clone(), peer.clone(), &meta, small_memory());
    truth::whole(&archive, &meta).await;
    if last > 0 {
        truth::all_right(&archive, story, &meta, rng, PLOT.keys).await;
    }
    totals.fetched += peer.sent.load(Ordering::Relaxed);
    history.close().await;
    last
}

/// After a sync that failed nobody knows what the disk has: nothing more is
/// acknowledged, and what was is there afterwards.
#[tokio::test]
async fn a_sync_that_fails_acknowledges_nothing() {
    let Some(disk) = CrashDisk::new_or_say_why(DISK_BYTES) else { return };
    let story = Story::write(Plot { seed: seed("sync"), events: 900, keys: 20, large: None });
    let (archive, _) =
        Archive::open(&Environment::system(), disk.path().join("a"), options()).unwrap();
    append_all(&archive, &story, 1, 500).await;
    disk.fail_syncs(u32::MAX);
    let appended = archive.append(story.run(RevisionSpan::new(501, 900))).await.map(drop);
    let synced = appended.and(archive.sync().await.map(drop));
    assert!(matches!(synced, Err(ArchiveError::Stopped(_))), "{synced:?}");
    assert_eq!(archive.durable().borrow().0, 500);
    archive.close().await;

    let disk = disk.restart();
    let (archive, opened) =
        Archive::open(&Environment::system(), disk.path().join("a"), options()).unwrap();
    assert!(opened.damage.is_none() && opened.durable.0 >= 500, "{opened:?}");
    let meta = story.meta(opened.durable.0);
    archive.adopt(story.tip(opened.durable.0)).await.unwrap();
    truth::whole(&archive, &meta).await;
    truth::all_right(&archive, &story, &meta, &mut StdRng::seed_from_u64(1), 20).await;
    archive.close().await;
}

/// A full disk stops the archive. Without peers nothing is let go, and apply
/// waits for room; with peers what was let go is fetched again.
#[tokio::test]
async fn a_full_disk_is_waited_for_or_got_over() {
    let plot = Plot { seed: seed("full"), events: 6_000, keys: 9, large: None };
    let story = Arc::new(Story::write(plot));
    for (manner, waits) in [(Manner::Absent, true), (Manner::Honest, false)] {
        let Some(disk) = CrashDisk::new_or_say_why(DISK_BYTES) else { return };
        let (archive, _) =
            Archive::open(&Environment::system(), disk.path().join("a"), options()).unwrap();
        let memory = history::Options { stall: Duration::from_millis(300), ..small_memory() };
        let peer = Peer::new(&story, manner);
        let history = History::start(archive.clone(), peer, &story.meta(0), memory);
        fill_up(&disk);
        let mut meta = story.meta(0);
        let pushes = async {
            while meta.revision.0 < story.last() {
                let span = RevisionSpan::new(meta.revision.0 + 1, meta.revision.0 + 50);
                meta = story.meta(span.last.0);
                history.push(story.run(span).events, &meta).await;
            }
        };
        let pushed = timeout(Duration::from_secs(5), pushes).await.is_ok();
        assert_eq!(pushed, !waits, "at {}", meta.revision);
        fs::remove_file(disk.path().join("filler")).unwrap();
        history.archived(meta.revision).await.unwrap();
        truth::whole(&archive, &meta).await;
        let mut rng = StdRng::seed_from_u64(plot.seed);
        truth::all_right(&archive, &story, &meta, &mut rng, plot.keys).await;
        history.close().await;
    }
}

/// Leaves no room on the disk.
fn fill_up(disk: &CrashDisk) {
    let mut filler = File::create(disk.path().join("filler")).unwrap();
    let chunk = vec![1; 1 << 20];
    let written = (0..DISK_BYTES >> 20).try_for_each(|_| filler.write_all(&chunk));
    assert_eq!(written.unwrap_err().kind(), ErrorKind::StorageFull);
    // The last bit too.
    while filler.write(&[1; 512]).is_ok_and(|bytes| bytes > 0) {}
    filler.sync_all().unwrap();
}

fn options() -> Options {
    let (linger, retry) = (Duration::from_millis(2), Duration::from_millis(50));
    Options { linger, retry, ..Options::default() }
}
