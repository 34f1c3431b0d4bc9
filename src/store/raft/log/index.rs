//! Which entries the log holds, and where: the newest ones in memory, all others
//! by their place in a segment. An append shows here at once; the disk follows.
//!
//! Invariants: entries are consecutive; the cache is a suffix of them; an entry
//! that is not in the cache has been written.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::error::LogError;
use super::location::Location;
use super::numbers::SegmentNumber;
use super::segment::Segment;
use crate::store::raft::consensus::entry::{Entry, LogId, Vote, entry_bytes, log_id};

/// The number of an append, in the order of the writer's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AppendTicket(u64);

#[derive(Clone, Copy, Debug)]
enum IndexPlace {
    /// Not written yet, so in the cache.
    Queued(AppendTicket),
    Written(Location),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    term: u64,
    bytes: u32,
    place: IndexPlace,
}

/// An entry, or where to read it.
#[derive(Debug)]
pub(super) enum EntrySource {
    Cached(Entry),
    Stored { id: LogId, location: Location, segment: Segment },
}

/// Which entries the log holds, and where.
#[derive(Debug)]
pub(super) struct LogIndex {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    /// The entry before the first one: `purged`, except while recovery reads
    /// segments whose predecessors are gone.
    before: Option<LogId>,
    /// The first entry's index, when there is one.
    first: u64,
    slots: VecDeque<Slot>,
    cache: VecDeque<Entry>,
    cache_bytes: u64,
    cache_bytes_max: u64,
    segments: BTreeMap<SegmentNumber, Segment>,
    tickets: u64,
}

impl LogIndex {
    /// The index of a log without entries.
    pub fn new(cache_bytes_max: u64) -> Self {
        Self {
            vote: None,
            committed: None,
            purged: None,
            before: None,
            first: 0,
            slots: VecDeque::new(),
            cache: VecDeque::new(),
            cache_bytes: 0,
            cache_bytes_max,
            segments: BTreeMap::new(),
            tickets: 0,
        }
    }

    /// Begins behind `before`, because earlier segments are gone.
    pub fn begin(&mut self, before: Option<LogId>, purged: Option<LogId>) {
        self.before = before;
        self.purged = purged;
    }

    /// The last entry, or the one before the first if there is none.
    pub fn last(&self) -> Option<LogId> {
        match self.slots.back() {
            Some(slot) => Some(log_id(slot.term, self.end() - 1)),
            None => self.before,
        }
    }

    /// Whether every entry between the last purged one and the end is here.
    pub fn is_complete(&self) -> bool {
        self.before == self.purged
    }

