//! Calls that wait: for a change of keys, for work, for a lease. They sleep
//! until the store has moved on or until time alone may have changed the
//! answer, look at this node's own state, and ask the store again only when
//! that looks promising: a thousand who wait cost a busy log nothing.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Context, Service, ServiceError};
use crate::machine::command::{Acquire, ClaimNext};
use crate::machine::query::Answer;
use crate::machine::reply::{Acquired, Claimed};
use crate::machine::row::RunRow;
use crate::machine::view::{ChangeFilter, RunFilter, Scan};
use crate::machine::{ClusterMs, Command, Event, Question, Reply, Revision};
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

/// A waiting call looks at most this often, however fast the state changes;
/// less often while the store refuses what had looked promising.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// And at least this often where the passing of time may change the answer: a
/// node's clock may differ from cluster time by some seconds.
const LOOK_LATEST: Duration = Duration::from_secs(1);
/// How much longer than the wait the last attempt may take, so that a store
/// that cannot answer does not hold up a caller who asked for a short wait.
const GRACE: Duration = Duration::from_secs(1);
/// Runs looked at for one with the right name.
const RUNS_LOOKED_AT: usize = 100;

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
        let (consistency, stop) = (Consistency::Linearizable, self.stop());
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

    /// How long a call that waits for `wait` may take in all.
    fn patience(&self, wait: Duration) -> Duration {
        let deadline = self.shared.options.deadline;
        if wait.is_zero() { deadline } else { wait.saturating_add(GRACE) }
    }

    async fn look_for_change(
        &self,
        filter: ChangeFilter,
        after: Revision,
        timeout: Duration,
        limit: usize,
        mut consistency: Consistency,
        stop: CancellationToken,
    ) -> Result<Changed, ServiceError> {
        let _permit = self.shared.admission.wait()?;
        let mut waiter = Waiter::new(self, timeout, stop);
        loop {
            let question = Question::Changes { filter: filter.clone(), after, limit };
            let answered = self.ask_within(question, consistency, waiter.left()).await?;
            // A node's own state may lag behind what its caller has seen.
            if matches!(consistency, Consistency::Linearizable) && after > answered.revision {
                return Err(ServiceError::invalid(format!(
                    "after_revision: {} is ahead of the present revision {}",
                    after.0, answered.revision.0
                )));
            }
            let Answer::Changes { events, complete } = answered.answer else {
                return Err(mismatch());
            };
            let over = waiter.is_over();
            if !events.is_empty() || !complete || over {
                let seen = answered.revision.max(after);
                let revision = match events.last() {
                    Some(last) if events.len() >= limit => last.revision,
                    Some(_) | None => seen,
                };
                return Ok(Changed { events, revision, missed: !complete });
            }
            waiter.sleep(None).await;
            // What woke us is this node's own progress, so it is here to see.
            consistency = Consistency::Local;
        }
    }

    /// Claims the best run, waiting up to `wait` for one.
    ///
    /// With an idempotency key the command goes to the log once, when there
    /// seems to be something to claim or at the end: its answer is remembered,
    /// and "nothing yet" must not be what is.
    pub async fn claim_next(
        &self,
        claim: ClaimNext,
        context: Context,
        wait: Duration,
    ) -> Result<Claimed, ServiceError> {
        if wait.is_zero() {
            return claimed(self.submit(Command::ClaimNext(claim), context).await?);
        }
        let _permit = self.shared.admission.wait()?;
        let mut waiter = Waiter::new(self, wait, self.stop());
        let once = context.idempotency_key.is_some();
        if let Some(key) = &context.idempotency_key
            && let Some(reply) =
                self.recall(&Command::ClaimNext(claim.clone()), key, waiter.left()).await?
        {
            return claimed(reply);
        }
        let mut sight = if once { self.work_in_sight(&claim).await? } else { Sight::PROMISING };
        loop {
            let over = waiter.is_over();
            if sight.promising || over {
                let command = Command::ClaimNext(claim.clone());
                let reply = self.submit_within(command, context.clone(), waiter.left()).await?;
                let reply = claimed(reply)?;
                if reply.claimed || over || once {
                    return Ok(reply);
                }
                sight.retry_at = reply.retry_at;
            }
            waiter.sleep(Some(sight)).await;
            let seen = self.work_in_sight(&claim).await?;
            sight = Sight { retry_at: sight.retry_at, ..seen }.or_due(!once && self.is_past(sight));
        }
    }

    /// Takes a lease, waiting up to `wait` for it to become free. Idempotency
    /// keys as with [`Service::claim_next`].
    pub async fn acquire(
        &self,
        acquire: Acquire,
        context: Context,
        wait: Duration,
    ) -> Result<Acquired, ServiceError> {
        if wait.is_zero() {
            return acquired(self.submit(Command::Acquire(acquire), context).await?);
        }
        let _permit = self.shared.admission.wait()?;
        let mut waiter = Waiter::new(self, wait, self.stop());
        let once = context.idempotency_key.is_some();
        if let Some(key) = &context.idempotency_key
            && let Some(reply) =
                self.recall(&Command::Acquire(acquire.clone()), key, waiter.left()).await?
        {
            return acquired(reply);
        }
        let mut sight = if once { self.lease_in_sight(&acquire).await? } else { Sight::PROMISING };
        loop {
            let over = waiter.is_over();
            if sight.promising || over {
                let command = Command::Acquire(acquire.clone());
                let reply = self.submit_within(command, context.clone(), waiter.left()).await?;
                let reply = acquired(reply)?;
                if reply.acquired || over || once {
                    return Ok(reply);
                }
                sight.retry_at = reply.retry_at;
            }
            waiter.sleep(Some(sight)).await;
            let seen = self.lease_in_sight(&acquire).await?;
            sight = seen.or_due(!once && self.is_past(seen));
        }
    }

    fn stop(&self) -> CancellationToken {
        self.shared.options.stop.clone()
    }

    /// Whether the time has come at which the answer may be another. Followers
    /// see deadlines pass late, so what they see does not decide then.
    fn is_past(&self, sight: Sight) -> bool {
        sight.retry_at.is_some_and(|at| at.0 <= self.shared.options.clock.wall_ms())
    }

    /// Whether this node sees a run that `claim` could take.
    async fn work_in_sight(&self, claim: &ClaimNext) -> Result<Sight, ServiceError> {
        let filter =
            RunFilter { tags: claim.tags.clone(), claimable: Some(true), ..Default::default() };
        let question = Question::Runs { filter, before: None, limit: RUNS_LOOKED_AT };
        match self.ask(question, Consistency::Local).await?.answer {
            Answer::Runs { rows, more } => {
                let fits = |run: &RunRow| claim.name.as_ref().is_none_or(|n| run.name == *n);
                Ok(Sight { promising: more || rows.iter().any(fits), retry_at: None })
            }
            _ => Err(mismatch()),
        }
    }

    /// Whether this node sees the lease free, or with the one who asks.
    async fn lease_in_sight(&self, acquire: &Acquire) -> Result<Sight, ServiceError> {
        let scan = Scan { prefix: acquire.resource_id.clone(), after: None };
        match self.ask(Question::Leases { scan, limit: 1 }, Consistency::Local).await?.answer {
            // The resource itself is the first of all names that start with it.
            Answer::Leases { rows, .. } => {
                let other = rows.iter().find(|(id, row)| {
                    *id == acquire.resource_id && row.holder_id != acquire.holder_id
                });
                let retry_at = other.map(|(_, row)| row.expires_at);
                Ok(Sight { promising: other.is_none(), retry_at })
            }
            _ => Err(mismatch()),
        }
    }
}

