//! Files that change under the archive, peers that lie, and nodes that come
//! late: whatever is answered is right, and all of it comes back.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcp_state_sidecar::machine::Revision;
use mcp_state_sidecar::store::raft::history::History;
use mcp_state_sidecar::store::raft::history::archive::{
    Archive, ArchiveError, Options, RevisionSpan,
};
use mcp_state_sidecar::store::raft::host::Environment;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::finding::{append_all, small_memory};
use super::peers::{Lie, Manner, Peer};
use super::story::{Plot, Story, seed};
use super::truth;

/// Flips, each on a copy of the same archive.
const FLIPS: usize = 40;

/// What a flip led to.
#[derive(Default, Debug)]
struct Outcomes {
    begun_anew: usize,
    fetched: usize,
    unharmed: usize,
    events_fetched: u64,
}

#[tokio::test]
async fn a_flipped_bit_is_never_answered() {
    let plot = Plot { seed: seed("flips"), events: 6_000, keys: 50, large: Some((300, 20_000)) };
    let story = Arc::new(Story::write(plot));
    let meta = story.meta(story.last());
    let dir = TempDir::new().unwrap();
    let good = dir.path().join("good");
    let (archive, _) = Archive::open(&Environment::system(), &good, Options::default()).unwrap();
    // Closed and opened in between, so that there is a snapshot of sled's too.
    append_all(&archive, &story, 1, 4_000).await;
    archive.close().await;
    let (archive, _) = Archive::open(&Environment::system(), &good, Options::default()).unwrap();
    append_all(&archive, &story, 4_001, story.last()).await;
    archive.close().await;

    let mut rng = StdRng::seed_from_u64(plot.seed);
    let mut outcomes = Outcomes::default();
    for flip in 0..FLIPS {
        let copy = dir.path().join(format!("copy-{flip}"));
        copy_dir(&good, &copy);
        let what = flip_bit(&copy, flip, &mut rng);
        let (archive, opened) =
            Archive::open(&Environment::system(), &copy, Options::default()).unwrap();
        for _ in 0..10 {
            let question = truth::question(&mut rng, plot.keys, story.last());
            truth::never_wrong(&archive, &story, &meta, &question).await;
        }
        let peer = Peer::new(&story, Manner::Honest);
        let history = History::start(archive.clone(), peer.clone(), &meta, small_memory());
        for _ in 0..10 {
            let question = truth::question(&mut rng, plot.keys, story.last());
            truth::right(&history, &story, &meta, &question).await;
        }
        truth::whole(&archive, &meta).await;
        truth::all_right(&archive, &story, &meta, &mut rng, plot.keys).await;
        let sent = peer.sent.load(Ordering::Relaxed);
        println!("{what}: {:?}, {sent} events fetched", opened.damage);
        outcomes.events_fetched += sent;
        match (opened.damage.is_some(), sent) {
            (true, _) => outcomes.begun_anew += 1,
            (false, 0) => outcomes.unharmed += 1,
            (false, _) => outcomes.fetched += 1,
        }
        history.close().await;
        fs::remove_dir_all(&copy).unwrap();
    }
    println!("{outcomes:?}");
    assert!(outcomes.begun_anew > 0 && outcomes.fetched > 0, "flips did not matter: {outcomes:?}");
}

#[tokio::test]
async fn a_node_that_joins_late_has_all_of_it() {
    let plot = Plot { seed: seed("late"), events: 5_000, keys: 50, large: Some((300, 20_000)) };
    let story = Arc::new(Story::write(plot));
    let dir = TempDir::new().unwrap();
    for (joins_at, anchor) in [(4_000, 0), (3_999, 1_234), (4_096, 1_023), (300, 299)] {
        let (archive, _) = Archive::open(
            &Environment::system(),
            dir.path().join(joins_at.to_string()),
            Options::default(),
        )
        .unwrap();
        let mut joined = story.meta(joins_at);
        joined.anchor = story.anchor(anchor);
        let peer = Peer::new(&story, Manner::Honest);
        let history = History::start(archive.clone(), peer.clone(), &joined, small_memory());
        let mut rng = StdRng::seed_from_u64(plot.seed);
        let mut meta = joined;
        for next in (joins_at..=story.last()).step_by(50).skip(1) {
            let span = RevisionSpan::new(meta.revision.0 + 1, next);
            meta = story.meta(next);
            meta.anchor = story.anchor(anchor);
            history.push(story.run(span).events, &meta).await;
            let question = truth::question(&mut rng, plot.keys, next);
            truth::right(&history, &story, &meta, &question).await;
        }
        history.archived(meta.revision).await.unwrap();
        truth::whole(&archive, &meta).await;
        truth::all_right(&archive, &story, &meta, &mut rng, plot.keys).await;
        history.close().await;
    }
}

