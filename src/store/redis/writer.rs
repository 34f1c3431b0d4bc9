//! The writer: one task that commits the commands that wait, a batch at a time.
//!
//! Every commit moves the state's position on, so sidecars that worked at the same
//! time would invalidate one another's batches. Therefore they take turns, in the
//! order in which they asked, and each commits everything that waits. Turns only
//! save work: the comparison in the commit is what keeps the state correct, and a
//! turn whose holder has died ends by itself after [`TURN_MS`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::batch::Selection;
use super::commit::{BatchAttempt, Committer, fail, is_divisible};
use super::connection::{RedisConnection, TURN_MS};
use super::error::RedisFault;
use super::retry::Pauses;
use super::shared::RedisShared;
use crate::machine::Command;
use crate::store::error::StoreError;
use crate::store::queue::Job;

/// After so many conflicts in a row, a batch is refused. With turns there are hardly
/// any conflicts, so another program must be writing to the state.
const CONFLICTS_MAX: usize = 50;

pub(super) struct RedisWriter {
    committer: Committer,
    shared: Arc<RedisShared>,
    /// How many of the next batches must consist of a single command, so that a
    /// damaged row fails only the commands that need it.
    single_batches: usize,
    /// Dropped when the task ends, for whatever reason.
    _ended: watch::Sender<()>,
}

impl RedisWriter {
    pub(super) fn new(
        connection: RedisConnection,
        shared: Arc<RedisShared>,
        ended: watch::Sender<()>,
    ) -> RedisWriter {
        let committer = Committer::new(connection, shared.clone());
        RedisWriter { committer, shared, single_batches: 0, _ended: ended }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        let guard = RedisWriterGuard(self.shared.clone());
        while !self.shared.queue.is_over() {
            let jobs = self.take_jobs(&mut Selection::default());
            if jobs.is_empty() {
                self.wait().await;
            } else {
                self.commit_batch(jobs).await;
            }
        }
        drop(guard);
    }

    /// Waits for commands. A turn that comes meanwhile is passed on, because this
    /// sidecar does not need it.
    async fn wait(&self) {
        let shared = &self.shared;
        tokio::select! {
            () = shared.queue.arrival() => {}
            () = shared.turn.notified() => self.committer.pass_turn().await,
        }
    }

    /// The waiting commands that fit into one batch.
    fn take_jobs(&mut self, selection: &mut Selection) -> Vec<Job> {
        let single = self.single_batches > 0;
        let mut taken = 0;
        self.shared.queue.borrow(|request| {
            let admitted = !(single && taken > 0) && selection.admits(request);
            taken += usize::from(admitted);
            admitted
        })
    }

    /// Repeats attempts until every caller has an answer or has left.
    async fn commit_batch(&mut self, mut jobs: Vec<Job>) {
        let mut pauses = Pauses::new();
        let mut conflicts = 0;
        self.single_batches = self.single_batches.saturating_sub(1);
        loop {
            jobs.retain(Job::is_wanted);
            if jobs.is_empty() {
                return;
            }
            match self.committer.attempt(&mut jobs).await {
                BatchAttempt::Answered => return,
                BatchAttempt::NotOurTurn => {
                    // The turn is announced. If that message is lost, the timeout
                    // makes this sidecar ask again.
                    let turn = self.shared.turn.notified();
                    let _ = timeout(Duration::from_millis(TURN_MS), turn).await;
                    self.add_new_jobs(&mut jobs);
                }
                BatchAttempt::TooLarge if jobs.len() > 1 => {
                    let rest = jobs.split_off(jobs.len() / 2);
                    self.give_back(rest);
                }
                BatchAttempt::TooLarge if is_divisible(&jobs[0].request.command) => {
                    halve(&mut jobs[0].request.command);
                }
                BatchAttempt::TooLarge => {
                    let why = "the command touches more than redis can be asked for at once";
                    return fail(jobs, &StoreError::Unavailable(why.into()));
                }
                BatchAttempt::Conflict if conflicts == CONFLICTS_MAX => {
                    let why = format!("{CONFLICTS_MAX} times, something else was written first");
                    return fail(jobs, &StoreError::Unavailable(why));
                }
                BatchAttempt::Conflict => {
                    conflicts += 1;
                    metrics::counter!("sidecar_redis_conflicts_total").increment(1);
                    pauses.next().await;
                }
                BatchAttempt::Failed(fault) if fault.is_temporary() => {
                    self.shared.set_fault(&fault);
                    pauses.next().await;
                }
                BatchAttempt::Failed(fault @ RedisFault::Damaged(_)) if jobs.len() > 1 => {
                    tracing::error!(%fault, "the commands of a batch are committed one by one");
                    self.single_batches = jobs.len();
                    return self.give_back(jobs);
                }
                BatchAttempt::Failed(fault) => {
                    self.shared.set_fault(&fault);
                    return fail(jobs, &fault.unsent());
                }
            }
        }
    }

    /// Adds the commands that have come while the batch waited for its turn.
    fn add_new_jobs(&mut self, jobs: &mut Vec<Job>) {
        let mut selection = Selection::default();
        if jobs.iter().all(|job| selection.admits(&job.request)) && self.single_batches == 0 {
            jobs.extend(self.take_jobs(&mut selection));
        }
    }

    /// Puts commands back at the front of the queue, in their order.
    fn give_back(&self, jobs: Vec<Job>) {
        for job in jobs.into_iter().rev() {
            self.shared.queue.give_back(job);
        }
    }
}

fn halve(command: &mut Command) {
    if let Command::Sweep { limit } = command {
        *limit /= 2;
    }
}

/// Refuses the callers that are left when the writer ends, even by a panic.
struct RedisWriterGuard(Arc<RedisShared>);

impl Drop for RedisWriterGuard {
    fn drop(&mut self) {
        self.0.queue.abandon();
        if std::thread::panicking() {
            let fault = "the writer has stopped by a fault of its own".into();
            self.0.set_fault(&RedisFault::Refused(fault));
        }
    }
}
