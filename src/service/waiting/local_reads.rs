//! Reads of this node's own state, by the tasks that wake waiting callers. They cost a
//! cluster nothing, since no other node is asked, except where a client knows of a revision
//! that this node has not seen.

use std::time::Duration;

use tokio::time::Instant;

use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::machine::page::Page;
use crate::machine::query::Answer;
use crate::machine::{Event, Question, Revision};
use crate::store::{Consistency, Store, StoreError};

/// How long a task pauses after the store could not answer.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long the store may take for an answer from this node's own state.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The events that are read at once. Events carry whole values, so bytes are bounded
/// too.
const EVENTS_PAGE: Page = Page { rows: 1_000, bytes: 1 << 20 };

/// One page of events.
pub(super) struct EventsPage {
    pub(super) events: Vec<Event>,
    /// False where the history no longer holds some of the events.
    pub(super) complete: bool,
    /// The revision up to which this page has everything. `None` means up to the state
    /// that was read, whose revision is `revision`.
    pub(super) last: Option<Revision>,
    pub(super) revision: Revision,
}

pub(super) async fn ask_local(
    store: &dyn Store,
    question: Question,
) -> Result<(Answer, Revision), StoreError> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let answered = store.ask(question, Consistency::Local, deadline).await?;
    Ok((answered.answer, answered.revision))
}

/// The newest revision of the state as a whole, which this node may not have yet.
pub(super) async fn newest_revision(store: &dyn Store) -> Result<Revision, StoreError> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let question = Question::Key { key: "".into() };
    Ok(store.ask(question, Consistency::Linearizable, deadline).await?.revision)
}

/// Reads the first page of the events after `after` that `filter` admits.
pub(super) async fn read_events(
    store: &dyn Store,
    filter: ChangeFilter,
    after: Revision,
) -> Result<EventsPage, StoreError> {
    let question = Question::Changes { filter, after, page: EVENTS_PAGE };
    let (answer, revision) = ask_local(store, question).await?;
    let Answer::Changes { events, complete, more } = answer else {
        return Err(unexpected_answer());
    };
    let last = events.last().filter(|_| more).map(|event| event.revision);
    Ok(EventsPage { events, complete, last, revision })
}

/// Reads the newest events before `before`, newest first, and whether there are more.
pub(super) async fn read_history(
    store: &dyn Store,
    before: Revision,
) -> Result<(Vec<Event>, bool), StoreError> {
    let (filter, before) = (HistoryFilter::default(), Some(before));
    let question = Question::History { filter, before, page: EVENTS_PAGE };
    let (answer, _) = ask_local(store, question).await?;
    let Answer::History { events, more } = answer else { return Err(unexpected_answer()) };
    Ok((events, more))
}

pub(super) fn unexpected_answer() -> StoreError {
    StoreError::Storage("the store answered another question".into())
}