    /// The bytes of all entries.
    pub fn entries_bytes(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.bytes)).sum()
    }

    /// Takes entries that are about to be written.
    ///
    /// # Errors
    /// When they do not follow the last entry and one another; nothing is taken.
    pub fn append(&mut self, entries: &[Entry]) -> Result<AppendTicket, LogError> {
        let mut last = self.last();
        for entry in entries {
            if let Some(last) = last
                && entry.log_id.index != last.index + 1
            {
                let (found, last) = (entry.log_id.to_string(), last.to_string());
                return Err(LogError::Order { found, last });
            }
            last = Some(entry.log_id);
        }
        self.tickets += 1;
        let ticket = AppendTicket(self.tickets);
        for entry in entries {
            self.push(entry.clone(), IndexPlace::Queued(ticket));
        }
        Ok(ticket)
    }

    /// Takes an entry found in a segment; it follows the last one.
    pub fn restore(&mut self, entry: Entry, location: Location) {
        self.push(entry, IndexPlace::Written(location));
        self.evict();
    }

    /// The entries of an append, from index `first` on, were written.
    pub fn written(&mut self, ticket: AppendTicket, first: u64, locations: &[Location]) {
        for (index, location) in (first..).zip(locations) {
            // Truncated meanwhile, and perhaps appended anew under another ticket.
            let slot = index.checked_sub(self.first).and_then(|n| self.slots.get_mut(n as usize));
            if let Some(slot) = slot
                && matches!(slot.place, IndexPlace::Queued(queued) if queued == ticket)
            {
                slot.place = IndexPlace::Written(*location);
            }
        }
        self.evict();
    }

    /// Drops entries after `last`, an entry or what precedes the first.
    pub fn truncate(&mut self, last: Option<LogId>) {
        let next = last.map_or(0, |id| id.index + 1);
        let kept = next.saturating_sub(self.first) as usize;
        while self.slots.len() > kept {
            self.slots.pop_back();
            if let Some(entry) = self.cache.pop_back() {
                self.cache_bytes -= entry_bytes(&entry);
            }
        }
        if self.slots.is_empty() {
            self.before = last;
        }
    }

    /// The last entry there would be after a truncate after `after`; `None` when
    /// nothing comes after it.
    pub fn last_after(&self, after: Option<LogId>) -> Option<Option<LogId>> {
        let next = after.map_or(0, |id| id.index + 1);
        if self.slots.is_empty() || next >= self.end() {
            return None;
        }
        match next.checked_sub(self.first + 1) {
            Some(n) => Some(Some(log_id(self.slots[n as usize].term, next - 1))),
            None => Some(self.before),
        }
    }

    /// Drops entries up to `upto`, which may lie beyond the last.
    pub fn purge(&mut self, upto: LogId) {
        while !self.slots.is_empty() && self.first <= upto.index {
            self.slots.pop_front();
            self.first += 1;
        }
        while self.cache.len() > self.slots.len() {
            self.uncache();
        }
        if self.before.is_none_or(|before| before.index <= upto.index) {
            self.before = Some(upto);
        }
        self.purged = Some(upto);
    }

    /// The sources of the entries within `range`, of `bytes_max` in all but at
    /// least one.
    pub fn sources(&self, range: Range<u64>, bytes_max: u64) -> Vec<EntrySource> {
        let start = range.start.max(self.first);
        let end = range.end.min(self.end());
        let mut bytes = 0;
        let mut sources = Vec::new();
        for index in start..end {
            let slot = &self.slots[(index - self.first) as usize];
            bytes += u64::from(slot.bytes);
            if bytes > bytes_max && !sources.is_empty() {
                break;
            }
            sources.push(self.source(index, slot));
        }
        sources
    }

    /// The sizes of all segments known to readers.
    pub fn segments_bytes(&self) -> impl Iterator<Item = u64> {
        self.segments.values().map(|segment| segment.bytes)
    }

    /// Makes a segment's file known to readers.
    pub fn add_segment(&mut self, segment: Segment) {
        self.segments.insert(segment.number, segment);
    }

    /// Forgets the segments before `oldest`, in which no entry rests any more.
    pub fn drop_segments(&mut self, oldest: SegmentNumber) -> Vec<Segment> {
        let kept = self.segments.split_off(&oldest);
        let dropped = std::mem::replace(&mut self.segments, kept);
        dropped.into_values().collect()
    }

    fn source(&self, index: u64, slot: &Slot) -> EntrySource {
        let uncached = self.slots.len() - self.cache.len();
        let n = (index - self.first) as usize;
        match (n.checked_sub(uncached), slot.place) {
            (Some(n), _) => EntrySource::Cached(self.cache[n].clone()),
            (None, IndexPlace::Written(location)) => EntrySource::Stored {
                id: log_id(slot.term, index),
                location,
                segment: self.segments[&location.segment].clone(),
            },
            (None, IndexPlace::Queued(ticket)) => {
                unreachable!("entry {index} of {ticket:?} left the cache before it was written")
            }
        }
    }

    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn push(&mut self, entry: Entry, place: IndexPlace) {
        if self.slots.is_empty() {
            self.first = entry.log_id.index;
        }
        let bytes = entry_bytes(&entry);
        let term = entry.log_id.leader_id.term;
        self.slots.push_back(Slot { term, bytes: bytes as u32, place });
        self.cache.push_back(entry);
        self.cache_bytes += bytes;
    }

    /// Keeps the cache within its bound, but for entries not yet written: those
    /// the writer's queue bounds.
    fn evict(&mut self) {
        while self.cache_bytes > self.cache_bytes_max {
            let oldest = &self.slots[self.slots.len() - self.cache.len()];
            match oldest.place {
                IndexPlace::Written(_) => self.uncache(),
                IndexPlace::Queued(_) => break,
            }
        }
    }

    fn uncache(&mut self) {
        if let Some(entry) = self.cache.pop_front() {
            self.cache_bytes -= entry_bytes(&entry);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
