//! Records that sled lost, or fell back to an earlier value of, without a word:
//! what a page that it could not read at open comes to. Made by hand, since a
//! flipped bit seldom hits just so.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mcp_state_sidecar::store::raft::history::History;
use mcp_state_sidecar::store::raft::history::archive::{Archive, Options};
use mcp_state_sidecar::store::raft::host::Environment;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::finding::{append_all, small_memory};
use super::peers::{Manner, Peer};
use super::story::{Plot, Story, seed};
use super::truth;

const PLOT: Plot = Plot { seed: 13, events: 3_000, keys: 25, large: Some((200, 9_000)) };
/// In the middle of a frame.
const EARLIER: u64 = 1_900;

/// What happens to the records whose keys begin with one of these bytes.
#[derive(Clone, Copy, Debug)]
struct Loss {
    of: &'static [u8],
    percent: u32,
    /// Back to what it was at [`EARLIER`]; else it is gone.
    stale: bool,
    /// Whether it can be made good from what is left.
    needs_peer: bool,
}

const LOSSES: &[Loss] = &[
    Loss { of: b"p", percent: 2, stale: false, needs_peer: false },
    Loss { of: b"p", percent: 50, stale: false, needs_peer: false },
    Loss { of: b"p", percent: 100, stale: false, needs_peer: false },
    Loss { of: b"p", percent: 50, stale: true, needs_peer: false },
    Loss { of: b"e", percent: 1, stale: false, needs_peer: true },
    Loss { of: b"e", percent: 100, stale: true, needs_peer: true },
    Loss { of: b"m", percent: 100, stale: true, needs_peer: true },
    Loss { of: b"m", percent: 100, stale: false, needs_peer: true },
    Loss { of: b"epm", percent: 30, stale: true, needs_peer: true },
    Loss { of: b"epm", percent: 100, stale: true, needs_peer: true },
];

#[tokio::test]
async fn a_page_that_is_lost_in_silence_is_missed() {
    let mut rng = StdRng::seed_from_u64(seed("lost pages"));
    let story = Arc::new(Story::write(PLOT));
    let meta = story.meta(story.last());
    for &loss in LOSSES {
        println!("{loss:?}");
        let dir = TempDir::new().unwrap();
        let place = dir.path().join("a");
        let (archive, _) =
            Archive::open(&Environment::system(), &place, Options::default()).unwrap();
        append_all(&archive, &story, 1, EARLIER).await;
        archive.close().await;
        let earlier = records(&place);
        let (archive, _) =
            Archive::open(&Environment::system(), &place, Options::default()).unwrap();
        append_all(&archive, &story, EARLIER + 1, story.last()).await;
        archive.close().await;
        lose(&place, &earlier, loss, &mut rng);

        let (archive, _) =
            Archive::open(&Environment::system(), &place, Options::default()).unwrap();
        for _ in 0..100 {
            let question = truth::question(&mut rng, PLOT.keys, story.last());
            truth::never_wrong(&archive, &story, &meta, &question).await;
        }
        let manner = if loss.needs_peer { Manner::Honest } else { Manner::Absent };
        let peer = Peer::new(&story, manner);
        let history = History::start(archive.clone(), peer.clone(), &meta, small_memory());
        truth::whole(&archive, &meta).await;
        truth::all_right(&archive, &story, &meta, &mut rng, PLOT.keys).await;
        println!("{} events fetched", peer.sent.load(Ordering::Relaxed));
        history.close().await;
    }
}

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Opens the archive's sled itself. Threads of the archive that was closed a
/// moment ago may hold its lock a little longer.
fn open_sled(place: &Path) -> sled::Db {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match sled::open(place) {
            Err(sled::Error::Io(error)) if Instant::now() < deadline => {
                println!("opened again after: {error}");
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn records(place: &Path) -> Records {
    let sled = open_sled(place);
    sled.iter().map(|record| record.unwrap()).map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
}

fn lose(place: &Path, earlier: &Records, loss: Loss, rng: &mut StdRng) {
    let sled = open_sled(place);
    let keys: Vec<_> = sled.iter().keys().map(|key| key.unwrap()).collect();
    for key in keys.into_iter().filter(|key| loss.of.contains(&key[0])) {
        if rng.random_range(0..100) < loss.percent {
            match earlier.get(&*key).filter(|_| loss.stale) {
                Some(value) => sled.insert(&key, value.as_slice()).unwrap(),
                None => sled.remove(&key).unwrap(),
            };
        }
    }
    sled.flush().unwrap();
}
