//! The dispatcher: one task of a service that follows the store's events while anybody
//! waits for work or for a lease, and wakes the callers for whom there is something.
//! It checks only the groups that an event or the time concerns, so callers that wait
//! for something else cost nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::group::Turn;
use super::line::WaitingLine;
use super::local_reads::{RETRY_PAUSE, ask_local, read_events, unexpected_answer};
use super::wanted::Wanted;
use crate::machine::filter::{ChangeFilter, ClaimFilter, makes_room};
use crate::machine::query::Answer;
use crate::machine::query::Candidate;
use crate::machine::row::LeaseRow;
use crate::machine::subject::Noun;
use crate::machine::{Action, ClusterMs, Event, Question, Revision, Text};
use crate::store::StoreError;

/// How many runs are read from the store at once.
const RUN_READS_MAX: usize = 16;
/// The longest sleep until a time is due. Somebody may set the clock meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How many steps the dispatcher searches for a run. After that it wakes a caller,
/// which searches on while others are served.
const SEARCH_STEPS_MAX: usize = 16;

/// Follows the events after the revision `handled_to`, until nobody waits any more.
pub(super) async fn run(
    line: Arc<WaitingLine>,
    mut revision: watch::Receiver<Revision>,
    handled_to: Revision,
) {
    let mut dispatcher = Dispatcher { line, handled_to, newest: handled_to };
    while !dispatcher.line.ends_dispatcher() {
        if dispatcher.catch_up(&mut revision).await.is_err() {
            // Events that could not be read may concern any group.
            dispatcher.line.lock().check_all();
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        dispatcher.sleep(&mut revision).await;
    }
}

struct Dispatcher {
    line: Arc<WaitingLine>,
    /// All events up to this revision have been handled.
    handled_to: Revision,
    /// The newest revision that the store has reported.
    newest: Revision,
}

/// The runs and leases that one page of events concerns.
#[derive(Default)]
struct TouchedRows {
    /// In the order of their events.
    runs: Vec<Text>,
    leases: Vec<Text>,
    /// Anything may have changed.
    all: bool,
}

impl Dispatcher {
    async fn catch_up(
        &mut self,
        revision: &mut watch::Receiver<Revision>,
    ) -> Result<(), StoreError> {
        let newest = *revision.borrow_and_update();
        if newest < std::mem::replace(&mut self.newest, newest) {
            // The store has lost its newest events, as a Redis can after a failover.
            self.handled_to = newest;
            self.line.lock().check_all();
        }
        while self.handled_to < newest {
            let touched = self.read_touched().await?;
            self.handle(touched).await?;
        }
        loop {
            let (declined, due) = {
                let mut queues = self.line.lock();
                let due = queues.take_due_checks(self.line.now(), self.handled_to);
                (queues.take_declined_runs(), due)
            };
            if declined.is_empty() && due.is_empty() {
                return Ok(());
            }
            self.handle(TouchedRows { runs: declined, ..TouchedRows::default() }).await?;
            for wanted in due {
                self.check(&wanted).await?;
            }
        }
    }

    /// Reads one page of events.
    async fn read_touched(&mut self) -> Result<TouchedRows, StoreError> {
        let page = read_events(&*self.line.store, ChangeFilter::Grants, self.handled_to).await?;
        self.handled_to = page.last.unwrap_or(page.revision.max(self.newest));
        let touched = TouchedRows::by(&page.events);
        Ok(TouchedRows { all: touched.all || !page.complete, ..touched })
    }

    async fn handle(&self, touched: TouchedRows) -> Result<(), StoreError> {
        if touched.all {
            self.line.lock().check_all();
        }
        if self.line.lock().is_work_wanted() {
            self.offer_runs(touched.runs).await?;
        }
        for resource_id in touched.leases {
            let groups = self.line.lock().lease_groups(&resource_id);
            for wanted in groups {
                self.check(&wanted).await?;
            }
        }
        Ok(())
    }

    async fn offer_runs(&self, runs: Vec<Text>) -> Result<(), StoreError> {
        let reads = runs.into_iter().map(|run_id| {
            let question = Question::Run { run_id };
            ask_local(&*self.line.store, question)
        });
        let mut answers = stream::iter(reads).buffered(RUN_READS_MAX);
        while let Some(answered) = answers.next().await {
            let Answer::Run { run, .. } = answered?.0 else { return Err(unexpected_answer()) };
            let Some(run) = run else { continue };
            let Some(at) = run.claimable_from() else { continue };
            let mut queues = self.line.lock();
            match at <= self.line.now() {
                true => queues.offer_run(&run),
                false => queues.delay_run(&run, at),
            }
        }
        Ok(())
    }

    /// Checks whether there is something for a group.
    async fn check(&self, wanted: &Arc<Wanted>) -> Result<(), StoreError> {
        match &**wanted {
            Wanted::Work(filter) => match self.candidate(filter).await? {
                Candidate::Ready(run) => self.line.lock().offer_run_to(wanted, &run),
                Candidate::At(at) => self.check_at(wanted, at),
                Candidate::Further(_) => {
                    self.line.lock().wake_first(wanted, Turn::Check);
                }
                Candidate::None => {}
            },
            Wanted::Lease(resource_id, permits) => {
                let lease = self.lease(resource_id).await?;
                for holder in lease.iter().flat_map(|lease| &lease.holders) {
                    self.line.lock().wake_holder(wanted, &holder.holder_id);
                }
                match lease.filter(|lease| !lease.has_room(*permits)) {
                    Some(lease) => {
                        let first = lease.first_to_end().map(|holder| holder.expires_at);
                        first.into_iter().for_each(|at| self.check_at(wanted, at));
                    }
                    None => self.line.lock().wake_first(wanted, Turn::Attempt),
                }
            }
        }
        Ok(())
    }

    /// Has the group checked at `at`, when something becomes free. By this node's clock
    /// that may have passed although its state does not say so yet; then a caller is
    /// woken to ask the leader.
    fn check_at(&self, wanted: &Arc<Wanted>, at: ClusterMs) {
        let mut queues = self.line.lock();
        match at > self.line.now() {
            true => queues.check_at(wanted, at),
            false => queues.wake_first(wanted, Turn::Check),
        }
    }

    async fn candidate(&self, filter: &ClaimFilter) -> Result<Candidate, StoreError> {
        let mut after = None;
        for _ in 0..SEARCH_STEPS_MAX {
            let question = Question::Candidate { filter: filter.clone(), after };
            match ask_local(&*self.line.store, question).await?.0 {
                Answer::Candidate(Candidate::Further(rank)) => after = Some(rank),
                Answer::Candidate(candidate) => return Ok(candidate),
                _ => return Err(unexpected_answer()),
            }
        }
        Ok(after.map_or(Candidate::None, Candidate::Further))
    }

    async fn lease(&self, resource_id: &Text) -> Result<Option<LeaseRow>, StoreError> {
        let question = Question::Lease { resource_id: resource_id.clone() };
        match ask_local(&*self.line.store, question).await?.0 {
            Answer::Lease(lease) => Ok(lease),
            _ => Err(unexpected_answer()),
        }
    }

    /// Sleeps until something has happened, or may have by the passing of time.
    async fn sleep(&self, revision: &mut watch::Receiver<Revision>) {
        let next = self.line.lock().next_check_time();
        let pause = next.map(|at| Duration::from_millis(at.0.saturating_sub(self.line.now().0)));
        let until = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause.min(SLEEP_MAX)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = revision.changed() => if changed.is_err() {
                // The store is closing, and each waiting call learns that by itself.
                tokio::time::sleep(RETRY_PAUSE).await;
            },
            () = self.line.changed() => {}
            () = until => {}
        }
    }
}

impl TouchedRows {
    fn by(events: &[Event]) -> TouchedRows {
        let (mut touched, mut known) = (TouchedRows::default(), BTreeSet::new());
        // Which run has room now, only a search can tell.
        touched.all = events.iter().any(makes_room);
        for event in events.iter().filter(|event| known.insert(&event.subject)) {
            match (event.about(), event.action) {
                (
                    Some((Noun::Run, run_id)),
                    Action::WorkflowCreate
                    | Action::WorkflowClaim
                    | Action::WorkflowRelease
                    | Action::WorkflowRetry
                    | Action::WorkflowDecide
                    | Action::WorkflowUnblock,
                ) => touched.runs.push(run_id.into()),
                (Some((Noun::Lease, id)), _) => touched.leases.push(id.into()),
                (Some((Noun::State, _)), _) | (_, Action::WorkflowUnpause) => touched.all = true,
                _ => {}
            }
        }
        touched
    }
}
