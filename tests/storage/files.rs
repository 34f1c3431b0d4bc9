//! Logs as files, for tests that damage them: written once, copied, changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mcp_state_sidecar::store::raft::consensus::entry::{Entry, Vote, log_id};
use mcp_state_sidecar::store::raft::consensus::types::Proposal;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::{LogError, LogStore, Options};
use openraft::EntryPayload;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use tempfile::TempDir;

use support::log_load::{Load, Run};
use support::log_model::Model;

/// The content of each segment, by name.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Segments as small as they may be: many of them, with few bytes to flip.
pub fn tiny_options() -> Options {
    Options { segment_bytes: 4096, cache_bytes: 1024, ..Options::default() }
}

/// An entry of term 1.
pub fn entry(index: u64, payload: Vec<u8>) -> Entry {
    let payload = EntryPayload::Normal(Proposal(Bytes::from(payload)));
    Entry { log_id: log_id(1, index), payload }
}

/// A log of several small segments and what it holds.
pub async fn small_log(seed: u64, steps: usize) -> (Files, Model) {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    let load = Load::new(seed, &Model::default(), 1001);
    let mut run = Run::new(&mut store, Model::default(), load, |_| {});
    for _ in 0..steps {
        run.step().await.unwrap();
    }
    run.settle().await.unwrap();
    drop(run);
    store.close().await.unwrap();
    drop(store);
    (read(dir.path()), open(dir.path()).await.unwrap())
}

/// What a log holds, or why it does not open.
pub async fn open(dir: &Path) -> Result<Model, LogError> {
    let mut store = LogStore::open(&Environment::system(), dir, tiny_options())?;
    let model = Model::observe(&mut store).await;
    store.close().await?;
    Ok(model)
}

/// What the log in these files holds, or why it does not open.
pub async fn open_files(files: &Files) -> Result<Model, LogError> {
    let dir = folder();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    open(dir.path()).await
}

pub fn read(dir: &Path) -> Files {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into(), fs::read(file.path()).unwrap())).collect()
}

/// A folder in memory where there is one: these tests never lose power.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// The bytes of a segment in use: up to the last that is not zero.
pub fn used_bytes(content: &[u8]) -> usize {
    content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Files that a log no longer needs and a crash brought back.
#[tokio::test]
async fn segments_that_come_back_after_a_purge_are_removed() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    for index in 1..=20 {
        store.blocking_append([entry(index, vec![1; 900])]).await.unwrap();
    }
    store.close().await.unwrap();
    let before = read(dir.path());
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    store.purge(log_id(1, 18)).await.unwrap();
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    let model = Model::observe(&mut store).await;
    store.close().await.unwrap();
    let after = read(dir.path());
    let gone: Vec<&PathBuf> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    assert!((3..10).contains(&gone.len()), "the purge removes some segments: {gone:?}");
    for back in 0..1_u32 << gone.len() {
        let mut files = after.clone();
        for (_, name) in gone.iter().enumerate().filter(|(bit, _)| back & 1 << bit != 0) {
            files.insert((*name).clone(), before[*name].clone());
        }
        let dir = folder();
        for (name, content) in &files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        assert_eq!(open(dir.path()).await.unwrap(), model, "{back:b} of {gone:?} came back");
        let left: Vec<PathBuf> = read(dir.path()).into_keys().collect();
        assert!(!gone.iter().any(|name| left.contains(name)), "{left:?} are left");
    }
}
