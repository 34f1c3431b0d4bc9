//! The dispatcher: one task of a service follows the store's events while
//! anybody waits for work or for a lease, and wakes those for whom there is
//! something. What nobody touched it does not look at, and one who waits for
//! something else costs nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::queues::{Turn, Wanted};
use crate::machine::draft::run_or_lease;
use crate::machine::query::Answer;
use crate::machine::row::LeaseRow;
use crate::machine::view::{Candidate, ChangeFilter, ClaimFilter, Page};
use crate::machine::{Action, ClusterMs, Event, Question, Revision, Text};
use crate::service::ServiceShared;
use crate::store::StoreError;

/// Events read at once.
const EVENTS: Page = Page { rows: 1_000, bytes: 1 << 20 };
/// Rows asked for at once.
const ASKED_MAX: usize = 16;
/// How long the store may take for an answer from this node's own state.
const ANSWER: Duration = Duration::from_secs(10);
/// Pause after the store could not answer.
const RETRY: Duration = Duration::from_millis(100);
/// Longest sleep while a time is waited for, since clocks may be set.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// Steps of a search for a run, after which one who waits is woken instead.
const STEPS_MAX: usize = 16;

/// Follows the events after the revision `seen`, until nobody waits any more.
pub(super) async fn follow(
    shared: Arc<ServiceShared>,
    mut revision: watch::Receiver<Revision>,
    seen: Revision,
) {
    let mut follower = Follower { shared, seen, newest: seen };
    while !follower.shared.line.is_over() {
        if follower.catch_up(&mut revision).await.is_err() {
            // What could not be read is looked at instead.
            follower.shared.line.lock().look_at_all();
            tokio::time::sleep(RETRY).await;
        }
        follower.sleep(&mut revision).await;
    }
}

struct Follower {
    shared: Arc<ServiceShared>,
    /// Everything up to here has been seen to.
    seen: Revision,
    /// What the store said last that it has come to.
    newest: Revision,
}

/// What events of one page concern.
#[derive(Default)]
struct Touched {
    /// In the order of their events.
    runs: Vec<Text>,
    leases: Vec<Text>,
    /// Anything may have changed.
    all: bool,
}

impl Follower {
    async fn catch_up(
        &mut self,
        revision: &mut watch::Receiver<Revision>,
    ) -> Result<(), StoreError> {
        let newest = *revision.borrow_and_update();
        if newest < std::mem::replace(&mut self.newest, newest) {
            // The store has lost its newest events, as a Redis can.
            self.seen = newest;
            self.shared.line.lock().look_at_all();
        }
        while self.seen < newest {
            let touched = self.read().await?;
            self.see_to(touched).await?;
        }
        loop {
            let (left_over, looks) = {
                let mut queues = self.shared.line.lock();
                (queues.take_left_over(), queues.take_looks(self.now(), self.seen))
            };
            if left_over.is_empty() && looks.is_empty() {
                return Ok(());
            }
            self.see_to(Touched { runs: left_over, ..Touched::default() }).await?;
            for wanted in looks {
                self.look(&wanted).await?;
            }
        }
    }

    /// Reads one page of events.
    async fn read(&mut self) -> Result<Touched, StoreError> {
        let (filter, after) = (ChangeFilter::Grants, self.seen);
        let question = Question::Changes { filter, after, page: EVENTS };
        let answered = self.shared.ask_here(question, ANSWER).await?;
        let Answer::Changes { events, complete, more } = answered.answer else {
            return Err(other_answer());
        };
        self.seen = match events.last().filter(|_| more) {
            Some(last) => last.revision,
            None => answered.revision.max(self.newest),
        };
        let touched = Touched::by(&events);
        Ok(Touched { all: touched.all || !complete, ..touched })
    }

    async fn see_to(&self, touched: Touched) -> Result<(), StoreError> {
        if touched.all {
            self.shared.line.lock().look_at_all();
        }
        if self.shared.line.lock().is_work_wanted() {
            self.see_to_runs(touched.runs).await?;
        }
        for resource_id in touched.leases {
            let wanted = self.shared.line.lock().for_lease(&resource_id);
            if let Some(wanted) = wanted {
                self.look(&wanted).await?;
            }
        }
        Ok(())
    }

