//! What a look-up costs, and that it is right.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_state_sidecar::machine::filter::HistoryFilter;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::{Action, Question, Revision};
use mcp_state_sidecar::store::raft::history::archive::{
    Archive, ArchiveError, EventRun, Options, RevisionSpan,
};
use mcp_state_sidecar::store::raft::history::{self, History};
use mcp_state_sidecar::store::raft::host::Environment;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::peers::{Manner, Peer};
use super::story::{Plot, Story, seed};
use super::truth;

/// Feeds an archive and returns when all of it is on the disk.
pub async fn append_all(archive: &Archive, story: &Story, first: u64, last: u64) {
    let mut next = first;
    while next <= last {
        let end = last.min(next + 255);
        archive.append(story.run(RevisionSpan::new(next, end))).await.unwrap();
        next = end + 1;
    }
    assert_eq!(archive.sync().await, Ok(Revision(last)));
}

#[tokio::test]
async fn two_hundred_thousand_changes_are_found_by_key_with_a_handful_of_reads() {
    let plot = Plot { seed: seed("finding"), events: 200_000, keys: 1_000, large: None };
    let story = Story::write(plot);
    let dir = TempDir::new().unwrap();
    let options = Options::default();
    let began = std::time::Instant::now();
    let (archive, opened) =
        Archive::open(&Environment::system(), dir.path().join("a"), options.clone()).unwrap();
    assert_eq!((opened.durable, opened.damage), (Revision::ZERO, None));
    append_all(&archive, &story, 1, story.last()).await;
    println!("wrote in {:?}: {:?}", began.elapsed(), archive.figures().await.unwrap());
    archive.close().await;

    let began = std::time::Instant::now();
    let (archive, opened) =
        Archive::open(&Environment::system(), dir.path().join("a"), options.clone()).unwrap();
    assert_eq!((opened.durable, opened.damage), (Revision(story.last()), None));
    let meta = story.meta(story.last());
    archive.adopt(story.tip(story.last())).await.unwrap();
    println!("opened in {:?}", began.elapsed());
    truth::whole(&archive, &meta).await;
    println!("proven in {:?}; {} KB of memory", began.elapsed(), resident_kb());

    let mut rng = StdRng::seed_from_u64(plot.seed);
    for limit in [1_usize, 10, 50] {
        for _ in 0..20 {
            let key = format!("key/{}", rng.random_range(0..plot.keys));
            let subject = Some(key.as_str().into());
            let filter = HistoryFilter { subject, ..HistoryFilter::default() };
            let before = Some(Revision(rng.random_range(100_000..=story.last() + 1)));
            let question = Question::History { filter, before, page: Page::of_rows(limit) };
            let reads = options.reads.load(Ordering::Relaxed);
            assert!(truth::never_wrong(&archive, &story, &meta, &question).await);
            let reads = options.reads.load(Ordering::Relaxed) - reads;
            // A posting and a block for each event at most, and one to see the end.
            assert!(reads <= 2 * limit as u64 + 2, "{reads} records for {limit} events");
        }
    }
    // Rare and common terms together: the postings are met, the events are not.
    let filter = HistoryFilter {
        subject: Some("key/7".into()),
        action: Some(Action::StateDelete),
        actor: Some("agent-3".into()),
    };
    let question = Question::History { filter, before: None, page: Page::of_rows(5) };
    let reads = options.reads.load(Ordering::Relaxed);
    assert!(truth::never_wrong(&archive, &story, &meta, &question).await);
    let reads = options.reads.load(Ordering::Relaxed) - reads;
    println!("{reads} records for three terms at once");
    assert!(reads < 1_500, "{reads}");
    truth::all_right(&archive, &story, &meta, &mut rng, plot.keys).await;
    archive.close().await;
    assert_eq!(archive.wanted().await, Err(ArchiveError::Closed));
}