/// What a look at this node's own state gave.
#[derive(Clone, Copy)]
struct Sight {
    /// Asking the store may succeed.
    promising: bool,
    /// When time alone may make it so.
    retry_at: Option<ClusterMs>,
}

impl Sight {
    /// Before anything is known.
    const PROMISING: Sight = Sight { promising: true, retry_at: None };

    fn or_due(self, due: bool) -> Sight {
        Sight { promising: self.promising || due, ..self }
    }
}

/// Sleeps between looks.
struct Waiter<'a> {
    service: &'a Service,
    revision: watch::Receiver<Revision>,
    until: Instant,
    /// When the last attempt must be over.
    last: Instant,
    /// Ends the wait before its time.
    stop: CancellationToken,
    /// How often in a row the store refused what had looked promising.
    refusals: u32,
}

impl<'a> Waiter<'a> {
    /// Made before the first look, so that no change falls in between.
    fn new(service: &'a Service, wait: Duration, stop: CancellationToken) -> Self {
        let mut revision = service.shared.store.revision();
        revision.mark_unchanged();
        let now = Instant::now();
        let last = now + service.patience(wait);
        Waiter { service, revision, until: now + wait, last, stop, refusals: 0 }
    }

    /// How long the next attempt may take.
    fn left(&self) -> Duration {
        let left = self.last.saturating_duration_since(Instant::now());
        left.min(self.service.shared.options.deadline)
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.until
    }

    /// As [`Waiter::rest`]; a stop ends it at once.
    async fn sleep(&mut self, sight: Option<Sight>) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.rest(sight)).await;
    }

    /// Sleeps until the state has changed or the wait is over; where `sight`
    /// is given also until time alone may have changed what it showed.
    async fn rest(&mut self, sight: Option<Sight>) {
        self.refusals = match sight {
            Some(Sight { promising: true, .. }) => self.refusals + 1,
            Some(Sight { promising: false, .. }) | None => 0,
        };
        let pause = LOOK_PAUSE.saturating_mul(1 << self.refusals.min(16)).min(LOOK_LATEST);
        tokio::time::sleep_until((Instant::now() + pause).min(self.until)).await;
        let until = sight.map_or(self.until, |sight| self.due(sight).min(self.until));
        tokio::select! {
            // Fails where the store is closing; what is asked next says so.
            _ = self.revision.changed() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// When to look again although nothing has happened.
    fn due(&self, sight: Sight) -> Instant {
        let now_ms = self.service.shared.options.clock.wall_ms();
        let ahead = sight.retry_at.map(|at| Duration::from_millis(at.0.saturating_sub(now_ms)));
        Instant::now() + ahead.unwrap_or(LOOK_LATEST).clamp(LOOK_PAUSE, LOOK_LATEST)
    }
}

fn claimed(reply: Reply) -> Result<Claimed, ServiceError> {
    match reply {
        Reply::Claimed(claimed) => Ok(claimed),
        _ => Err(mismatch()),
    }
}

fn acquired(reply: Reply) -> Result<Acquired, ServiceError> {
    match reply {
        Reply::Acquired(acquired) => Ok(acquired),
        _ => Err(mismatch()),
    }
}

fn mismatch() -> ServiceError {
    ServiceError::internal("the store answered another question")
}
