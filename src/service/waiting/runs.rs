//! `workflow_wait`: how callers learn that a run has got somewhere, or that all children of
//! a run are over. A call sleeps until an event concerns a run that it waits for, and then
//! reads for itself.

use std::time::Duration;

use super::subject::SubscribedSubject;
use super::subscriptions::{Subscription, Subscriptions};
use super::wait_limits::WaitLimits;
use crate::error::ServiceError;
use crate::limits::WAIT_MAX;
use crate::machine::describe;
use crate::machine::filter::RunFilter;
use crate::machine::page::Page;
use crate::machine::query::{Answer, PAGE_BYTES_MAX};
use crate::machine::row::RunRow;
use crate::machine::run_group::{StatusCounts, occurring};
use crate::machine::status::Status;
use crate::machine::{Question, Revision, Text};
use crate::service::Service;
use crate::store::Consistency;

/// How many children are counted at once.
const CHILDREN_PAGE: Page = Page { rows: 1_000, bytes: PAGE_BYTES_MAX };

/// The run that a call has waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunWaited {
    /// Whether it is where the caller wants it; otherwise the time was over.
    pub reached: bool,
    pub run: RunRow,
}

/// The children that a call has waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildrenWaited {
    /// Whether all of them are over; otherwise the time was over.
    pub reached: bool,
    pub counts: StatusCounts,
}

impl Service {
    /// Waits up to `timeout` until the run is over or, where a step is given, until that
    /// step or a later one is stored, whichever comes first.
    ///
    /// # Errors
    /// There is no such run, or it has been removed meanwhile.
    pub async fn wait_for_run(
        &self,
        run_id: Text,
        step: Option<u64>,
        timeout: Duration,
    ) -> Result<RunWaited, ServiceError> {
        let _permit = self.shared.admission.begin_wait()?;
        let subject = match step {
            Some(_) => SubscribedSubject::Run(run_id.clone()),
            None => SubscribedSubject::RunEnd(run_id.clone()),
        };
        // The subscription is there before the first read, so nothing falls in between.
        let subscription = self.follow_runs([subject]);
        let mut wait = RunWait::begin(self, timeout);
        loop {
            let run = wait.run(&run_id).await?.ok_or_else(|| no_such_run(&run_id))?;
            let any_step = run.steps.count > 0 || run.last_step > 0;
            let is_stored = step.is_some_and(|step| any_step && run.last_step >= step);
            let reached = run.is_over() || is_stored;
            if reached || wait.is_over() {
                return Ok(RunWaited { reached, run });
            }
            wait.sleep(&subscription).await;
        }
    }

    /// Waits up to `timeout` until all children of a run are over that there are then.
    ///
    /// # Errors
    /// There is no such run, or it has been removed meanwhile.
    pub async fn wait_for_children(
        &self,
        parent_run_id: Text,
        timeout: Duration,
    ) -> Result<ChildrenWaited, ServiceError> {
        let _permit = self.shared.admission.begin_wait()?;
        let mut wait = RunWait::begin(self, timeout);
        loop {
            let parent = wait.run(&parent_run_id).await?;
            parent.ok_or_else(|| no_such_run(&parent_run_id))?;
            let child = wait.child_not_over(&parent_run_id).await?;
            let Some(child) = child.filter(|_| !wait.is_over()) else {
                let counts = wait.count_children(&parent_run_id).await?;
                // A child may have been added since.
                let reached = occurring(&counts).all(|(status, _)| status.is_over());
                if reached || wait.is_over() {
                    return Ok(ChildrenWaited { reached, counts });
                }
                continue;
            };
            // No event of a child names its parent, so the call sleeps until one of them
            // is over, and looks for another one then.
            let ends = [&parent_run_id, &child].map(|id| SubscribedSubject::RunEnd(id.clone()));
            let subscription = self.follow_runs(ends);
            if wait.run(&child).await?.is_some_and(|child| !child.is_over()) {
                wait.sleep(&subscription).await;
            }
        }
    }

