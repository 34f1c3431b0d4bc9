//! Going through one term's list of revisions, up or down, a posting at a time.

use super::Span;
use super::database::ArchiveDatabase;
use super::format::{frame_of, span_of};
use super::posting::{Term, decode_posting};
use crate::machine::Revision;
use crate::store::raft::host::DatabaseFault;

/// One term's list.
pub(super) struct PostingCursor {
    term: Term,
    /// The last posting read: its frame and revisions.
    posting: Option<(u64, Vec<u64>)>,
}

/// The way a search goes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    Down,
    Up,
}

impl PostingCursor {
    pub(super) fn new(term: Term) -> Self {
        PostingCursor { term, posting: None }
    }

    /// The list's first entry at or past `at`, within `room`.
    pub(super) fn next(
        &mut self,
        database: &ArchiveDatabase,
        at: u64,
        room: Span,
        way: Direction,
    ) -> Result<CursorStep, DatabaseFault> {
        let mut at = at;
        // At most three turns: the posting at hand and the next one may both
        // have nothing more.
        while room.contains(at) {
            if self.posting.as_ref().is_none_or(|(frame, _)| *frame != frame_of(at)) {
                let (here, end) = (frame_of(at), frame_of(way.end(room)));
                let found = match way {
                    Direction::Down => database.last(&self.term.key(end), &self.term.key(here))?,
                    Direction::Up => database.first(&self.term.key(here), &self.term.key(end))?,
                };
                let Some((key, value)) = found else { return Ok(CursorStep::Nothing) };
                let Some((_, frame)) = Term::decode(&key) else {
                    return Ok(CursorStep::Damaged(at));
                };
                let Some(revisions) = decode_posting(&key, &value) else {
                    let (first, last) = span_of(frame);
                    return Ok(CursorStep::Damaged(at.clamp(first, last)));
                };
                self.posting = Some((frame, revisions));
            }
            let Some((frame, revisions)) = &self.posting else { return Ok(CursorStep::Nothing) };
            match (way.pick(revisions, at), way.past_frame(*frame)) {
                (Some(next), _) if room.contains(next) => return Ok(CursorStep::At(next)),
                (Some(_), _) | (None, None) => return Ok(CursorStep::Nothing),
                (None, Some(past)) => at = past,
            }
        }
        Ok(CursorStep::Nothing)
    }
}

/// What [`PostingCursor::next`] came to.
pub(super) enum CursorStep {
    At(u64),
    Nothing,
    /// The posting that would tell is broken.
    Damaged(u64),
}

impl Direction {
    pub(super) fn start(self, span: Span) -> u64 {
        match self {
            Direction::Down => span.last.0,
            Direction::Up => span.first.0,
        }
    }

    pub(super) fn end(self, span: Span) -> u64 {
        match self {
            Direction::Down => span.first.0,
            Direction::Up => span.last.0,
        }
    }

    /// What is left of `span` from `revision` on.
    pub(super) fn from(self, span: Span, revision: u64) -> Option<Span> {
        Some(match self {
            Direction::Down => Span { last: Revision(revision), ..span },
            Direction::Up => Span { first: Revision(revision), ..span },
        })
    }

    /// What is left of `span` past `revision`.
    pub(super) fn past(self, span: Span, revision: u64) -> Option<Span> {
        let rest = match self {
            Direction::Down => Span { last: Revision(revision.checked_sub(1)?), ..span },
            Direction::Up => Span { first: Revision(revision.checked_add(1)?), ..span },
        };
        (rest.first <= rest.last).then_some(rest)
    }

    fn past_frame(self, frame: u64) -> Option<u64> {
        let (first, last) = span_of(frame);
        match self {
            Direction::Down => first.checked_sub(1),
            Direction::Up => last.checked_add(1),
        }
    }

    fn pick(self, revisions: &[u64], at: u64) -> Option<u64> {
        match self {
            Direction::Down => revisions.iter().rev().copied().find(|&revision| revision <= at),
            Direction::Up => revisions.iter().copied().find(|&revision| revision >= at),
        }
    }
}