    async fn see_to_runs(&self, runs: Vec<Text>) -> Result<(), StoreError> {
        let asked = runs.into_iter().map(|run_id| {
            let question = Question::Run { run_id };
            self.shared.ask_here(question, ANSWER)
        });
        let mut answers = stream::iter(asked).buffered(ASKED_MAX);
        while let Some(answered) = answers.next().await {
            let Answer::Run(run) = answered?.answer else { return Err(other_answer()) };
            let Some(run) = run else { continue };
            let Some(at) = run.claimable_from() else { continue };
            let mut queues = self.shared.line.lock();
            match at <= self.now() {
                true => queues.offer_run(&run),
                false => queues.delay_run(&run, at),
            }
        }
        Ok(())
    }

    /// Looks whether there is something for a group.
    async fn look(&self, wanted: &Arc<Wanted>) -> Result<(), StoreError> {
        match &**wanted {
            Wanted::Work(filter) => match self.candidate(filter).await? {
                Candidate::Ready(run) => self.shared.line.lock().found(wanted, &run),
                Candidate::At(at) => self.expect(wanted, at),
                Candidate::Further(_) => {
                    self.shared.line.lock().wake_first(wanted, Turn::Look);
                }
                Candidate::None => {}
            },
            Wanted::Lease(resource_id) => match self.lease(resource_id).await? {
                Some(lease) => {
                    self.shared.line.lock().lease_is_held(wanted, &lease.holder_id);
                    self.expect(wanted, lease.expires_at);
                }
                None => self.shared.line.lock().wake_first(wanted, Turn::Take),
            },
        }
        Ok(())
    }

    /// Something can be had from `at` on. By this node's clock that may be over
    /// although its state does not say so yet; then somebody asks the others.
    fn expect(&self, wanted: &Arc<Wanted>, at: ClusterMs) {
        let mut queues = self.shared.line.lock();
        match at > self.now() {
            true => queues.set_time(wanted, at),
            false => queues.wake_first(wanted, Turn::Look),
        }
    }

    async fn candidate(&self, filter: &ClaimFilter) -> Result<Candidate, StoreError> {
        let mut after = None;
        for _ in 0..STEPS_MAX {
            let question = Question::Candidate { filter: filter.clone(), after };
            match self.shared.ask_here(question, ANSWER).await?.answer {
                Answer::Candidate(Candidate::Further(rank)) => after = Some(rank),
                Answer::Candidate(candidate) => return Ok(candidate),
                _ => return Err(other_answer()),
            }
        }
        Ok(after.map_or(Candidate::None, Candidate::Further))
    }

    async fn lease(&self, resource_id: &Text) -> Result<Option<LeaseRow>, StoreError> {
        let question = Question::Lease { resource_id: resource_id.clone() };
        match self.shared.ask_here(question, ANSWER).await?.answer {
            Answer::Lease(lease) => Ok(lease),
            _ => Err(other_answer()),
        }
    }

    /// Until something has happened, or may have by the passing of time.
    async fn sleep(&self, revision: &mut watch::Receiver<Revision>) {
        let next = self.shared.line.lock().next_time();
        let pause = next.map(|at| Duration::from_millis(at.0.saturating_sub(self.now().0)));
        let until = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause.min(SLEEP_MAX)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = revision.changed() => if changed.is_err() {
                // The store is closing; those who wait will learn it themselves.
                tokio::time::sleep(RETRY).await;
            },
            () = self.shared.line.changed() => {}
            () = until => {}
        }
    }

    fn now(&self) -> ClusterMs {
        self.shared.now()
    }
}

impl Touched {
    fn by(events: &[Event]) -> Touched {
        let (mut touched, mut known) = (Touched::default(), BTreeSet::new());
        for event in events.iter().filter(|event| known.insert(&event.subject)) {
            match event.action {
                Action::WorkflowCreate
                | Action::WorkflowClaim
                | Action::WorkflowRelease
                | Action::WorkflowRetry => touched.runs.extend(run_or_lease(&event.subject)),
                Action::LeaseAcquire
                | Action::LeaseRenew
                | Action::LeaseRelease
                | Action::LeaseExpire => touched.leases.extend(run_or_lease(&event.subject)),
                Action::SidecarReset => touched.all = true,
                Action::StateSet
                | Action::StateDelete
                | Action::StateExpire
                | Action::WorkflowHeartbeat
                | Action::WorkflowCheckpoint
                | Action::WorkflowComplete
                | Action::WorkflowFail
                | Action::WorkflowCancel
                | Action::SessionSave
                | Action::SessionDelete => {}
            }
        }
        touched
    }
}

fn other_answer() -> StoreError {
    StoreError::Storage("the store answered another question".into())
}