    fn follow_runs<const N: usize>(&self, subjects: [SubscribedSubject; N]) -> Subscription {
        Subscriptions::join_waiting(&self.shared.subscriptions, subjects.to_vec())
    }
}

/// One call that waits.
struct RunWait<'a> {
    service: &'a Service,
    limits: WaitLimits,
    /// This node's own progress wakes the call, so from then on its own state is enough.
    consistency: Consistency,
}

impl RunWait<'_> {
    fn begin(service: &Service, timeout: Duration) -> RunWait<'_> {
        let limits = WaitLimits::from_now(timeout.min(WAIT_MAX), service.shared.options.deadline);
        RunWait { service, limits, consistency: Consistency::Linearizable }
    }

    // Questions are boxed: a call sleeps nearly all the time, and would otherwise hold the
    // memory of the largest of them meanwhile.
    async fn ask(&self, question: Question) -> Result<Answer, ServiceError> {
        let timeout = self.limits.timeout();
        let asked = Box::pin(self.service.ask_within(question, self.consistency, timeout));
        Ok(asked.await?.answer)
    }

    async fn run(&self, run_id: &Text) -> Result<Option<RunRow>, ServiceError> {
        match self.ask(Question::Run { run_id: run_id.clone() }).await? {
            Answer::Run { run, .. } => Ok(run.map(|run| *run)),
            _ => Err(ServiceError::unexpected_answer()),
        }
    }

    async fn children(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        page: Page,
    ) -> Result<(Vec<RunRow>, Option<Revision>), ServiceError> {
        match self.ask(Question::Runs { filter: filter.clone(), before, page }).await? {
            Answer::Runs { rows, next } => Ok((rows, next)),
            _ => Err(ServiceError::unexpected_answer()),
        }
    }

    /// A child that is not over, if there is one.
    async fn child_not_over(&self, parent_run_id: &Text) -> Result<Option<Text>, ServiceError> {
        for status in Status::ALL.into_iter().filter(|status| !status.is_over()) {
            let filter = RunFilter { status: Some(status), ..children_of(parent_run_id) };
            let mut before = None;
            loop {
                let page = Page { rows: 1, ..CHILDREN_PAGE };
                let (children, next) = self.children(&filter, before, page).await?;
                if let Some(child) = children.into_iter().next() {
                    return Ok(Some(child.run_id));
                }
                // A page may be empty although it is not the last.
                let Some(next) = next else { break };
                before = Some(next);
            }
        }
        Ok(None)
    }

    async fn count_children(&self, parent_run_id: &Text) -> Result<StatusCounts, ServiceError> {
        let (filter, mut counts) = (children_of(parent_run_id), StatusCounts::default());
        let mut before = None;
        loop {
            let (children, next) = self.children(&filter, before, CHILDREN_PAGE).await?;
            children.iter().for_each(|child| counts[child.status as usize] += 1);
            let Some(next) = next else { return Ok(counts) };
            before = Some(next);
        }
    }

    fn is_over(&self) -> bool {
        self.limits.is_over() || self.service.shared.options.stop.is_cancelled()
    }

    /// Sleeps until something has happened, or until the wait is over.
    async fn sleep(&mut self, subscription: &Subscription) {
        tokio::select! {
            _ = subscription.changed() => {}
            () = tokio::time::sleep_until(self.limits.until) => {}
            () = self.service.shared.options.stop.cancelled() => {}
        }
        self.consistency = Consistency::Local;
    }
}

fn children_of(parent_run_id: &Text) -> RunFilter {
    RunFilter { parent_run_id: Some(parent_run_id.clone()), ..RunFilter::default() }
}

fn no_such_run(run_id: &str) -> ServiceError {
    ServiceError::not_found(describe::no_such_run(run_id).to_string())
}
