//! Answers across the border between memory and archive, and what a peer's
//! answer must be like to be taken.

use super::PeerQuestion;
use super::archive::{Archive, ArchiveError, Span};
use crate::machine::query::{PAGE_BYTES_MAX, PAGE_MAX};
use crate::machine::view::{ChangeFilter, HistoryFilter, Page};
use crate::machine::{Answer, Event, HistoryView, Meta, Question, Revision};
use crate::store::window::Window;

/// Answers a question about the history up to `meta`, from here.
pub(crate) async fn answer(
    question: &Question,
    meta: &Meta,
    window: &Window,
    archive: &Archive,
) -> Result<Answer, ArchiveError> {
    let kept = meta.anchor.revision.next();
    match question {
        Question::History { filter, before, page } => {
            let end = meta.revision.next().min(before.unwrap_or(Revision(u64::MAX)));
            let (events, more) = newest(filter, kept, end, bounded(*page), window, archive).await?;
            Ok(Answer::History { events, more })
        }
        Question::Changes { filter, after, page } => {
            let first = kept.max(Revision(after.0.saturating_add(1)));
            let span = Span { first, last: meta.revision };
            let (events, more) = since(filter, span, bounded(*page), window, archive).await?;
            Ok(Answer::Changes { events, complete: *after >= meta.anchor.revision, more })
        }
        Question::Key { .. }
        | Question::Keys { .. }
        | Question::Runs { .. }
        | Question::Run { .. }
        | Question::Resume { .. }
        | Question::Candidate { .. }
        | Question::Lease { .. }
        | Question::Leases { .. }
        | Question::Session { .. }
        | Question::Sessions { .. }
        | Question::Request { .. }
        | Question::Counts => unreachable!("the tables answer this: {question:?}"),
    }
}

async fn newest(
    filter: &HistoryFilter,
    kept: Revision,
    end: Revision,
    page: Page,
    window: &Window,
    archive: &Archive,
) -> Result<(Vec<Event>, bool), ArchiveError> {
    let Ok(mut events) = HistoryView::newest(window, filter, Some(end), page.and_one());
    events.retain(|event| event.revision >= kept);
    let border = window.oldest().min(end);
    let mut more = match room(page, &events).filter(|_| border > kept) {
        Some(room) => {
            let span = Span { first: kept, last: Revision(border.0 - 1) };
            let found = archive.newest(filter.clone(), span, room.rows, room.bytes).await?;
            events.extend(found.events);
            found.cut
        }
        None => border > kept,
    };
    more |= page.cut(&mut events, Event::bytes);
    Ok((events, more))
}

async fn since(
    filter: &ChangeFilter,
    span: Span,
    page: Page,
    window: &Window,
    archive: &Archive,
) -> Result<(Vec<Event>, bool), ArchiveError> {
    let (mut events, mut more) = (Vec::new(), false);
    let border = window.oldest();
    if span.first < border {
        let last = span.last.min(Revision(border.0 - 1));
        let older = Span { first: span.first, last };
        let found = archive.since(filter.clone(), older, page.rows + 1, page.bytes).await?;
        (events, more) = (found.events, found.cut);
    }
    match room(page, &events).filter(|_| !more) {
        Some(room) => {
            let after = Revision(span.first.max(border).0.saturating_sub(1));
            let Ok(newer) = HistoryView::since(window, filter, after, room);
            events.extend(newer.into_iter().take_while(|event| event.revision <= span.last));
        }
        None => more |= events.last().is_some_and(|event| event.revision < span.last),
    }
    more |= page.cut(&mut events, Event::bytes);
    Ok((events, more))
}

/// What fits on the page beside `events`, and one more to know that there is
/// more; nothing where they fill it, and then there may be.
fn room(page: Page, events: &[Event]) -> Option<Page> {
    let taken: usize = events.iter().map(Event::bytes).sum();
    let rows = (page.rows + 1).checked_sub(events.len()).filter(|rows| *rows > 0)?;
    Some(Page { rows, bytes: page.bytes.checked_sub(taken)? })
}

fn bounded(page: Page) -> Page {
    Page { rows: page.rows.clamp(1, PAGE_MAX), bytes: page.bytes.min(PAGE_BYTES_MAX) }
}

/// The question, such that a peer which is ahead of `meta` answers it as of
/// then. MembershipChanges have no upper end; see [`fitting`].
pub(crate) fn for_peer(question: &Question, meta: &Meta) -> PeerQuestion {
    let mut question = question.clone();
    if let Question::History { before, .. } = &mut question {
        *before = Some(end_of(*before, meta));
    }
    // Peers of the version before do not know of it, and bound what they send.
    if let Question::History { page, .. } | Question::Changes { page, .. } = &mut question {
        page.bytes = usize::MAX;
    }
    PeerQuestion { question, revision: meta.revision, anchor: meta.anchor.revision }
}

fn end_of(before: Option<Revision>, meta: &Meta) -> Revision {
    let end = meta.revision.next();
    before.map_or(end, |before| before.min(end))
}

/// A peer's answer, if it may answer `question`. MembershipChanges after `meta` are left
/// out; whatever else does not belong shows that the peer is wrong.
pub(crate) fn fitting(question: &Question, answer: Answer, meta: &Meta) -> Option<Answer> {
    let kept = meta.anchor.revision;
    match (question, answer) {
        (Question::History { filter, before, page }, Answer::History { mut events, mut more }) => {
            let falls = events.windows(2).all(|pair| pair[0].revision > pair[1].revision);
            let span = kept.next()..end_of(*before, meta);
            let fits = |event: &Event| filter.admits(event) && span.contains(&event.revision);
            let fits = falls && events.len() <= page.rows && events.iter().all(fits);
            more |= bounded(*page).cut(&mut events, Event::bytes);
            fits.then_some(Answer::History { events, more })
        }
        (
            Question::Changes { filter, after, page },
            Answer::Changes { mut events, complete, mut more },
        ) => {
            let sent = events.len();
            events.retain(|event| event.revision <= meta.revision);
            // A page that reaches past this node's state has all up to there.
            more &= events.len() == sent;
            let rises = events.windows(2).all(|pair| pair[0].revision < pair[1].revision);
            let first = kept.max(*after).next();
            let fits = |event: &Event| filter.admits(event) && event.revision >= first;
            let fits = rises && complete == (*after >= kept) && events.iter().all(fits);
            // A peer of the version before says nothing of there being more.
            more |= events.len() >= page.rows;
            more |= bounded(*page).cut(&mut events, Event::bytes);
            fits.then_some(Answer::Changes { events, complete, more })
        }
        _ => None,
    }
}
