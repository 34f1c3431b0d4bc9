//! Going through one term's list of revisions, up or down, a posting at a time.

use super::Span;
use super::database::{Database, Fault};
use super::format::{frame_of, span_of};
use super::posting::{Term, decode_posting};
use crate::machine::Revision;

/// One term's list.
pub(super) struct Cursor {
    term: Term,
    /// The last posting read: its frame and revisions.
    posting: Option<(u64, Vec<u64>)>,
}

/// The way a search goes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    Down,
    Up,
}

impl Cursor {
    pub(super) fn new(term: Term) -> Self {
        Cursor { term, posting: None }
    }

    /// The list's first entry at or past `at`, within `room`.
    pub(super) fn next(
        &mut self,
        database: &Database,
        at: u64,
        room: Span,
        way: Way,
    ) -> Result<Next, Fault> {
        let mut at = at;
        // At most three turns: the posting at hand and the next one may both
        // have nothing more.
        while room.contains(at) {
            if self.posting.as_ref().is_none_or(|(frame, _)| *frame != frame_of(at)) {
                let (here, end) = (frame_of(at), frame_of(way.end(room)));
                let found = match way {
                    Way::Down => database.last(&self.term.key(end), &self.term.key(here))?,
                    Way::Up => database.first(&self.term.key(here), &self.term.key(end))?,
                };
                let Some((key, value)) = found else { return Ok(Next::Nothing) };
                let Some((_, frame)) = Term::decode(&key) else { return Ok(Next::Damaged(at)) };
                let Some(revisions) = decode_posting(&key, &value) else {
                    let (first, last) = span_of(frame);
                    return Ok(Next::Damaged(at.clamp(first, last)));
                };
                self.posting = Some((frame, revisions));
            }
            let Some((frame, revisions)) = &self.posting else { return Ok(Next::Nothing) };
            match (way.pick(revisions, at), way.past_frame(*frame)) {
                (Some(next), _) if room.contains(next) => return Ok(Next::At(next)),
                (Some(_), _) | (None, None) => return Ok(Next::Nothing),
                (None, Some(past)) => at = past,
            }
        }
        Ok(Next::Nothing)
    }
}

/// What [`Cursor::next`] came to.
pub(super) enum Next {
    At(u64),
    Nothing,
    /// The posting that would tell is broken.
    Damaged(u64),
}

impl Way {
    pub(super) fn start(self, span: Span) -> u64 {
        match self {
            Way::Down => span.last.0,
            Way::Up => span.first.0,
        }
    }

    pub(super) fn end(self, span: Span) -> u64 {
        match self {
            Way::Down => span.first.0,
            Way::Up => span.last.0,
        }
    }

    /// What is left of `span` from `revision` on.
    pub(super) fn from(self, span: Span, revision: u64) -> Option<Span> {
        Some(match self {
            Way::Down => Span { last: Revision(revision), ..span },
            Way::Up => Span { first: Revision(revision), ..span },
        })
    }

    /// What is left of `span` past `revision`.
    pub(super) fn past(self, span: Span, revision: u64) -> Option<Span> {
        let rest = match self {
            Way::Down => Span { last: Revision(revision.checked_sub(1)?), ..span },
            Way::Up => Span { first: Revision(revision.checked_add(1)?), ..span },
        };
        (rest.first <= rest.last).then_some(rest)
    }

    fn past_frame(self, frame: u64) -> Option<u64> {
        let (first, last) = span_of(frame);
        match self {
            Way::Down => first.checked_sub(1),
            Way::Up => last.checked_add(1),
        }
    }

    fn pick(self, revisions: &[u64], at: u64) -> Option<u64> {
        match self {
            Way::Down => revisions.iter().rev().copied().find(|&revision| revision <= at),
            Way::Up => revisions.iter().copied().find(|&revision| revision >= at),
        }
    }
}
