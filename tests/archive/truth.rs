//! What the right answers are, and how an archive is held against them.

use std::time::Duration;

use mcp_state_sidecar::machine::filter::{ChangeFilter, HistoryFilter};
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::{Action, Answer, Event, Meta, Question, Revision};
use mcp_state_sidecar::store::raft::history::History;
use mcp_state_sidecar::store::raft::history::archive::{Archive, ArchiveError, RevisionSpan};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use super::story::Story;

/// Long enough for a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The right answer.
pub fn answer(story: &Story, question: &Question, meta: &Meta) -> Answer {
    let kept = &story.events[meta.anchor.revision.0 as usize..meta.revision.0 as usize];
    match question {
        Question::History { filter, before, page } => {
            let before = before.unwrap_or(Revision(u64::MAX));
            let fits = |e: &&Event| e.revision < before && filter.admits(e);
            let mut events: Vec<Event> = kept.iter().rev().filter(fits).cloned().collect();
            let more = events.len() > page.rows;
            events.truncate(page.rows);
            Answer::History { events, more }
        }
        Question::Changes { filter, after, page } => {
            let fits = |e: &&Event| e.revision > *after && filter.admits(e);
            let mut events: Vec<Event> = kept.iter().filter(fits).cloned().collect();
            let more = events.len() > page.rows;
            events.truncate(page.rows);
            Answer::Changes { events, complete: *after >= meta.anchor.revision, more }
        }
        other => panic!("not about the history: {other:?}"),
    }
}

/// Some question.
pub fn question(rng: &mut StdRng, keys: u64, last: u64) -> Question {
    let key = format!("key/{}", rng.random_range(0..keys + 2));
    let page = Page::of_rows([1, 3, 20, 500][rng.random_range(0..4)]);
    if rng.random_bool(0.3) {
        let filter = match rng.random_bool(0.6) {
            true => ChangeFilter::Key(key.as_str().into()),
            false => ChangeFilter::Prefix(key.as_str()[..key.len().min(5)].into()),
        };
        return Question::Changes { filter, after: Revision(rng.random_range(0..=last)), page };
    }
    let subject = match rng.random_range(0..4) {
        0 => None,
        1 => Some(format!("lease:{key}")),
        _ => Some(key),
    };
    let actor = rng.random_bool(0.3).then(|| format!("agent-{}", rng.random_range(0..8)));
    let action = rng.random_bool(0.3).then(|| match rng.random_range(0..3) {
        0 => Action::StateDelete,
        1 => Action::SessionSave,
        _ => Action::LeaseAcquire,
    });
    let (subject, actor) = (subject.as_deref().map(Into::into), actor.as_deref().map(Into::into));
    let before = rng.random_bool(0.7).then(|| Revision(rng.random_range(1..=last + 1)));
    Question::History { filter: HistoryFilter { subject, action, actor }, before, page }
}

/// Asks the archive alone: right, or an error that says that it cannot know.
pub async fn never_wrong(
    archive: &Archive,
    story: &Story,
    meta: &Meta,
    question: &Question,
) -> bool {
    let kept = meta.anchor.revision.next();
    let (got, want) = match (question, answer(story, question, meta)) {
        (Question::History { filter, before, page }, Answer::History { events, .. }) => {
            let last = before.map_or(meta.revision.0, |before| meta.revision.0.min(before.0 - 1));
            let span = RevisionSpan { first: kept, last: Revision(last) };
            (archive.newest(filter.clone(), span, page.rows, usize::MAX).await, events)
        }
        (Question::Changes { filter, after, page }, Answer::Changes { events, .. }) => {
            let span = RevisionSpan { first: kept.max(after.next()), last: meta.revision };
            (archive.since(filter.clone(), span, page.rows, usize::MAX).await, events)
        }
        other => panic!("not about the history: {other:?}"),
    };
    match got {
        Ok(found) => {
            let revisions =
                |events: &[Event]| events.iter().map(|e| e.revision.0).collect::<Vec<_>>();
            assert_eq!(revisions(&found.events), revisions(&want), "{question:?}");
            assert_eq!(found.events, want, "{question:?}");
            true
        }
        Err(ArchiveError::Damaged(_) | ArchiveError::Unproven | ArchiveError::Stopped(_)) => false,
        Err(error) => panic!("{question:?}: {error}"),
    }
}

/// Asks the history, peers and all: right.
pub async fn right(history: &History, story: &Story, meta: &Meta, question: &Question) {
    let got = history.answer(question, meta, Instant::now() + PATIENCE).await;
    assert_eq!(got.expect("somebody can answer"), answer(story, question, meta), "{question:?}");
}

/// Waits until the archive holds all of the history up to `meta`, proven.
pub async fn whole(archive: &Archive, meta: &Meta) {
    let deadline = Instant::now() + PATIENCE;
    let expected = meta.revision.0 - meta.anchor.revision.0;
    loop {
        let figures = archive.figures().await;
        if figures.as_ref().is_ok_and(|f| f.proven && f.events == expected) {
            return;
        }
        let hole = *archive.hole().borrow();
        assert!(Instant::now() < deadline, "{figures:?} of {expected} events, hole {hole:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Holds a whole archive against the story: questions, and every event.
pub async fn all_right(archive: &Archive, story: &Story, meta: &Meta, rng: &mut StdRng, keys: u64) {
    for _ in 0..60 {
        let question = question(rng, keys, meta.revision.0);
        let answered = never_wrong(archive, story, meta, &question).await;
        assert!(answered, "a whole archive answers {question:?}");
    }
    let mut last = meta.revision.0;
    while last > meta.anchor.revision.0 {
        let span = RevisionSpan::new(meta.anchor.revision.0 + 1, last);
        let run = archive.range(span, 1 << 20).await.expect("a whole archive has every range");
        let got = run.span().expect("events are consecutive");
        assert_eq!(got.last, span.last);
        assert_eq!(run, story.run(got));
        last = got.first.0 - 1;
    }
}
