//! `state_wait`, the gRPC watches and subscriptions: how callers learn of changes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::subject::SubscribedSubject;
use super::subscriptions::{Subscription, Subscriptions};
use super::wait_limits::WaitLimits;
use super::watches::{WatchState, Watches};
use crate::error::ServiceError;
use crate::limits;
use crate::machine::filter::ChangeFilter;
use crate::machine::page::Page;
use crate::machine::query::{Answer, PAGE_BYTES_MAX};
use crate::machine::{Event, Question, Revision};
use crate::service::Service;
use crate::store::Consistency;

/// The changes that a call has waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChanges {
    /// Oldest first; empty where the time ran out.
    pub events: Vec<Event>,
    /// The revision to go on from. These events are all up to there.
    pub revision: Revision,
    /// Some changes are missing, because the history no longer holds them.
    pub missed: bool,
}

impl Service {
    /// Waits up to `timeout` until a key that `filter` admits has changed after the
    /// revision `after`, or after now where none is given. Returns one page of changes.
    pub async fn wait_for_change(
        &self,
        filter: ChangeFilter,
        after: Option<Revision>,
        timeout: Duration,
        limit: usize,
    ) -> Result<KeyChanges, ServiceError> {
        limits::check_filter(&filter)?;
        let timeout = timeout.min(limits::WAIT_MAX);
        let after = match after {
            Some(after) => after,
            None => self.current_revision_within(self.wait_limits(timeout).time_left()).await?,
        };
        let (consistency, stop) = (Consistency::Linearizable, self.shared.options.stop.clone());
        self.next_change(filter, after, timeout, limit, consistency, stop).await
    }

    /// Does what [`Service::wait_for_change`] does, for a caller that has seen all
    /// changes up to `after` and goes on. It reads this node's own state alone, which
    /// costs a cluster nothing. It does not end early when the service stops: a stream
    /// would call again at once, and is stopped by its own means.
    pub async fn follow_changes(
        &self,
        filter: ChangeFilter,
        after: Revision,
        timeout: Duration,
        limit: usize,
    ) -> Result<KeyChanges, ServiceError> {
        let (consistency, never) = (Consistency::Local, CancellationToken::new());
        self.next_change(filter, after, timeout, limit, consistency, never).await
    }

    /// The newest revision at this moment.
    pub async fn current_revision(&self) -> Result<Revision, ServiceError> {
        self.current_revision_within(self.shared.options.deadline).await
    }

    /// The newest revision that this node has, which others may be ahead of.
    pub fn local_revision(&self) -> Revision {
        self.shared.subscriptions.local_revision()
    }

    async fn current_revision_within(&self, timeout: Duration) -> Result<Revision, ServiceError> {
        let question = Question::Key { key: "".into() };
        Ok(self.ask_within(question, Consistency::Linearizable, timeout).await?.revision)
    }

    /// Subscribes to changes after this moment. From the return on no change is missed
    /// that this node sees committed.
    ///
    /// # Errors
    /// There are too many subscriptions, or subjects.
    pub fn subscribe(
        &self,
        subjects: Vec<SubscribedSubject>,
    ) -> Result<Subscription, ServiceError> {
        Subscriptions::join(&self.shared.subscriptions, subjects)
    }

    fn wait_limits(&self, wait: Duration) -> WaitLimits {
        WaitLimits::from_now(wait, self.shared.options.deadline)
    }

    async fn next_change(
        &self,
        filter: ChangeFilter,
        mut after: Revision,
        timeout: Duration,
        limit: usize,
        mut consistency: Consistency,
        stop: CancellationToken,
    ) -> Result<KeyChanges, ServiceError> {
        let _permit = self.shared.admission.begin_wait()?;
        // The watch is there before the first read, so no change falls in between.
        let watch = Watches::join(&self.shared.watches, &filter);
        let limits = self.wait_limits(timeout);
        let page = Page { rows: limit, bytes: PAGE_BYTES_MAX };
        loop {
            let question = Question::Changes { filter: filter.clone(), after, page };
            let asked = Box::pin(self.ask_within(question, consistency, limits.timeout()));
            let answered = asked.await?;
            // A node's own state may lag behind what its caller has seen elsewhere, so
            // only a linearizable answer proves that `after` does not exist yet.
            if matches!(consistency, Consistency::Linearizable) && after > answered.revision {
                return Err(ServiceError::invalid(format!(
                    "after_revision: {} is ahead of the present revision {}",
                    after.0, answered.revision.0
                )));
            }
            let Answer::Changes { events, complete, more } = answered.answer else {
                return Err(ServiceError::unexpected_answer());
            };
            let read_to = answered.revision.max(after);
            if !events.is_empty() || !complete {
                let last = events.last().filter(|_| more);
                let revision = last.map_or(read_to, |last| last.revision);
                return Ok(KeyChanges { events, revision, missed: !complete });
            }
            after = read_to;
            loop {
                match watch.news(after) {
                    WatchState::MayHaveChanged { after: unchanged_to } => {
                        after = unchanged_to.max(after);
                        break;
                    }
                    WatchState::Unchanged { up_to } => after = up_to,
                }
                if stop.is_cancelled() || limits.is_over() {
                    return Ok(KeyChanges { events: Vec::new(), revision: after, missed: false });
                }
                tokio::select! {
                    () = watch.woken() => {}
                    () = tokio::time::sleep_until(limits.until) => {}
                    () = stop.cancelled() => {}
                }
            }
            // This node's own progress woke the call, so its own state has the change.
            consistency = Consistency::Local;
        }
    }
}
