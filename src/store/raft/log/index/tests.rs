//! What the index promises, without a disk.

use bytes::Bytes;
use openraft::EntryPayload;

use super::*;
use crate::store::raft::consensus::types::Proposal;

const LOCATION: Location =
    Location { segment: SegmentNumber(1), at: 512, bytes: 100, checksum: 0, mask: 0 };

fn entries(range: Range<u64>) -> Vec<Entry> {
    let payload = || EntryPayload::Normal(Proposal(Bytes::from_static(&[0; 100])));
    range.map(|index| Entry { log_id: log_id(1, index), payload: payload() }).collect()
}

fn cached(index: &LogIndex, range: Range<u64>) -> Vec<bool> {
    let uncached = index.slots.len() - index.cache.len();
    range.map(|at| at - index.first >= uncached as u64).collect()
}

#[test]
fn an_entry_leaves_the_cache_only_once_it_is_written() {
    let mut index = LogIndex::new(0);
    let first = index.append(&entries(1..4)).unwrap();
    let second = index.append(&entries(4..7)).unwrap();
    index.written(first, 1, &[LOCATION; 3]);
    assert_eq!(cached(&index, 1..7), [false, false, false, true, true, true]);
    assert_eq!(index.sources(4..7, u64::MAX).len(), 3);
    index.written(second, 4, &[LOCATION; 3]);
    assert_eq!(cached(&index, 1..7), [false; 6]);
    assert_eq!(index.cache_bytes, 0);
}

#[test]
fn a_write_of_entries_truncated_meanwhile_places_none_anew() {
    let mut index = LogIndex::new(0);
    let first = index.append(&entries(1..4)).unwrap();
    index.truncate(Some(log_id(1, 1)));
    let second = index.append(&entries(2..3)).unwrap();
    index.written(first, 1, &[LOCATION; 3]);
    assert_eq!(cached(&index, 1..3), [false, true]);
    index.written(second, 2, &[LOCATION]);
    assert_eq!(cached(&index, 1..3), [false, false]);
}

#[test]
fn bounds_follow_truncates_and_purges() {
    let mut index = LogIndex::new(1 << 20);
    index.append(&entries(1..10)).unwrap();
    assert_eq!(index.last_after(Some(log_id(1, 9))), None);
    assert_eq!(index.last_after(Some(log_id(1, 5))), Some(Some(log_id(1, 5))));
    assert_eq!(index.last_after(None), Some(None));
    index.purge(log_id(1, 3));
    assert_eq!(index.last_after(None), Some(Some(log_id(1, 3))));
    assert_eq!(index.sources(0..5, u64::MAX).len(), 1);
    index.truncate(Some(log_id(1, 3)));
    assert_eq!((index.last(), index.entries_bytes()), (Some(log_id(1, 3)), 0));
    assert!(index.append(&entries(5..6)).is_err());
    index.purge(log_id(2, 20));
    assert_eq!(index.last(), Some(log_id(2, 20)));
    assert!(index.append(&entries(21..23)).is_ok());
    assert!(index.is_complete());
}
