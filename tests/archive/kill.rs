//! A process that is killed while it archives.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp_state_sidecar::store::raft::history::History;
use mcp_state_sidecar::store::raft::history::archive::{Archive, Options, RevisionSpan};
use mcp_state_sidecar::store::raft::host::Environment;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::finding::small_memory;
use super::peers::{Manner, Peer};
use super::story::{Plot, Story, seed};
use super::truth;

const KILLS: usize = 20;
/// Where the child finds its archive; without it there is no child.
const CHILD_DIR: &str = "ARCHIVE_TEST_DIR";
const PLOT: Plot = Plot { seed: 11, events: 40_000, keys: 60, large: Some((400, 30_000)) };

#[tokio::test]
async fn what_was_durable_is_there_after_a_kill() {
    let mut rng = StdRng::seed_from_u64(seed("kill"));
    let story = Arc::new(Story::write(PLOT));
    let dir = TempDir::new().unwrap();
    let (mut durable, mut begun_anew, mut fetched) = (0, 0, 0);
    for kill in 0..KILLS {
        let acknowledged = run_and_kill(dir.path(), rng.random_range(1..25), durable);
        let (archive, opened) =
            Archive::open(&Environment::system(), dir.path().join("a"), options()).unwrap();
        begun_anew += usize::from(opened.damage.is_some());
        let found = opened.durable.0;
        println!("kill {kill}: acknowledged {acknowledged}, found {opened:?}");
        assert!(opened.damage.is_some() || found >= acknowledged, "{found} < {acknowledged}");
        let last = found.max(acknowledged);
        let meta = story.meta(last);
        for _ in 0..10 {
            let question = truth::question(&mut rng, PLOT.keys, last);
            truth::never_wrong(&archive, &story, &meta, &question).await;
        }
        let peer = Peer::new(&story, Manner::Honest);
        let history = History::start(archive.clone(), peer.clone(), &meta, small_memory());
        truth::whole(&archive, &meta).await;
        truth::all_right(&archive, &story, &meta, &mut rng, PLOT.keys).await;
        fetched += peer.sent.load(Ordering::Relaxed);
        history.close().await;
        durable = last;
        if durable == story.last() {
            break;
        }
    }
    println!("{begun_anew} begun anew, {fetched} events fetched");
}

fn options() -> Options {
    Options { linger: Duration::from_millis(2), ..Options::default() }
}

/// Starts a child and kills it after it has said `lines` times how far it is.
fn run_and_kill(dir: &Path, lines: usize, durable: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--ignored"])
        .env(CHILD_DIR, dir.join("a"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let said = output.lines().map_while(Result::ok);
    let durable = said
        .filter_map(|line| line.strip_prefix("durable ")?.parse::<u64>().ok())
        .take(lines)
        .fold(durable, u64::max);
    child.kill().unwrap();
    child.wait().unwrap();
    durable
}

/// What the parent kills. Alone it does nothing.
#[tokio::test]
#[ignore = "started by the test above"]
async fn child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let story = Story::write(PLOT);
    let (archive, _) = Archive::open(&Environment::system(), dir, options()).unwrap();
    let mut durable = archive.durable();
    tokio::spawn(async move {
        while durable.changed().await.is_ok() {
            println!("durable {}", durable.borrow_and_update().0);
        }
    });
    let mut next = archive.wanted().await.unwrap().0.max(1);
    let mut rng = StdRng::seed_from_u64(next);
    while next <= story.last() {
        let end = story.last().min(next + rng.random_range(0..90));
        archive.append(story.run(RevisionSpan::new(next, end))).await.unwrap();
        next = end + 1;
        tokio::task::yield_now().await;
    }
    archive.sync().await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}