/// Apply, archive and memory together: every question at every moment.
#[tokio::test]
async fn answers_are_seamless_across_memory_and_archive() {
    let plot = Plot { seed: seed("seam"), events: 4_000, keys: 40, large: Some((200, 9_000)) };
    let story = Arc::new(Story::write(plot));
    let dir = TempDir::new().unwrap();
    let options = Options { linger: Duration::from_millis(5), ..Options::default() };
    let (archive, _) =
        Archive::open(&Environment::system(), dir.path().join("a"), options).unwrap();
    let history = History::start(
        archive.clone(),
        Peer::new(&story, Manner::Absent),
        &story.meta(0),
        small_memory(),
    );
    let mut rng = StdRng::seed_from_u64(plot.seed);
    let mut revision = 0;
    while revision < story.last() {
        let next = story.last().min(revision + rng.random_range(1..60));
        let meta = story.meta(next);
        let EventRun { events, .. } = story.run(RevisionSpan::new(revision + 1, next));
        history.push(events, &meta).await;
        revision = next;
        let question = truth::question(&mut rng, plot.keys, revision);
        truth::right(&history, &story, &meta, &question).await;
        // An older state, as a reader that was not woken yet has it.
        let meta = story.meta(revision - revision.min(5));
        truth::right(&history, &story, &meta, &question).await;
    }
    history.archived(Revision(revision)).await.unwrap();
    assert!(*archive.durable().borrow() >= Revision(revision));
    truth::all_right(&archive, &story, &story.meta(revision), &mut rng, plot.keys).await;

    // A reset: everything up to it is gone from both, at once.
    let mut meta = story.meta(story.last());
    meta.anchor = story.anchor(story.last() - 30);
    history.push(Vec::new(), &meta).await;
    for _ in 0..50 {
        let question = truth::question(&mut rng, plot.keys, meta.revision.0);
        truth::right(&history, &story, &meta, &question).await;
    }
    truth::whole(&archive, &meta).await;
    history.close().await;
}

/// Prints what an archive of `EVENTS` events (a million) takes.
#[tokio::test]
#[ignore = "prints figures"]
async fn figures() {
    let events = std::env::var("EVENTS").map_or(1_000_000, |events| events.parse().unwrap());
    let plot = Plot { seed: seed("figures"), events, keys: 1_000, large: None };
    let dir = TempDir::new().unwrap();
    let resident = resident_kb();
    let began = std::time::Instant::now();
    let (archive, _) =
        Archive::open(&Environment::system(), dir.path().join("a"), Options::default()).unwrap();
    let (mut run, mut bytes) = (EventRun::default(), 0);
    for event in plot.events() {
        bytes += mcp_state_sidecar::codec::encode_event(&event).len();
        run.events.push(event);
        if run.events.len() == 256 {
            let before = run.last_chain();
            archive
                .append(std::mem::replace(&mut run, EventRun { before, events: Vec::new() }))
                .await
                .unwrap();
        }
    }
    archive.append(run).await.unwrap();
    archive.sync().await.unwrap();
    println!("{events} events of {bytes} bytes in {:?}", began.elapsed());
    println!("{:?}, {} KB", archive.figures().await.unwrap(), resident_kb() - resident);
    archive.close().await;
    let (resident, began) = (resident_kb(), std::time::Instant::now());
    let (archive, _) =
        Archive::open(&Environment::system(), dir.path().join("a"), Options::default()).unwrap();
    println!("opened in {:?}", began.elapsed());
    while !archive.figures().await.unwrap().proven {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("proven in {:?}, {} KB more", began.elapsed(), resident_kb() - resident);
    archive.close().await;
}

pub fn small_memory() -> history::Options {
    let defaults = history::Options::default();
    let keep =
        mcp_state_sidecar::store::window::WindowLimits { events_max: 100, bytes_max: 64 << 10 };
    let cap =
        mcp_state_sidecar::store::window::WindowLimits { events_max: 400, bytes_max: 256 << 10 };
    history::Options { keep, cap, ..defaults }
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
