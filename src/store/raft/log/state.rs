//! What the records of the log lead to: the vote, how far it is committed, its
//! bounds, and which segments are still needed. The writer updates it in the order
//! of the disk, and recovery builds the same from the same records. The entries
//! themselves are in the index.

use std::collections::VecDeque;

use super::numbers::SegmentNumber;
use crate::proto::record;
use crate::store::raft::consensus::entry::{LogId, Vote};

/// Entries of one segment that are neither truncated nor purged, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SegmentSpan {
    segment: SegmentNumber,
    first: u64,
    last: u64,
}

/// What the records up to some place in the log lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogState {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    /// The last entry that was purged.
    pub purged: Option<LogId>,
    /// The last entry, or `purged` when there is none.
    pub last: Option<LogId>,
    /// No record needs a segment before this one.
    pub oldest: SegmentNumber,
    /// In the order of segments and of entries.
    spans: VecDeque<SegmentSpan>,
}

impl LogState {
    /// The state of a log that begins in `oldest`.
    pub fn new(oldest: SegmentNumber) -> Self {
        Self { oldest, ..Self::default() }
    }

    /// The state in the head of a segment, which does not know the spans of earlier
    /// segments.
    pub fn from_head(head: &record::Head) -> Self {
        Self {
            vote: head.vote.as_ref().map(Vote::from),
            committed: head.committed.as_ref().map(LogId::from),
            purged: head.purged.as_ref().map(LogId::from),
            last: head.last.as_ref().map(LogId::from),
            oldest: SegmentNumber(head.oldest),
            spans: VecDeque::new(),
        }
    }

    /// The head with which `segment` begins.
    pub fn head(&self, segment: SegmentNumber) -> record::Head {
        record::Head {
            segment: segment.0,
            oldest: self.oldest.0,
            vote: self.vote.as_ref().map(Into::into),
            committed: self.committed.as_ref().map(Into::into),
            purged: self.purged.as_ref().map(Into::into),
            last: self.last.as_ref().map(Into::into),
        }
    }

    /// Notes that `segment` holds the entries `first..=last`.
    ///
    /// # Errors
    /// They do not follow the last entry.
    pub fn append(
        &mut self,
        first: LogId,
        last: LogId,
        segment: SegmentNumber,
    ) -> Result<(), String> {
        if let Some(before) = self.last
            && first.index != before.index + 1
        {
            return Err(format!("entry {first} follows entry {before}"));
        }
        self.last = Some(last);
        match self.spans.back_mut() {
            Some(span) if span.segment == segment => span.last = last.index,
            Some(_) | None => {
                self.spans.push_back(SegmentSpan { segment, first: first.index, last: last.index });
            }
        }
        Ok(())
    }

    /// Drops the entries after `last`.
    pub fn truncate(&mut self, last: Option<LogId>) {
        let next = last.map_or(0, |id| id.index + 1);
        while self.spans.back().is_some_and(|span| span.first >= next) {
            self.spans.pop_back();
        }
        if let Some(span) = self.spans.back_mut() {
            span.last = span.last.min(next - 1);
        }
        self.last = last;
    }

    /// Drops the entries up to `upto`, and the segments before `oldest`.
    pub fn purge(&mut self, upto: LogId, oldest: SegmentNumber) {
        while self.spans.front().is_some_and(|span| span.last <= upto.index) {
            self.spans.pop_front();
        }
        if self.last.is_none_or(|last| last.index <= upto.index) {
            self.last = Some(upto);
        }
        self.purged = Some(upto);
        self.oldest = oldest;
    }

    /// The oldest segment that is needed once the entries up to `upto` are gone and
    /// records are written to `active`. It does not know what else the same group
    /// removes, so it may keep a segment for longer than necessary.
    pub fn oldest_after(&self, upto: LogId, active: SegmentNumber) -> SegmentNumber {
        let needed = self.spans.iter().find(|span| span.last > upto.index);
        needed.map_or(active, |span| span.segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::raft::consensus::entry::log_id;

    #[test]
    fn a_segment_is_needed_until_its_entries_are_gone() {
        let (one, two, three) = (SegmentNumber(1), SegmentNumber(2), SegmentNumber(3));
        let mut state = LogState::new(one);
        state.append(log_id(1, 1), log_id(1, 5), one).unwrap();
        state.append(log_id(1, 6), log_id(1, 9), two).unwrap();
        assert_eq!(state.oldest_after(log_id(1, 4), three), one);
        assert_eq!(state.oldest_after(log_id(1, 5), three), two);
        state.truncate(Some(log_id(1, 5)));
        assert_eq!(state.oldest_after(log_id(1, 5), three), three);
        state.append(log_id(2, 6), log_id(2, 6), three).unwrap();
        state.purge(log_id(2, 8), three);
        assert_eq!((state.last, state.spans.len()), (Some(log_id(2, 8)), 0));
        assert!(state.append(log_id(2, 8), log_id(2, 8), three).is_err());
    }
}
