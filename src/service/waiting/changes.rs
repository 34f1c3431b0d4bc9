//! `state_wait` and the watches of programs: waiting for a change of keys.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::mismatch;
use super::watches::{News, Watches};
use crate::machine::query::{Answer, PAGE_BYTES_MAX};
use crate::machine::view::{ChangeFilter, Page};
use crate::machine::{Event, Question, Revision};
use crate::service::{Service, ServiceError};
use crate::store::Consistency;

/// What `state_wait` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Oldest first; empty where time ran out.
    pub events: Vec<Event>,
    /// Where to go on from: everything up to here has been seen.
    pub revision: Revision,
    /// Changes are missing, since the history no longer holds them.
    pub missed: bool,
}

impl Service {
    /// Waits until a key that `filter` admits has changed after `after` (after
    /// now, where none is given), `timeout` at most. One page of changes.
    pub async fn wait_for_change(
        &self,
        filter: ChangeFilter,
        after: Option<Revision>,
        timeout: Duration,
        limit: usize,
    ) -> Result<Changed, ServiceError> {
        let after = match after {
            Some(after) => after,
            None => self.present_within(self.patience(timeout)).await?,
        };
        let (consistency, stop) = (Consistency::Linearizable, self.shared.options.stop.clone());
        self.look_for_change(filter, after, timeout, limit, consistency, stop).await
    }

    /// As [`Service::wait_for_change`], for one who has seen all changes up to
    /// `after` and goes on: looks at this node's own state alone, which costs
    /// a cluster nothing. Does not end early when the service stops: who goes
    /// on for ever would ask again at once, and has a stop of its own.
    pub async fn follow_changes(
        &self,
        filter: ChangeFilter,
        after: Revision,
        timeout: Duration,
        limit: usize,
    ) -> Result<Changed, ServiceError> {
        let (consistency, never) = (Consistency::Local, CancellationToken::new());
        self.look_for_change(filter, after, timeout, limit, consistency, never).await
    }

    /// The newest revision, as of now.
    pub async fn present(&self) -> Result<Revision, ServiceError> {
        self.present_within(self.shared.options.deadline).await
    }

    async fn present_within(&self, timeout: Duration) -> Result<Revision, ServiceError> {
        let question = Question::Key { key: "".into() };
        Ok(self.ask_within(question, Consistency::Linearizable, timeout).await?.revision)
    }

    async fn look_for_change(
        &self,
        filter: ChangeFilter,
        mut after: Revision,
        timeout: Duration,
        limit: usize,
        mut consistency: Consistency,
        stop: CancellationToken,
    ) -> Result<Changed, ServiceError> {
        let _permit = self.shared.admission.wait()?;
        // Made before the first look, so that no change falls in between.
        let watch = Watches::join(&self.shared, &filter);
        let (until, last) = self.patience_from_now(timeout);
        let page = Page { rows: limit, bytes: PAGE_BYTES_MAX };
        loop {
            let left = last.saturating_duration_since(Instant::now());
            let left = left.min(self.shared.options.deadline);
            let question = Question::Changes { filter: filter.clone(), after, page };
            let answered = Box::pin(self.ask_within(question, consistency, left)).await?;
            // A node's own state may lag behind what its caller has seen.
            if matches!(consistency, Consistency::Linearizable) && after > answered.revision {
                return Err(ServiceError::invalid(format!(
                    "after_revision: {} is ahead of the present revision {}",
                    after.0, answered.revision.0
                )));
            }
            let Answer::Changes { events, complete, more } = answered.answer else {
                return Err(mismatch());
            };
            let seen = answered.revision.max(after);
            if !events.is_empty() || !complete {
                let last = events.last().filter(|_| more);
                let revision = last.map_or(seen, |last| last.revision);
                return Ok(Changed { events, revision, missed: !complete });
            }
            after = seen;
            loop {
                match watch.news(after) {
                    News::After(before) => {
                        after = before.max(after);
                        break;
                    }
                    News::NoneUpTo(revision) => after = revision,
                }
                if stop.is_cancelled() || Instant::now() >= until {
                    return Ok(Changed { events: Vec::new(), revision: after, missed: false });
                }
                tokio::select! {
                    () = watch.woken() => {}
                    () = tokio::time::sleep_until(until) => {}
                    () = stop.cancelled() => {}
                }
            }
            // What woke us is this node's own progress, so it is here to see.
            consistency = Consistency::Local;
        }
    }
}