#[tokio::test]
async fn a_lie_is_refused_and_the_truth_is_fetched_elsewhere() {
    let plot = Plot { seed: seed("lies"), events: 3_000, keys: 50, large: None };
    let story = Arc::new(Story::write(plot));
    let meta = story.meta(story.last());
    let dir = TempDir::new().unwrap();
    for lie in [Lie::Value, Lie::Resealed, Lie::Gap, Lie::Elsewhere] {
        let place = dir.path().join(format!("{lie:?}"));
        let (archive, _) =
            Archive::open(&Environment::system(), place, Options::default()).unwrap();
        let peer = Peer::new(&story, Manner::Lies(lie));
        let history = History::start(archive.clone(), peer.clone(), &meta, small_memory());
        truth::whole(&archive, &meta).await;
        let mut rng = StdRng::seed_from_u64(plot.seed);
        truth::all_right(&archive, &story, &meta, &mut rng, plot.keys).await;
        assert!(peer.lies.load(Ordering::Relaxed) > 0);
        history.close().await;
    }
}

/// A run that is consistent in itself, but of another history.
#[tokio::test]
async fn only_what_links_up_to_the_state_is_taken() {
    let story = Story::write(Plot { seed: 1, events: 600, keys: 9, large: None });
    let other = Story::write(Plot { seed: 2, events: 600, keys: 9, large: None });
    let dir = TempDir::new().unwrap();
    let (archive, _) =
        Archive::open(&Environment::system(), dir.path().join("a"), Options::default()).unwrap();
    archive.adopt(story.tip(600)).await.unwrap();
    let span = RevisionSpan::new(1, 600);
    assert_eq!(*archive.hole().borrow(), Some(span));
    let refused = archive.fill(other.run(span)).await;
    assert!(matches!(refused, Err(ArchiveError::Refused(_))), "{refused:?}");
    assert_eq!(archive.figures().await.unwrap().events, 0);
    archive.fill(story.run(RevisionSpan::new(301, 600))).await.unwrap();
    assert_eq!(*archive.hole().borrow(), Some(RevisionSpan::new(1, 300)));
    archive.fill(story.run(RevisionSpan::new(1, 300))).await.unwrap();
    assert_eq!(*archive.hole().borrow(), None);

    // What was archived for another state is not kept when the state says so.
    let found = archive.adopt(other.tip(600)).await;
    assert!(matches!(found, Err(ArchiveError::Stopped(_))), "{found:?}");
    assert_eq!(*archive.durable().borrow(), Revision::ZERO);
    archive.adopt(other.tip(600)).await.unwrap();
    assert_eq!(*archive.hole().borrow(), Some(span));
    archive.close().await;
}

fn flip_bit(dir: &Path, flip: usize, rng: &mut StdRng) -> String {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).collect();
    names.retain(|entry| entry.file_type().unwrap().is_file());
    names.sort_by_key(|entry| entry.file_name());
    // Mostly the one file that has the events.
    let small = names.iter().filter(|entry| entry.file_name() != "db").collect::<Vec<_>>();
    let path = match flip % 6 {
        0 => small[flip / 6 % small.len()].path(),
        _ => dir.join("db"),
    };
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    // Not into what was never written: nothing would come of that.
    let (at, mut byte) = loop {
        let at = rng.random_range(0..len);
        let mut near = [0; 16];
        let read = file.read_at(&mut near, at).unwrap();
        if near[..read].iter().any(|&byte| byte != 0) {
            break (at, [near[0]]);
        }
    };
    byte[0] ^= 1 << rng.random_range(0..8);
    file.write_all_at(&byte, at).unwrap();
    format!("{} at {at} of {len}", path.file_name().unwrap().to_string_lossy())
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
