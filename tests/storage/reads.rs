//! Reads: at once after an append, from memory and from disk alike, bounded.

use std::os::unix::fs::FileExt;

use bytes::Bytes;
use futures::StreamExt;
use mcp_state_sidecar::store::raft::consensus::entry::{Entry, Vote, log_id};
use mcp_state_sidecar::store::raft::consensus::types::Proposal;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::{LogStore, Options};
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage, RaftLogStorageExt};

use super::files::folder;
use support::small_options;

fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let payload = Proposal(Bytes::from(vec![index as u8; bytes]));
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(payload) }
}

fn entries(range: std::ops::RangeInclusive<u64>, bytes: usize) -> Vec<Entry> {
    range.map(|index| entry(1, index, bytes)).collect()
}

#[tokio::test]
async fn an_entry_is_read_before_it_is_durable_and_after() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), small_options()).unwrap();
    let all = entries(1..=400, 1000);
    for part in all.chunks(7) {
        let last = part.last().unwrap().log_id;
        store.append(part.to_vec(), IOFlushed::noop()).await.unwrap();
        let state = store.get_log_state().await.unwrap();
        assert_eq!(state.last_log_id, Some(last));
        let read = store.try_get_log_entries(part[0].log_id.index..).await.unwrap();
        assert_eq!(read, part);
    }
    // Of 400 KB, the cache keeps 32: most come from disk.
    assert_eq!(store.try_get_log_entries(..).await.unwrap(), all);
    store.close().await.unwrap();
    let mut store = LogStore::open(&Environment::system(), dir.path(), small_options()).unwrap();
    assert_eq!(store.try_get_log_entries(..).await.unwrap(), all);
    assert_eq!(store.try_get_log_entries(390..=395).await.unwrap(), all[389..395]);
    let streamed: Vec<Entry> = store
        .get_log_reader()
        .await
        .entries_stream(3..399)
        .await
        .map(Result::unwrap)
        .collect()
        .await;
    assert_eq!(streamed, all[2..398]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_read_is_bounded_by_bytes_and_never_empty() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), small_options()).unwrap();
    store.blocking_append(entries(1..=40, 1000)).await.unwrap();
    store.blocking_append([entry(1, 41, 50_000)]).await.unwrap();
    let mut reader = store.get_log_reader().await;
    let part = reader.limited_get_log_entries(1, 42).await.unwrap();
    assert_eq!(part, entries(1..=15, 1000));
    let large = reader.limited_get_log_entries(41, 42).await.unwrap();
    assert_eq!(large, [entry(1, 41, 50_000)]);
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_entry_written_anew_after_a_truncate_is_the_one_read() {
    let dir = folder();
    let options = Options { cache_bytes: 0, ..small_options() };
    let mut store = LogStore::open(&Environment::system(), dir.path(), options.clone()).unwrap();
    for round in 1..=50 {
        // All three wait in the queue together.
        store.append(entries(1..=3, 500), IOFlushed::noop()).await.unwrap();
        store.truncate_after(Some(log_id(1, 1))).await.unwrap();
        store.append([entry(1, 2, 10 + round)], IOFlushed::noop()).await.unwrap();
        let expected = [entry(1, 1, 500), entry(1, 2, 10 + round)];
        assert_eq!(store.try_get_log_entries(..).await.unwrap(), expected);
        store.save_vote(&Vote::new(round as u64, 1)).await.unwrap();
        assert_eq!(store.try_get_log_entries(..).await.unwrap(), expected);
        store.truncate_after(None).await.unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_purge_frees_the_disk_and_keeps_the_rest() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), small_options()).unwrap();
    store.save_vote(&Vote::new(3, 2)).await.unwrap();
    for part in entries(1..=400, 5000).chunks(5) {
        store.blocking_append(part.to_vec()).await.unwrap();
    }
    store.save_committed(Some(log_id(1, 400))).await.unwrap();
    assert!(store.stats().appended_since_purge_bytes() > 400 * 5000);
    store.purge(log_id(1, 395)).await.unwrap();
    assert_eq!(store.stats().appended_since_purge_bytes(), 0);
    store.close().await.unwrap();
    let on_disk: u64 =
        std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(store.stats().disk_bytes(), on_disk);
    assert!(on_disk < 300 << 10, "{on_disk} bytes stay on disk");
    let mut store = LogStore::open(&Environment::system(), dir.path(), small_options()).unwrap();
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new(3, 2)));
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 400)));
    let state = store.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(1, 395)));
    assert_eq!(store.try_get_log_entries(..).await.unwrap().len(), 5);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_gap_is_refused_and_a_closed_log_refuses_all() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), small_options()).unwrap();
    store.blocking_append(entries(1..=3, 10)).await.unwrap();
    let error = store.append([entry(1, 5, 10)], IOFlushed::noop()).await.unwrap_err();
    assert_eq!(error.to_string(), "entry 1.5 cannot follow entry 1.3");
    store.save_committed(Some(log_id(1, 9))).await.unwrap();
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 3)));
    store.close().await.unwrap();
    let error = store.save_vote(&Vote::new(1, 1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the log is closed");
}

#[tokio::test]
async fn an_entry_that_changed_on_disk_is_not_given_out() {
    let dir = folder();
    let options = Options { cache_bytes: 0, ..small_options() };
    let mut store = LogStore::open(&Environment::system(), dir.path(), options).unwrap();
    store.blocking_append(entries(1..=2, 700)).await.unwrap();
    let segment = dir.path().join("0000000000000001.wal");
    let file = std::fs::File::options().read(true).write(true).open(segment).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 1000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 1000).unwrap();
    let error = store.try_get_log_entries(1..2).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    assert_eq!(store.try_get_log_entries(2..3).await.unwrap(), entries(2..=2, 700));
    store.close().await.unwrap();
}
