//! Finding events: by revision, and by subject, actor and action at once.
//!
//! Each term of a filter has a sorted list of revisions. A search for several
//! terms leaps: it asks each list for its next entry at or past the furthest that
//! any list has given, until all agree. Only events that all lists name are read.

use super::cursor::{CursorStep, PostingCursor, SearchDirection};
use super::database::ArchiveDatabase;
use super::format::frame_of;
use super::posting::Term;
use super::ranges::RevisionRanges;
use super::reader::BlockReader;
use super::{EventRun, RevisionSpan};
use crate::machine::Event;
use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::store::raft::host::DatabaseFault;

/// How many records one turn may read. The thread is shared, and a search for a
/// rare event may read every posting.
const TURN_RECORDS_MAX: u64 = 2_048;
/// How many bytes of events one turn may gather.
const TURN_BYTES_MAX: usize = 4 << 20;

/// What one turn of a search found.
pub(super) struct SearchPage {
    pub events: Vec<Event>,
    pub rest: SearchOutcome,
}

/// How a turn ended.
pub(super) enum SearchOutcome {
    /// The whole range was searched, or the limit is reached.
    Done,
    /// This part of the range is left.
    More(RevisionSpan),
    /// The event with this revision is not held.
    Missing(u64),
    /// The event with this revision failed its checks.
    Damaged(u64),
    /// The postings of this revision's frame are not proven yet.
    Unproven,
}

/// What a search sees of the archive.
pub(super) struct ArchiveLookup<'a> {
    pub database: &'a ArchiveDatabase,
    pub held: &'a RevisionRanges,
    /// Frames whose postings are known to be complete.
    pub proven: &'a RevisionRanges,
}

