//! The writer: one task, which commits what waits, a batch at a time.
//!
//! A batch's way: fetch what its commands need, if it is this sidecar's turn
//! → decide → commit, provided that nothing was committed in between. Each
//! commit counts the state on, so sidecars that worked side by side would undo
//! one another's work; therefore they take turns, in the order in which they
//! asked, and each commits all that waits with it. The turn is a courtesy
//! that saves work: one that is lost with its holder ends by itself after
//! [`TURN_MS`], and what keeps the state whole is the comparison in the commit.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::batch::{Decided, Selection, decide_all};
use super::connection::{Commit, Committed, Purpose, RedisConnection, TURN_MS};
use super::error::RedisFault;
use super::fetch::{Fetched, PRESENT, Reading};
use super::question::ROUNDS_MAX;
use super::read_set::{ReadResult, ReadSet};
use super::shared::RedisShared;
use super::working_set::Missing;
use crate::machine::{ClusterMs, Command, Envelope, Reply};
use crate::store::StoreError;
use crate::store::queue::Job;

/// Between two attempts, growing: soon at first, as another sidecar's commit
/// takes about that long.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// See [`PAUSE_MIN`]. Short enough that a Redis that is back is soon noticed.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Conflicts in a row after which a batch is refused. With turns there are
/// hardly any; so many mean that something else writes to the state.
const CONFLICTS_MAX: usize = 50;

pub(super) struct RedisWriter {
    link: RedisConnection,
    shared: Arc<RedisShared>,
    /// Counts commits, whose ids are made of it.
    commits: u64,
    /// Batches of one command still to come: a damaged row is to fail only
    /// those who touch it.
    one_by_one: usize,
    /// Dropped when the task has ended, however it did.
    _ended: watch::Sender<()>,
}

/// How one attempt at a batch ended.
enum Attempt {
    /// Everybody has been answered.
    Answered,
    /// It is another sidecar's turn.
    Wait,
    /// It touches more than a batch may.
    Much,
    /// Nothing was written: something else was committed first.
    Conflict,
    /// Nothing was written.
    Failed(RedisFault),
}

impl RedisWriter {
    pub(super) fn new(
        link: RedisConnection,
        shared: Arc<RedisShared>,
        ended: watch::Sender<()>,
    ) -> RedisWriter {
        RedisWriter { link, shared, commits: 0, one_by_one: 0, _ended: ended }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self) {
        let abandon = Abandon(self.shared.clone());
        while !self.shared.queue.is_over() {
            let jobs = self.more(&mut Selection::default());
            if jobs.is_empty() {
                self.rest().await;
            } else {
                self.batch(jobs).await;
            }
        }
        drop(abandon);
    }

    /// Until something comes; hands a turn on that comes unwanted.
    async fn rest(&self) {
        let shared = &self.shared;
        tokio::select! {
            () = shared.queue.arrival() => {}
            () = shared.turn.notified() => self.pass().await,
        }
    }

    /// The commands that wait and go into one batch.
    fn more(&mut self, selection: &mut Selection) -> Vec<Job> {
        let alone = self.one_by_one > 0;
        let mut taken = 0;
        self.shared.queue.borrow(|request| {
            let admitted = !(alone && taken > 0) && selection.admits(request);
            taken += usize::from(admitted);
            admitted
        })
    }

