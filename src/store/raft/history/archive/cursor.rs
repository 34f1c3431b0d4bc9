//! Walks along the list of revisions of one term, up or down, a posting at a time.

use super::RevisionSpan;
use super::database::ArchiveDatabase;
use super::format::{frame_of, span_of};
use super::posting::{Term, decode_posting};
use crate::machine::Revision;
use crate::store::raft::host::DatabaseFault;

/// The list of one term.
pub(super) struct PostingCursor {
    term: Term,
    /// The last posting read: its frame and revisions.
    posting: Option<(u64, Vec<u64>)>,
}

/// The direction of a search.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum SearchDirection {
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
        room: RevisionSpan,
        direction: SearchDirection,
    ) -> Result<CursorStep, DatabaseFault> {
        let mut at = at;
        // At most three turns: both this posting and the next one may have no more
        // entries.
        while room.contains(at) {
            if self.posting.as_ref().is_none_or(|(frame, _)| *frame != frame_of(at)) {
                let (here, end) = (frame_of(at), frame_of(direction.end(room)));
                let found = match direction {
                    SearchDirection::Down => {
                        database.last(&self.term.key(end), &self.term.key(here))?
                    }
                    SearchDirection::Up => {
                        database.first(&self.term.key(here), &self.term.key(end))?
                    }
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
            match (direction.pick(revisions, at), direction.past_frame(*frame)) {
                (Some(next), _) if room.contains(next) => return Ok(CursorStep::At(next)),
                (Some(_), _) | (None, None) => return Ok(CursorStep::Nothing),
                (None, Some(past)) => at = past,
            }
        }
        Ok(CursorStep::Nothing)
    }
}

/// What [`PostingCursor::next`] found.
pub(super) enum CursorStep {
    At(u64),
    Nothing,
    /// The posting is damaged.
    Damaged(u64),
}

impl SearchDirection {
    pub(super) fn start(self, span: RevisionSpan) -> u64 {
        match self {
            SearchDirection::Down => span.last.0,
            SearchDirection::Up => span.first.0,
        }
    }

    pub(super) fn end(self, span: RevisionSpan) -> u64 {
        match self {
            SearchDirection::Down => span.first.0,
            SearchDirection::Up => span.last.0,
        }
    }

    /// What is left of `span` from `revision` on.
    pub(super) fn from(self, span: RevisionSpan, revision: u64) -> Option<RevisionSpan> {
        Some(match self {
            SearchDirection::Down => RevisionSpan { last: Revision(revision), ..span },
            SearchDirection::Up => RevisionSpan { first: Revision(revision), ..span },
        })
    }

    /// What is left of `span` past `revision`.
    pub(super) fn past(self, span: RevisionSpan, revision: u64) -> Option<RevisionSpan> {
        let rest = match self {
            SearchDirection::Down => {
                RevisionSpan { last: Revision(revision.checked_sub(1)?), ..span }
            }
            SearchDirection::Up => {
                RevisionSpan { first: Revision(revision.checked_add(1)?), ..span }
            }
        };
        (rest.first <= rest.last).then_some(rest)
    }

    fn past_frame(self, frame: u64) -> Option<u64> {
        let (first, last) = span_of(frame);
        match self {
            SearchDirection::Down => first.checked_sub(1),
            SearchDirection::Up => last.checked_add(1),
        }
    }

    fn pick(self, revisions: &[u64], at: u64) -> Option<u64> {
        match self {
            SearchDirection::Down => {
                revisions.iter().rev().copied().find(|&revision| revision <= at)
            }
            SearchDirection::Up => revisions.iter().copied().find(|&revision| revision >= at),
        }
    }
}