impl ArchiveLookup<'_> {
    /// Events of `span` that `filter` admits, newest first.
    pub(super) fn newest(
        &self,
        filter: &HistoryFilter,
        span: RevisionSpan,
        limit: usize,
    ) -> Result<SearchPage, DatabaseFault> {
        let terms = Term::of_filter(filter);
        self.search(terms, &|event| filter.admits(event), span, limit, SearchDirection::Down)
    }

    /// Events of `span` that `filter` admits, oldest first.
    pub(super) fn since(
        &self,
        filter: &ChangeFilter,
        span: RevisionSpan,
        limit: usize,
    ) -> Result<SearchPage, DatabaseFault> {
        let terms = match filter {
            ChangeFilter::Key(key) => vec![Term::subject(key)],
            // Names are hashed: a prefix means looking at each event.
            ChangeFilter::Prefix(_) | ChangeFilter::Grants => Vec::new(),
        };
        self.search(terms, &|event| filter.admits(event), span, limit, SearchDirection::Up)
    }

    /// A run that ends with `span.last` and goes down as far as `span.first`,
    /// `bytes_max` or a hole allow; at least one event, where that is held.
    pub(super) fn run(
        &self,
        span: RevisionSpan,
        bytes_max: usize,
    ) -> Result<Result<EventRun, u64>, DatabaseFault> {
        let last = span.last.0;
        let Some((held_first, _)) = self.held.range_at(last) else { return Ok(Err(last)) };
        let floor = span.first.0.max(held_first);
        let mut reader = BlockReader::new(self.database);
        let (mut first, mut bytes) = (last + 1, 0);
        while first > floor && (first > last || bytes < bytes_max) {
            let Some(event) = reader.event(first - 1)? else { return Ok(Err(first - 1)) };
            bytes += super::size_of(&event);
            first -= 1;
        }
        BlockReader::new(self.database).run(RevisionSpan::new(first, last))
    }

    /// A run that begins with `span.first` and goes up as far as `span.last`,
    /// `bytes_max` or a hole allow; at least one event, where that is held.
    pub(super) fn run_up(
        &self,
        span: RevisionSpan,
        bytes_max: usize,
    ) -> Result<Result<EventRun, u64>, DatabaseFault> {
        let first = span.first.0;
        let Some((_, held_last)) = self.held.range_at(first) else { return Ok(Err(first)) };
        let ceiling = span.last.0.min(held_last);
        let mut reader = BlockReader::new(self.database);
        let (mut end, mut bytes) = (first, 0);
        while end <= ceiling && (end == first || bytes < bytes_max) {
            let Some(event) = reader.event(end)? else { return Ok(Err(end)) };
            bytes += super::size_of(&event);
            end += 1;
        }
        BlockReader::new(self.database).run(RevisionSpan::new(first, end - 1))
    }

    fn search(
        &self,
        terms: Vec<Term>,
        admits: &dyn Fn(&Event) -> bool,
        span: RevisionSpan,
        limit: usize,
        direction: SearchDirection,
    ) -> Result<SearchPage, DatabaseFault> {
        let mut cursors: Vec<_> = terms.into_iter().map(PostingCursor::new).collect();
        let mut reader = BlockReader::new(self.database);
        let mut events: Vec<Event> = Vec::new();
        let mut left = Some(span);
        let mut bytes = 0;
        let turn_end = self.database.reads() + TURN_RECORDS_MAX;
        while let Some(span) = left.filter(|_| events.len() < limit) {
            if self.database.reads() >= turn_end || bytes >= TURN_BYTES_MAX {
                return Ok(SearchPage { events, rest: SearchOutcome::More(span) });
            }
            let at = direction.start(span);
            let Some((a, b)) = self.held.range_at(at) else {
                return Ok(SearchPage { events, rest: SearchOutcome::Missing(at) });
            };
            let room = RevisionSpan::new(span.first.0.max(a), span.last.0.min(b));
            let found = self.leap(&mut cursors, room, direction, turn_end)?;
            let reached = match found {
                Leap::At(revision) | Leap::Tired(revision) => revision,
                Leap::Nothing => direction.end(room),
                Leap::Damaged(revision) => {
                    return Ok(SearchPage { events, rest: SearchOutcome::Damaged(revision) });
                }
            };
            if !cursors.is_empty() && !self.is_proven(at, reached) {
                return Ok(SearchPage { events, rest: SearchOutcome::Unproven });
            }
            if let Leap::At(revision) = found {
                let Some(event) = reader.event(revision)? else {
                    return Ok(SearchPage { events, rest: SearchOutcome::Damaged(revision) });
                };
                // Neighbours come from different blocks now and then: the link
                // between them costs no read.
                if !linked(events.last(), &event, direction) {
                    return Ok(SearchPage { events, rest: SearchOutcome::Damaged(revision) });
                }
                // A posting is a hint; the event itself decides.
                if admits(&event) {
                    bytes += super::size_of(&event);
                    events.push(event);
                }
            }
            left = match found {
                Leap::Tired(revision) => direction.from(span, revision),
                Leap::At(_) | Leap::Nothing | Leap::Damaged(_) => direction.past(span, reached),
            };
        }
        Ok(SearchPage { events, rest: SearchOutcome::Done })
    }

    /// The first revision of `room`, in this direction, that all lists name.
    fn leap(
        &self,
        cursors: &mut [PostingCursor],
        room: RevisionSpan,
        direction: SearchDirection,
        turn_end: u64,
    ) -> Result<Leap, DatabaseFault> {
        let mut at = direction.start(room);
        loop {
            let mut furthest = at;
            for cursor in &mut *cursors {
                match cursor.next(self.database, furthest, room, direction)? {
                    CursorStep::At(next) => furthest = next,
                    CursorStep::Nothing => return Ok(Leap::Nothing),
                    CursorStep::Damaged(revision) => return Ok(Leap::Damaged(revision)),
                }
            }
            if furthest == at {
                return Ok(Leap::At(at));
            }
            at = furthest;
            if self.database.reads() >= turn_end {
                return Ok(Leap::Tired(at));
            }
        }
    }

    fn is_proven(&self, one: u64, other: u64) -> bool {
        let (low, high) = (frame_of(one.min(other)), frame_of(one.max(other)));
        self.proven.range_at(low).is_some_and(|(_, last)| high <= last)
    }
}

/// What [`ArchiveLookup::leap`] came to.
#[derive(Clone, Copy)]
enum Leap {
    At(u64),
    /// Nothing before this revision; the turn is over.
    Tired(u64),
    Nothing,
    /// A posting of this revision's frame is broken.
    Damaged(u64),
}

/// Whether two events that were found one after the other may both be right.
fn linked(last: Option<&Event>, event: &Event, direction: SearchDirection) -> bool {
    let Some(last) = last else { return true };
    let (older, newer) = match direction {
        SearchDirection::Down => (event, last),
        SearchDirection::Up => (last, event),
    };
    older.revision.next() != newer.revision || newer.follows(older.chain)
}
