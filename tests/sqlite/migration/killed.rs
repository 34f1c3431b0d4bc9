//! Killed in the middle of the conversion: the file is the reference's or ours,
//! and opens.

use std::path::Path;
use std::time::{Duration, Instant};

use mcp_state_sidecar::machine::Revision;
use mcp_state_sidecar::store::Store;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rusqlite::Connection;

use super::{copy_of, dump, large};
use crate::child::{program, start};
use crate::common::{PATIENCE, check_chain, get, open, seed};

/// Enough for the copy and the commit to take their time.
const ROWS: usize = 4_000;

/// When a child is killed: as soon as this holds of its file.
type Moment = (&'static str, fn(&Path) -> bool);

const MOMENTS: [Moment; 4] = [
    ("the copy begins", |file| bytes(&partial(file)) > 0),
    ("the copy is half there", |file| bytes(&partial(file)) > 500_000),
    ("the copy is made", |file| copy_of(file).exists()),
    ("the commit is under way", |file| bytes(&file.with_extension("db-wal")) > 100_000),
];

/// Rounds at each of those moments, and at moments by chance.
const ROUNDS: usize = 3;

fn partial(file: &Path) -> std::path::PathBuf {
    copy_of(file).with_extension("0.partial")
}

fn bytes(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

#[tokio::test]
async fn kill_9_leaves_the_references_file_or_ours() {
    let mut random = StdRng::seed_from_u64(seed("migration"));
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original.db");
    large(&original, ROWS);
    let wanted = dump(&original);
    let (mut theirs, mut ours) = (0, 0);
    for round in 0..ROUNDS * (MOMENTS.len() + 1) {
        let file = folder.path().join(format!("state-{round}.db"));
        std::fs::copy(&original, &file).unwrap();
        let (mut child, mut said) = start(program("open", &file, "killed"));
        match MOMENTS.get(round / ROUNDS) {
            Some((_, moment)) => until(|| moment(&file) || child.has_ended()),
            None => {
                let moment = Instant::now() + Duration::from_millis(random.random_range(0..400));
                until(|| Instant::now() >= moment);
            }
        }
        child.kill();
        let done = said.next().is_some();
        match is_ours(&file) {
            true => ours += 1,
            false => {
                theirs += 1;
                assert!(!done, "round {round}: opened, but not converted");
            }
        }
        if copy_of(&file).exists() {
            assert_eq!(dump(&copy_of(&file)), wanted, "round {round}");
        }
        let store = open(&file);
        check_chain(&store).await;
        assert_eq!(store.health().await.revision, Revision(ROWS as u64), "round {round}");
        assert!(get(&store, &format!("key-{}", ROWS - 1)).await.0.is_some());
        store.close().await;
        assert_eq!(dump(&copy_of(&file)), wanted, "round {round}");
        assert!(!partial(&file).exists(), "round {round}");
    }
    println!("killed before the commit: {theirs}, after: {ours}");
    assert!(theirs > ROUNDS, "nobody was killed in time");
}

/// By its own mark, read as SQLite would.
fn is_ours(file: &Path) -> bool {
    let conn = Connection::open(file).unwrap();
    conn.busy_timeout(PATIENCE).unwrap();
    // Closing must change nothing.
    let keep = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    conn.set_db_config(keep, true).unwrap();
    conn.query_row("PRAGMA application_id", [], |row| row.get::<_, i32>(0)).unwrap() != 0
}

fn until(mut moment: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !moment() {
        assert!(Instant::now() < give_up, "the moment does not come");
        std::thread::yield_now();
    }
}
