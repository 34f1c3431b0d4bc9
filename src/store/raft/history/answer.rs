//! Answers that span memory and archive, and the checks that a peer's answer must
//! pass.

use super::archive::{Archive, ArchiveError, RevisionSpan};
use super::source::PeerQuestion;
use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::machine::page::Page;
use crate::machine::query::{PAGE_BYTES_MAX, PAGE_MAX};
use crate::machine::{Answer, Event, HistoryView, Meta, Question, Revision};
use crate::store::window::Window;

/// Answers a question about the history up to `meta` from the events in memory,
/// `window`, and the archive.
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
            let span = RevisionSpan { first, last: meta.revision };
            let (events, more) = since(filter, span, bounded(*page), window, archive).await?;
            Ok(Answer::Changes { events, complete: *after >= meta.anchor.revision, more })
        }
        Question::Key { .. }
        | Question::Keys { .. }
        | Question::Runs { .. }
        | Question::Run { .. }
        | Question::Resume { .. }
        | Question::Prerequisites { .. }
        | Question::Candidate { .. }
        | Question::Lease { .. }
        | Question::Leases { .. }
        | Question::Session { .. }
        | Question::Sessions { .. }
        | Question::Schedules { .. }
        | Question::Stats { .. }
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
            let span = RevisionSpan { first: kept, last: Revision(border.0 - 1) };
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
    span: RevisionSpan,
    page: Page,
    window: &Window,
    archive: &Archive,
) -> Result<(Vec<Event>, bool), ArchiveError> {
    let (mut events, mut more) = (Vec::new(), false);
    let border = window.oldest();
    if span.first < border {
        let last = span.last.min(Revision(border.0 - 1));
        let older = RevisionSpan { first: span.first, last };
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

/// What still fits on the page beside `events`, plus one row that shows whether
/// there is more; nothing if the events fill the page.
fn room(page: Page, events: &[Event]) -> Option<Page> {
    let taken: usize = events.iter().map(Event::bytes).sum();
    let rows = (page.rows + 1).checked_sub(events.len()).filter(|rows| *rows > 0)?;
    Some(Page { rows, bytes: page.bytes.checked_sub(taken)? })
}

fn bounded(page: Page) -> Page {
    Page { rows: page.rows.clamp(1, PAGE_MAX), bytes: page.bytes.min(PAGE_BYTES_MAX) }
}

/// Rewrites the question so that a peer which is ahead of `meta` answers it as of
/// `meta`. A question about changes has no upper end; [`check_peer_answer`] cuts
/// its answer. It asks for one change too many, because a peer of the previous
/// version does not say whether there are more.
pub(crate) fn question_for_peer(question: &Question, meta: &Meta) -> PeerQuestion {
    let mut question = question.clone();
    if let Question::History { before, .. } = &mut question {
        *before = Some(end_of(*before, meta));
    }
    if let Question::Changes { page, .. } = &mut question {
        *page = page.and_one();
    }
    // Peers of the previous version do not know this limit, and apply their own.
    if let Question::History { page, .. } | Question::Changes { page, .. } = &mut question {
        page.bytes = usize::MAX;
    }
    PeerQuestion { question, revision: meta.revision, anchor: meta.anchor.revision }
}

fn end_of(before: Option<Revision>, meta: &Meta) -> Revision {
    let end = meta.revision.next();
    before.map_or(end, |before| before.min(end))
}

/// Checks a peer's answer to `question`. Changes after `meta` are left out; any
/// other event that the question does not cover shows that the peer is wrong, and
/// then there is no answer.
pub(crate) fn check_peer_answer(
    question: &Question,
    answer: Answer,
    meta: &Meta,
) -> Option<Answer> {
    let kept = meta.anchor.revision;
    match (question, answer) {
        (Question::History { filter, before, page }, Answer::History { mut events, mut more }) => {
            let is_ordered = events.windows(2).all(|pair| pair[0].revision > pair[1].revision);
            let span = kept.next()..end_of(*before, meta);
            let fits = |event: &Event| filter.admits(event) && span.contains(&event.revision);
            let fits = is_ordered && events.len() <= page.rows && events.iter().all(fits);
            more |= bounded(*page).cut(&mut events, Event::bytes);
            fits.then_some(Answer::History { events, more })
        }
        (
            Question::Changes { filter, after, page },
            Answer::Changes { mut events, complete, mut more },
        ) => {
            let sent = events.len();
            events.retain(|event| event.revision <= meta.revision);
            // A page that reaches past this node's state holds everything up to it.
            more &= events.len() == sent;
            let is_ordered = events.windows(2).all(|pair| pair[0].revision < pair[1].revision);
            let first = kept.max(*after).next();
            let fits = |event: &Event| filter.admits(event) && event.revision >= first;
            let fits = is_ordered && complete == (*after >= kept) && events.iter().all(fits);
            // No peer sends more than this, so a page of that size may be cut.
            more |= events.len() >= PAGE_MAX;
            more |= bounded(*page).cut(&mut events, Event::bytes);
            fits.then_some(Answer::Changes { events, complete, more })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Action, Chain, WallMs};

    const ROWS: usize = 3;

    fn event(revision: u64) -> Event {
        Event {
            revision: Revision(revision),
            at: WallMs(revision),
            actor: None,
            action: Action::StateSet,
            subject: "k".into(),
            new: None,
            previous: None,
            chain: Chain::default(),
        }
    }

    /// The revisions that are taken, and whether there are more, when a node at
    /// `revision` asks a peer that has `last` changes. Such a peer sends what fits on
    /// the page; one of the previous version never says that there are more.
    fn taken(revision: u64, last: u64, says_more: bool) -> (Vec<u64>, bool) {
        let meta = Meta { revision: Revision(revision), ..Meta::default() };
        let (filter, page) = (ChangeFilter::Key("k".into()), Page::of_rows(ROWS));
        let question = Question::Changes { filter, after: Revision::ZERO, page };
        let asked = question_for_peer(&question, &meta).question;
        let Question::Changes { page, .. } = asked else { panic!("{asked:?}") };
        let events: Vec<Event> = (1..=last).take(page.rows).map(event).collect();
        let more = says_more && last > page.rows as u64;
        let answer = Answer::Changes { events, complete: true, more };
        match check_peer_answer(&question, answer, &meta) {
            Some(Answer::Changes { events, more, .. }) => {
                (events.iter().map(|event| event.revision.0).collect(), more)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whether_there_are_more_changes_is_exact_whatever_the_peer_says() {
        for says_more in [false, true] {
            assert_eq!(taken(9, 2, says_more), (vec![1, 2], false));
            assert_eq!(taken(9, 3, says_more), (vec![1, 2, 3], false), "exactly a page");
            assert_eq!(taken(9, 4, says_more), (vec![1, 2, 3], true));
            assert_eq!(taken(9, 9, says_more), (vec![1, 2, 3], true));
            assert_eq!(taken(3, 9, says_more), (vec![1, 2, 3], false), "the peer is ahead");
            assert_eq!(taken(2, 9, says_more), (vec![1, 2], false), "the peer is ahead");
        }
    }
}
