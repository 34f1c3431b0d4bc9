//! A process is killed with its last record written and not synced; the log is
//! opened, and power goes at some moment of that. What the open accepted must
//! hold by then, or be gone without a trace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mcp_state_sidecar::store::raft::consensus::entry::{Entry, Vote, log_id};
use mcp_state_sidecar::store::raft::consensus::types::Proposal;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::{LogStore, Options};
use openraft::EntryPayload;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};

use super::{DISK_BYTES, log_dir};
use support::crash_disk::{CrashDisk, Cut};
use support::log_model::{Ledger, Model, Step};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The writes of an open, and more.
const WRITES_MAX: u64 = 24;
const SEGMENT_BYTES: usize = 16 << 10;

fn options() -> Options {
    Options { segment_bytes: SEGMENT_BYTES as u64, ..Options::default() }
}

/// A log as a killed process leaves it.
struct Killed {
    /// What is durable.
    durable: Files,
    /// The segment that holds one more record, in memory only.
    cached: (PathBuf, Vec<u8>),
    /// What may be found, in order; all of it is in the cache.
    ledger: Ledger,
}

#[tokio::test]
async fn a_vote_in_memory_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_vote(dir.path()).await;
    let before = files_of(store, dir.path()).await;
    let mut store = LogStore::open(&Environment::system(), dir.path(), options()).unwrap();
    let base = Model::observe(&mut store).await;
    store.save_vote(&Vote::new(2, 1)).await.unwrap();
    let after = files_of(store, dir.path()).await;
    sweep(killed(before, after, base, vec![Step::Vote(Vote::new(2, 1))])).await;
}

/// Segments go once the purge is durable, and not because it was read.
#[tokio::test]
async fn a_purge_in_memory_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open_with_vote(dir.path()).await;
    for index in 1..=20 {
        let payload = EntryPayload::Normal(Proposal(Bytes::from(vec![1; 2000])));
        let entry = Entry { log_id: log_id(1, index), payload };
        store.blocking_append([entry]).await.unwrap();
    }
    let before = files_of(store, dir.path()).await;
    let mut store = LogStore::open(&Environment::system(), dir.path(), options()).unwrap();
    let base = Model::observe(&mut store).await;
    store.purge(log_id(1, 19)).await.unwrap();
    let after = files_of(store, dir.path()).await;
    assert!(after.len() < before.len(), "the purge deletes segments");
    sweep(killed(before, after, base, vec![Step::Purge(log_id(1, 19))])).await;
}

/// What follows a seal must not outlive it.
#[tokio::test]
async fn a_seal_in_memory_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open_with_vote(dir.path()).await;
    let mut base = Model::default();
    for term in 2.. {
        store.save_vote(&Vote::new(term, 1)).await.unwrap();
        if fs::read(dir.path().join(name(2))).is_ok_and(|next| next[512..].iter().any(|b| *b > 0)) {
            base.vote = Some(Vote::new(term - 1, 1));
            break;
        }
    }
    let mut files = files_of(store, dir.path()).await;
    files.retain(|file, _| [name(1), name(2)].contains(file));
    files.get_mut(&name(2)).unwrap()[512..].fill(0);
    let sealed = files[&name(1)].clone();
    let end = sealed.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    files.get_mut(&name(1)).unwrap()[end - 40..].fill(0);
    let ledger = Ledger::new(base);
    sweep(Killed { durable: files, cached: (name(1), sealed), ledger }).await;
}

async fn open_with_vote(dir: &Path) -> LogStore {
    let mut store = LogStore::open(&Environment::system(), dir, options()).unwrap();
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    store
}

/// Closes a log; its files.
async fn files_of(store: LogStore, dir: &Path) -> Files {
    store.close().await.unwrap();
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into(), fs::read(file.path()).unwrap())).collect()
}

fn name(number: u64) -> PathBuf {
    format!("{number:016x}.wal").into()
}

fn killed(before: Files, after: Files, base: Model, steps: Vec<Step>) -> Killed {
    let mut changed = after.into_iter().filter(|(file, content)| before[file] != *content);
    let cached = changed.next().expect("a record was written");
    assert!(changed.next().is_none(), "one record is in one segment");
    let mut ledger = Ledger::new(base);
    ledger.steps = steps;
    Killed { durable: before, cached, ledger }
}

/// Opens the log a killed process left, with power going at each write.
async fn sweep(killed: Killed) {
    let Some(mut disk) = CrashDisk::new_or_say_why(DISK_BYTES) else {
        return;
    };
    let mut accepted = 0;
    for writes in 1..=WRITES_MAX {
        lay(&log_dir(&disk), &killed);
        disk.cut_after(Cut { writes, seed: 0, keep_percent: 0, tear_bytes: 4096 });
        let mut ledger = killed.ledger.clone();
        // Fails, or not, as the cut comes before its end or after it.
        if let Ok(mut store) = LogStore::open(&Environment::system(), &log_dir(&disk), options()) {
            let found = Model::observe(&mut store).await;
            ledger.check(&found);
            ledger = Ledger::new(found);
            ledger.steps = vec![Step::Vote(Vote::new(1000, 1))];
            ledger.acknowledged = usize::from(store.save_vote(&Vote::new(1000, 1)).await.is_ok());
            accepted += ledger.acknowledged;
            let _ = store.close().await;
        }
        disk = disk.restart();
        let mut store = LogStore::open(&Environment::system(), &log_dir(&disk), options())
            .unwrap_or_else(|error| panic!("power gone at write {writes}: {error}"));
        ledger.check(&Model::observe(&mut store).await);
        store.close().await.unwrap();
    }
    assert!(accepted > 0, "no open came to its end before the cut");
}

/// Puts a log on the disk, its last record into the cache only.
fn lay(dir: &Path, killed: &Killed) {
    for file in fs::read_dir(dir).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    for (name, content) in &killed.durable {
        fs::write(dir.join(name), content).unwrap();
        File::open(dir.join(name)).unwrap().sync_all().unwrap();
    }
    File::open(dir).unwrap().sync_all().unwrap();
    let (name, content) = &killed.cached;
    let file = File::options().write(true).open(dir.join(name)).unwrap();
    file.write_all_at(content, 0).unwrap();
}
