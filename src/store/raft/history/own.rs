//! Answers across the border between memory and archive, and what a peer's
//! answer must be like to be taken.

use super::PeerQuestion;
use crate::machine::query::PAGE_MAX;
use crate::machine::view::{ChangeFilter, HistoryFilter};
use crate::machine::{Answer, Event, HistoryView, Meta, Question, Revision};
use crate::store::raft::archive::{Archive, ArchiveError, Span};
use crate::store::window::Window;

/// A page ends early past this: ten thousand events of a megabyte each would
/// not fit the memory.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// Answers a question about the history up to `meta`, from here.
pub(super) async fn answer(
    question: &Question,
    meta: &Meta,
    window: &Window,
    archive: &Archive,
) -> Result<Answer, ArchiveError> {
    let kept = meta.anchor.revision.next();
    match question {
        Question::History { filter, before, limit } => {
            let limit = (*limit).clamp(1, PAGE_MAX);
            let end = meta.revision.next().min(before.unwrap_or(Revision(u64::MAX)));
            let (mut events, cut) = newest(filter, kept, end, limit + 1, window, archive).await?;
            let more = cut || events.len() > limit;
            events.truncate(limit);
            Ok(Answer::History { events, more })
        }
        Question::Changes { filter, after, limit } => {
            let limit = (*limit).clamp(1, PAGE_MAX);
            let first = kept.max(Revision(after.0.saturating_add(1)));
            let span = Span { first, last: meta.revision };
            let events = since(filter, span, limit, window, archive).await?;
            Ok(Answer::Changes { events, complete: *after >= meta.anchor.revision })
        }
        Question::Key { .. }
        | Question::Keys { .. }
        | Question::Runs { .. }
        | Question::Run { .. }
        | Question::Resume { .. }
        | Question::Leases { .. }
        | Question::Session { .. }
        | Question::Sessions { .. }
        | Question::Counts => unreachable!("the tables answer this: {question:?}"),
    }
}

async fn newest(
    filter: &HistoryFilter,
    kept: Revision,
    end: Revision,
    limit: usize,
    window: &Window,
    archive: &Archive,
) -> Result<(Vec<Event>, bool), ArchiveError> {
    let Ok(mut events) = HistoryView::newest(window, filter, Some(end), limit);
    events.retain(|event| event.revision >= kept);
    let border = window.oldest().min(end);
    if events.len() == limit || border <= kept {
        return Ok((events, false));
    }
    let span = Span { first: kept, last: Revision(border.0 - 1) };
    let room = limit - events.len();
    let found = archive.newest(filter.clone(), span, room, PAGE_BYTES_MAX).await?;
    events.extend(found.events);
    Ok((events, found.cut))
}

/// Never cut for size: who waits for changes takes what is missing as unchanged.
async fn since(
    filter: &ChangeFilter,
    span: Span,
    limit: usize,
    window: &Window,
    archive: &Archive,
) -> Result<Vec<Event>, ArchiveError> {
    let mut events = Vec::new();
    let border = window.oldest();
    if span.first < border {
        let last = span.last.min(Revision(border.0 - 1));
        let older = Span { first: span.first, last };
        events = archive.since(filter.clone(), older, limit, usize::MAX).await?.events;
    }
    let after = Revision(span.first.max(border).0.saturating_sub(1));
    let Ok(newer) = HistoryView::since(window, filter, after, limit - events.len());
    events.extend(newer.into_iter().take_while(|event| event.revision <= span.last));
    Ok(events)
}

/// The question, such that a peer which is ahead of `meta` answers it as of
/// then. Changes have no upper end; see [`fitting`].
pub(super) fn for_peer(question: &Question, meta: &Meta) -> PeerQuestion {
    let mut question = question.clone();
    if let Question::History { before, .. } = &mut question {
        *before = Some(end_of(*before, meta));
    }
    PeerQuestion { question, revision: meta.revision, anchor: meta.anchor.revision }
}

fn end_of(before: Option<Revision>, meta: &Meta) -> Revision {
    let end = meta.revision.next();
    before.map_or(end, |before| before.min(end))
}

/// A peer's answer, if it may answer `question`. Changes after `meta` are left
/// out; whatever else does not belong shows that the peer is wrong.
pub(super) fn fitting(question: &Question, answer: Answer, meta: &Meta) -> Option<Answer> {
    let kept = meta.anchor.revision;
    match (question, answer) {
        (Question::History { filter, before, limit }, Answer::History { events, more }) => {
            let falls = events.windows(2).all(|pair| pair[0].revision > pair[1].revision);
            let span = kept.next()..end_of(*before, meta);
            let fits = |event: &Event| filter.admits(event) && span.contains(&event.revision);
            let fits = falls && events.len() <= *limit && events.iter().all(fits);
            fits.then_some(Answer::History { events, more })
        }
        (Question::Changes { filter, after, .. }, Answer::Changes { mut events, complete }) => {
            events.retain(|event| event.revision <= meta.revision);
            let rises = events.windows(2).all(|pair| pair[0].revision < pair[1].revision);
            let first = kept.max(*after).next();
            let fits = |event: &Event| filter.admits(event) && event.revision >= first;
            let fits = rises && complete == (*after >= kept) && events.iter().all(fits);
            fits.then_some(Answer::Changes { events, complete })
        }
        _ => None,
    }
}
