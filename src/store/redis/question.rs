//! Asking: what a question needs is read, and what turns out to be missing then,
//! until it is answered. All that an answer is made of is of one instant.

use tokio::time::Instant;

use super::RedisStore;
use super::fetch::{Fetch, Fetched, PRESENT};
use super::read_set::{ReadResult, ReadSet};
use super::retry::read_by;
use super::working_set::{FetchedEvents, Missing, WorkingSet};
use crate::machine::query::{PAGE_BYTES_MAX, PAGE_MAX};
use crate::machine::view::Page;
use crate::machine::{Answer, ClusterMs, Command, Question, Revision, answer, answer_history};
use crate::store::{Consistency, Request, StoreError};

/// Round trips for one question or batch. Each run above another may take one,
/// and runs are nested a hundred deep, or a thousand where older versions made
/// them; all else takes a few.
pub const ROUNDS_MAX: usize = 1_100;

impl RedisStore {
    /// Answers a question, and says of which revision the answer is.
    pub(super) async fn answer(
        &self,
        question: &Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<(Answer, Revision), StoreError> {
        if let Some(fetch) = of_history(question) {
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
        let see = |state: &WorkingSet<'_>, now| {
            let Ok(answer) = answer(question, state, now);
            (answer, state.meta.revision)
        };
        self.see(needs, consistency, deadline, see).await
    }

    /// What `see` sees of the state at a time, which first looks at `needs`.
    pub(super) async fn see<T>(
        &self,
        mut needs: ReadSet,
        consistency: Consistency,
        deadline: Instant,
        see: impl Fn(&WorkingSet<'_>, ClusterMs) -> T,
    ) -> Result<T, StoreError> {
        let mut present = None;
        let mut known: Option<ReadResult> = None;
        let mut missing = needs.clone();
        for _ in 0..ROUNDS_MAX {
            let state = match &mut known {
                None => {
                    let state = self.read(&needs.fetch(), consistency, present, deadline).await?;
                    // Taken once: what passes meanwhile does not begin it anew.
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
            match seen(state, |state| see(state, now)) {
                Ok(seen) => return Ok(seen),
                Err(more) => missing = more,
            }
            needs.extend(&missing);
        }
        let why = format!("it takes more than {ROUNDS_MAX} round trips to redis");
        Err(StoreError::Unavailable(why))
    }

    /// Reads, by `deadline`. A linearizable reader sees no deadline between the
    /// state's clock and the present.
    async fn read(
        &self,
        fetch: &Fetch,
        consistency: Consistency,
        present: Option<ClusterMs>,
        deadline: Instant,
    ) -> Result<Fetched, StoreError> {
        let fetched = self.read_once(fetch, present, deadline).await?;
        if !fetched.late || consistency == Consistency::Local {
            return Ok(fetched);
        }
        // The time is taken once: then one sweep is enough, however long it takes.
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
        let read = || self.link.read(fetch, now);
        let fetched = read_by(&self.shared, deadline, read).await?;
        self.shared.saw(&fetched);
        Ok(fetched)
    }

    /// Moves the state's clock to the present, so that what was seen to be
    /// over stays over.
    async fn pass_deadlines(&self, deadline: Instant) -> Result<(), StoreError> {
        let request = Request::own(Command::Sweep { limit: 0 });
        self.shared.queue.submit(request, deadline, || self.shared.why_late()).await.map(drop)
    }
}

/// What `see` sees, or what it would have to know for that.
fn seen<T>(known: &ReadResult, see: impl FnOnce(&WorkingSet<'_>) -> T) -> Result<T, ReadSet> {
    let working = WorkingSet::new(known);
    let seen = see(&working);
    match working.lack() {
        // Nothing was changed that could be unclear.
        Missing::Nothing | Missing::Unclear => Ok(seen),
        Missing::Rows(missing) => Err(missing),
    }
}

/// What a question about the history has to fetch. It gets one event more than it
/// may give, by which it knows whether there is another page.
fn of_history(question: &Question) -> Option<Fetch> {
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