    /// Tries until every caller has an answer or has left.
    async fn batch(&mut self, mut jobs: Vec<Job>) {
        let mut pause = pauses();
        let mut conflicts = 0;
        self.one_by_one = self.one_by_one.saturating_sub(1);
        loop {
            jobs.retain(Job::is_wanted);
            if jobs.is_empty() {
                return;
            }
            match self.attempt(&mut jobs).await {
                Attempt::Answered => return,
                Attempt::Wait => {
                    // The turn is told; should that be lost, it is asked for.
                    let turn = self.shared.turn.notified();
                    let _ = timeout(Duration::from_millis(TURN_MS), turn).await;
                    self.join(&mut jobs);
                }
                Attempt::Much if jobs.len() > 1 => {
                    for job in jobs.split_off(jobs.len() / 2).into_iter().rev() {
                        self.shared.queue.give_back(job);
                    }
                }
                Attempt::Much if is_divisible(&jobs[0].request.command) => {
                    halve(&mut jobs[0].request.command);
                }
                Attempt::Much => {
                    let why = "the command touches more than redis can be asked for at once";
                    return fail(jobs, &StoreError::Unavailable(why.into()));
                }
                Attempt::Conflict if conflicts == CONFLICTS_MAX => {
                    let why = format!("{CONFLICTS_MAX} times, something else was written first");
                    return fail(jobs, &StoreError::Unavailable(why));
                }
                Attempt::Conflict => {
                    conflicts += 1;
                    metrics::counter!("sidecar_redis_conflicts_total").increment(1);
                    rest_for(&mut pause).await;
                }
                Attempt::Failed(
                    fault
                    @ (RedisFault::Unreached(_) | RedisFault::Gone(_) | RedisFault::NotNow(_)),
                ) => {
                    self.shared.failed(&fault);
                    rest_for(&mut pause).await;
                }
                Attempt::Failed(fault @ RedisFault::Damaged(_)) if jobs.len() > 1 => {
                    tracing::error!(%fault, "a batch is taken apart");
                    self.one_by_one = jobs.len();
                    for job in jobs.into_iter().rev() {
                        self.shared.queue.give_back(job);
                    }
                    return;
                }
                Attempt::Failed(fault @ (RedisFault::Refused(_) | RedisFault::Damaged(_))) => {
                    self.shared.failed(&fault);
                    return fail(jobs, &fault.unsent());
                }
            }
        }
    }

    /// Commands that have come while the batch waited for its turn go along.
    fn join(&mut self, jobs: &mut Vec<Job>) {
        let mut selection = Selection::default();
        if jobs.iter().all(|job| selection.admits(&job.request)) && self.one_by_one == 0 {
            jobs.extend(self.more(&mut selection));
        }
    }

    async fn attempt(&mut self, jobs: &mut Vec<Job>) -> Attempt {
        let purpose = match &jobs[..] {
            [job] if !is_divisible(&job.request.command) => Purpose::Command,
            _ => Purpose::Batch,
        };
        let needs = ReadSet::of_batch(&stamped(jobs, PRESENT, None));
        let known = self.fetch(&needs, purpose, self.shared.given_now()).await;
        let known = known.and_then(|state| {
            self.shared.saw(&state);
            ReadResult::new(&needs, state).map_err(Attempt::Failed)
        });
        let mut known = match known {
            Ok(known) => known,
            Err(attempt) => return attempt,
        };
        // From here on a caller who gives up cannot know what became of it.
        jobs.retain(Job::take);
        let max = self.shared.progress.state_bytes_max();
        let envelopes = stamped(jobs, known.state.now, max);
        let decided = match self.decide(&envelopes, &mut known, purpose).await {
            Ok(decided) => decided,
            Err(attempt) => {
                jobs.iter().for_each(Job::put_back);
                return attempt;
            }
        };
        if decided.idle {
            self.shared.progress.publish(&decided.meta);
            answer(jobs, decided.replies);
            if known.state.mine {
                self.pass().await;
            }
            return Attempt::Answered;
        }
        self.finish(jobs, decided, &known.state).await
    }

    /// Decides over what is known, and reads what is missing, until nothing is.
    async fn decide(
        &self,
        envelopes: &[Envelope],
        known: &mut ReadResult,
        purpose: Purpose,
    ) -> Result<Decided, Attempt> {
        for _ in 0..ROUNDS_MAX {
            let missing = match decide_all(envelopes, known) {
                Ok(decided) => return Ok(decided),
                Err(Missing::Rows(missing)) => missing,
                Err(Missing::Unclear | Missing::Nothing) => break,
            };
            let more = self.fetch(&missing, purpose, Some(known.state.now)).await?;
            if !known.add(&missing, more).map_err(Attempt::Failed)? {
                return Err(Attempt::Conflict);
            }
            if known.bytes > purpose.bytes_max() {
                break;
            }
        }
        Err(Attempt::Much)
    }

    async fn fetch(
        &self,
        needs: &ReadSet,
        purpose: Purpose,
        now: Option<ClusterMs>,
    ) -> Result<Fetched, Attempt> {
        match self.link.fetch(&needs.fetch(), purpose, now).await {
            Ok(Reading::Fetched(fetched)) => Ok(*fetched),
            Ok(Reading::Wait) => Err(Attempt::Wait),
            Ok(Reading::Much) => Err(Attempt::Much),
            Err(fault) => Err(Attempt::Failed(fault)),
        }
    }

