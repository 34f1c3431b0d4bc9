//! The reader: it reads what a question needs, and then what turns out to be
//! missing, until the question can be answered. Everything that an answer is made
//! of belongs to one instant.

use std::sync::Arc;

use tokio::time::Instant;

use super::connection::RedisConnection;
use super::fetch::{Fetch, Fetched, PRESENT};
use super::read_set::{ROUNDS_MAX, ReadResult, ReadSet};
use super::retry::read_until;
use super::shared::RedisShared;
use super::working_set::{FetchedEvents, Missing, WorkingSet};
use crate::machine::page::Page;
use crate::machine::query::{PAGE_BYTES_MAX, PAGE_MAX};
use crate::machine::{Answer, ClusterMs, Command, Question, Revision, answer, answer_history};
use crate::store::error::StoreError;
use crate::store::request::{Consistency, Request};

/// Reads for everybody who uses the store.
pub(super) struct RedisReader {
    pub(super) shared: Arc<RedisShared>,
    pub(super) connection: Arc<RedisConnection>,
}

impl RedisReader {
    /// Answers a question, and returns the revision that the answer was read from.
    pub(super) async fn answer(
        &self,
        question: &Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<(Answer, Revision), StoreError> {
        if let Some(fetch) = history_fetch(question) {
            let fetched = self.read(&fetch, consistency, None, deadline).await?;
            let meta = fetched.meta.clone();
            let mut events = fetched.events().map_err(|fault| fault.unsent())?;
            if let Question::Changes { .. } = question {
                events.sort_by_key(|event| event.revision);
            }
            let Ok(answer) = answer_history(question, &FetchedEvents(events), &meta);
            return Ok((answer, meta.revision));
        }
        let needs = ReadSet::of_question(question, PRESENT);
        let evaluate = |state: &WorkingSet<'_>, now, present| {
            let Ok(answer) = answer(question, state, question.answered_at(now, present));
            (answer, state.meta.revision)
        };
        self.evaluate(needs, consistency, deadline, evaluate).await
    }

    /// The value of `evaluate` for the state at a time, which is at the present or before
    /// it, and at the present. `needs` is read first, and then whatever `evaluate` turns out
    /// to need.
    pub(super) async fn evaluate<T>(
        &self,
        mut needs: ReadSet,
        consistency: Consistency,
        deadline: Instant,
        evaluate: impl Fn(&WorkingSet<'_>, ClusterMs, ClusterMs) -> T,
    ) -> Result<T, StoreError> {
        let mut present = None;
        let mut known: Option<ReadResult> = None;
        let mut missing = needs.clone();
        for _ in 0..ROUNDS_MAX {
            let state = match &mut known {
                None => {
                    let state = self.read(&needs.fetch(), consistency, present, deadline).await?;
                    // The time is taken only once, so that a deadline that passes
                    // meanwhile does not make reading start over.
                    present = Some(state.now);
                    known.insert(ReadResult::new(&needs, state).map_err(|fault| fault.unsent())?)
                }
                Some(state) => {
                    let more = self.read_once(&missing.fetch(), present, deadline).await?;
                    match state.add(&missing, more).map_err(|fault| fault.unsent())? {
                        true => state,
                        false => {
                            known = None;
                            continue;
                        }
                    }
                }
            };
            let now = match consistency {
                Consistency::Local => state.state.now,
                Consistency::Linearizable => state.state.meta.clock,
            };
            let present = state.state.now;
            match evaluate_known(state, |state| evaluate(state, now, present)) {
                Ok(value) => return Ok(value),
                Err(more) => missing = more,
            }
            needs.extend(&missing);
        }
        let why = format!("it takes more than {ROUNDS_MAX} round trips to redis");
        Err(StoreError::Unavailable(why))
    }

    /// Reads before `deadline`. For a linearizable reader, the state's clock passes
    /// every deadline up to the present first.
    async fn read(
        &self,
        fetch: &Fetch,
        consistency: Consistency,
        present: Option<ClusterMs>,
        deadline: Instant,
    ) -> Result<Fetched, StoreError> {
        let fetched = self.read_once(fetch, present, deadline).await?;
        if !fetched.deadline_passed || consistency == Consistency::Local {
            return Ok(fetched);
        }
        // The time is taken only once, so that one sweep is enough however long it
        // takes.
        self.pass_deadlines(deadline).await?;
        self.read_once(fetch, Some(fetched.now), deadline).await
    }

    async fn read_once(
        &self,
        fetch: &Fetch,
        present: Option<ClusterMs>,
        deadline: Instant,
    ) -> Result<Fetched, StoreError> {
        let now = present.or_else(|| self.shared.given_now());
        let read = || self.connection.read(fetch, now);
        let fetched = read_until(&self.shared, deadline, read).await?;
        self.shared.observe(&fetched);
        Ok(fetched)
    }

    /// Moves the state's clock forward to the present, so that a row that was seen to
    /// be expired stays expired.
    async fn pass_deadlines(&self, deadline: Instant) -> Result<(), StoreError> {
        let request = Request::own(Command::Sweep { limit: 0 });
        self.shared.queue.submit(request, deadline, || self.shared.why_late()).await.map(drop)
    }
}

/// The value of `evaluate`, or what is missing for it.
fn evaluate_known<T>(
    known: &ReadResult,
    evaluate: impl FnOnce(&WorkingSet<'_>) -> T,
) -> Result<T, ReadSet> {
    let working = WorkingSet::new(known);
    let value = evaluate(&working);
    match working.take_missing() {
        // Without changes, nothing can be unclear.
        Missing::Nothing | Missing::Unclear => Ok(value),
        Missing::Rows(missing) => Err(missing),
    }
}

/// What a question about the history fetches, if it is one. It fetches one event
/// more than it may return, to know whether there is another page.
fn history_fetch(question: &Question) -> Option<Fetch> {
    let bounded = |page: &Page| {
        let bytes = page.bytes.min(PAGE_BYTES_MAX);
        Page { rows: page.rows.clamp(1, PAGE_MAX), bytes }.and_one()
    };
    let mut fetch = Fetch::default();
    match question {
        Question::History { filter, before, page } => {
            fetch.history(filter, *before, bounded(page));
        }
        Question::Changes { filter, after, page } => {
            fetch.changes(filter, *after, bounded(page));
        }
        _ => return None,
    }
    Some(fetch)
}