    /// Commits what was decided over the state that was read.
    async fn finish(&mut self, jobs: &mut Vec<Job>, decided: Decided, state: &Fetched) -> Attempt {
        self.commits += 1;
        let id = format!("{}-{}", self.link.me(), self.commits);
        let Fetched { version, ref last, .. } = *state;
        let (before, meta) = (state.meta.revision, &decided.meta);
        let commands = decided.writes.commands();
        let commit = Commit { version, last, id: &id, meta, before, commands: &commands };
        match self.commit(&commit, jobs).await {
            Some(Ok(Committed::Done)) => {
                self.shared.progress.publish(&decided.meta);
                answer(jobs, decided.replies);
                Attempt::Answered
            }
            Some(Ok(Committed::Conflict)) => {
                jobs.iter().for_each(Job::put_back);
                Attempt::Conflict
            }
            Some(Ok(Committed::Forgotten)) => {
                let why = "redis no longer knows whether it was committed";
                fail(std::mem::take(jobs), &StoreError::Unknown(why.into()));
                Attempt::Answered
            }
            Some(Ok(Committed::Broken(why))) => {
                tracing::error!(why, "redis took a part of a commit alone: its state is damaged");
                let why = format!("redis refused a part of the commit: {why}");
                fail(std::mem::take(jobs), &StoreError::Unknown(why));
                Attempt::Answered
            }
            Some(Err(fault)) => {
                jobs.iter().for_each(Job::put_back);
                Attempt::Failed(fault)
            }
            // All have left, each with an unknown outcome.
            None => Attempt::Answered,
        }
    }

    /// PoolWorker the turn on. Where that fails, it ends by itself.
    async fn pass(&self) {
        if let Err(fault) = self.link.pass().await {
            tracing::debug!(%fault, "the turn was not handed on");
        }
    }

    /// Commits; where the answer is lost, asks again under the same id, as
    /// long as anybody would hear it.
    async fn commit(
        &self,
        commit: &Commit<'_>,
        jobs: &[Job],
    ) -> Option<Result<Committed, RedisFault>> {
        let mut pause = pauses();
        let mut sent = false;
        loop {
            let fault = match self.link.commit(commit).await {
                Ok(committed) => return Some(Ok(committed)),
                // Refused before anything was written. Of what was asked before
                // that says nothing.
                Err(
                    fault @ (RedisFault::Unreached(_)
                    | RedisFault::Refused(_)
                    | RedisFault::NotNow(_)),
                ) if !sent => {
                    return Some(Err(fault));
                }
                Err(fault @ RedisFault::Damaged(_)) if !sent => return Some(Err(fault)),
                Err(fault) => fault,
            };
            sent = true;
            self.shared.failed(&fault);
            if !jobs.iter().any(Job::is_awaited) {
                return None;
            }
            rest_for(&mut pause).await;
        }
    }
}

/// The commands as they are decided at `now`, of a state that may become so
/// large.
fn stamped(jobs: &[Job], now: ClusterMs, state_bytes_max: Option<u64>) -> Vec<Envelope> {
    jobs.iter().map(|job| job.request.clone().stamped(now, state_bytes_max)).collect()
}

/// Whether a command may do less, if it touches too much.
fn is_divisible(command: &Command) -> bool {
    matches!(command, Command::Sweep { limit } if *limit > 1)
}

fn halve(command: &mut Command) {
    if let Command::Sweep { limit } = command {
        *limit /= 2;
    }
}

fn pauses() -> ExponentialBackoff {
    // The chance keeps sidecars that met once from meeting again.
    ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}

async fn rest_for(pause: &mut ExponentialBackoff) {
    sleep(pause.next().unwrap_or(PAUSE_MAX)).await;
}

/// Tells every caller, after the commit.
fn answer(jobs: &mut Vec<Job>, replies: Vec<Reply>) {
    for (job, reply) in jobs.drain(..).zip(replies) {
        job.answer(Ok(reply));
    }
}

/// Tells every caller that there was none.
fn fail(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        job.answer(Err(error.clone()));
    }
}

/// Refuses the callers that are left, also when the task panics.
struct Abandon(Arc<RedisShared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.queue.abandon();
        if std::thread::panicking() {
            let fault = "the writer has stopped by a fault of its own".into();
            self.0.failed(&RedisFault::Refused(fault));
        }
    }
}
