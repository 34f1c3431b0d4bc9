//! One attempt to commit a batch: fetch what its commands need, if it is this
//! sidecar's turn; decide; and commit, provided that nothing was committed in
//! between.

use std::sync::Arc;

use super::batch::{Decided, decide_all};
use super::connection::{Commit, Committed, FetchPurpose, RedisConnection};
use super::error::RedisFault;
use super::fetch::{FetchOutcome, Fetched, PRESENT};
use super::read_set::{ROUNDS_MAX, ReadResult, ReadSet};
use super::retry::Pauses;
use super::shared::RedisShared;
use super::working_set::Missing;
use crate::machine::command::StateLimits;
use crate::machine::{ClusterMs, Command, Envelope, Reply};
use crate::store::error::StoreError;
use crate::store::queue::Job;

/// The outcome of an attempt.
pub(super) enum BatchAttempt {
    /// Every caller has been answered.
    Answered,
    /// It is another sidecar's turn.
    NotOurTurn,
    /// The commands need more rows than one batch may read.
    TooLarge,
    /// Something else was committed first. Nothing was written.
    Conflict,
    /// Nothing was written.
    Failed(RedisFault),
}

/// Commits batches over a connection of its own.
pub(super) struct Committer {
    connection: RedisConnection,
    shared: Arc<RedisShared>,
    /// The number of commits so far, from which their ids are made.
    commits: u64,
}

impl Committer {
    pub(super) fn new(connection: RedisConnection, shared: Arc<RedisShared>) -> Committer {
        Committer { connection, shared, commits: 0 }
    }

    /// Makes one attempt, and answers the callers if it succeeds.
    pub(super) async fn attempt(&mut self, jobs: &mut Vec<Job>) -> BatchAttempt {
        let purpose = match &jobs[..] {
            [job] if !is_divisible(&job.request.command) => FetchPurpose::Command,
            _ => FetchPurpose::Batch,
        };
        let needs = ReadSet::of_batch(&stamped(jobs, PRESENT, StateLimits::default()));
        let fetched = self.fetch(&needs, purpose, self.shared.given_now()).await;
        let known = fetched.and_then(|state| {
            self.shared.observe(&state);
            ReadResult::new(&needs, state).map_err(BatchAttempt::Failed)
        });
        let mut known = match known {
            Ok(known) => known,
            Err(attempt) => return attempt,
        };
        // From here on, a caller that gives up cannot know the outcome.
        jobs.retain(Job::take);
        let limits = self.shared.progress.limits();
        let envelopes = stamped(jobs, known.state.now, limits);
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
            if known.state.has_turn {
                self.pass_turn().await;
            }
            return BatchAttempt::Answered;
        }
        self.commit(jobs, decided, &known.state).await
    }

    /// Passes the turn on. If that fails, the turn ends by itself.
    pub(super) async fn pass_turn(&self) {
        if let Err(fault) = self.connection.pass_turn().await {
            tracing::debug!(%fault, "the turn was not passed on");
        }
    }

    /// Decides the commands on what is known, and reads what is missing, until
    /// nothing is missing.
    async fn decide(
        &self,
        envelopes: &[Envelope],
        known: &mut ReadResult,
        purpose: FetchPurpose,
    ) -> Result<Decided, BatchAttempt> {
        for _ in 0..ROUNDS_MAX {
            let missing = match decide_all(envelopes, known) {
                Ok(decided) => return Ok(decided),
                Err(Missing::Rows(missing)) => missing,
                Err(Missing::Unclear | Missing::Nothing) => break,
            };
            let more = self.fetch(&missing, purpose, Some(known.state.now)).await?;
            if !known.add(&missing, more).map_err(BatchAttempt::Failed)? {
                return Err(BatchAttempt::Conflict);
            }
            if known.bytes > purpose.bytes_max() {
                break;
            }
        }
        Err(BatchAttempt::TooLarge)
    }

    async fn fetch(
        &self,
        needs: &ReadSet,
        purpose: FetchPurpose,
        now: Option<ClusterMs>,
    ) -> Result<Fetched, BatchAttempt> {
        match self.connection.fetch(&needs.fetch(), purpose, now).await {
            Ok(FetchOutcome::Fetched(fetched)) => Ok(*fetched),
            Ok(FetchOutcome::NotOurTurn) => Err(BatchAttempt::NotOurTurn),
            Ok(FetchOutcome::TooLarge) => Err(BatchAttempt::TooLarge),
            Err(fault) => Err(BatchAttempt::Failed(fault)),
        }
    }

    /// Commits what was decided on the state that was read, and answers the callers.
    async fn commit(
        &mut self,
        jobs: &mut Vec<Job>,
        decided: Decided,
        state: &Fetched,
    ) -> BatchAttempt {
        self.commits += 1;
        let id = format!("{}-{}", self.connection.sidecar(), self.commits);
        let Fetched { version, ref last_commit, .. } = *state;
        let (before, meta) = (state.meta.revision, &decided.meta);
        let commands = decided.writes.commands();
        let commit = Commit { version, last_commit, id: &id, meta, before, commands: &commands };
        match self.send_until_answered(&commit, jobs).await {
            Some(Ok(Committed::Done)) => {
                self.shared.progress.publish(&decided.meta);
                answer(jobs, decided.replies);
                BatchAttempt::Answered
            }
            Some(Ok(Committed::Conflict)) => {
                jobs.iter().for_each(Job::put_back);
                BatchAttempt::Conflict
            }
            Some(Ok(Committed::Forgotten)) => {
                let why = "redis no longer knows whether it was committed";
                fail(std::mem::take(jobs), &StoreError::Unknown(why.into()));
                BatchAttempt::Answered
            }
            Some(Ok(Committed::Broken(why))) => {
                tracing::error!(
                    why,
                    "redis executed only a part of a commit: its state is damaged"
                );
                let why = format!("redis refused a part of the commit: {why}");
                fail(std::mem::take(jobs), &StoreError::Unknown(why));
                BatchAttempt::Answered
            }
            Some(Err(fault)) => {
                jobs.iter().for_each(Job::put_back);
                BatchAttempt::Failed(fault)
            }
            // All callers have left, and each of them knows that the outcome is
            // unknown.
            None => BatchAttempt::Answered,
        }
    }

    /// Sends a commit. If the answer is lost, it is sent again with the same id, by
    /// which Redis recognises it, as long as a caller waits.
    async fn send_until_answered(
        &self,
        commit: &Commit<'_>,
        jobs: &[Job],
    ) -> Option<Result<Committed, RedisFault>> {
        let mut pauses = Pauses::new();
        let mut sent = false;
        loop {
            let fault = match self.connection.commit(commit).await {
                Ok(committed) => return Some(Ok(committed)),
                Err(fault) => fault,
            };
            // A refusal means that nothing was written, but it says nothing about an
            // earlier attempt.
            let refused = !matches!(fault, RedisFault::Gone(_));
            if refused && !sent {
                return Some(Err(fault));
            }
            sent = true;
            self.shared.set_fault(&fault);
            if !jobs.iter().any(Job::is_awaited) {
                return None;
            }
            pauses.next().await;
        }
    }
}

/// Whether the command can be made to touch fewer rows.
pub(super) fn is_divisible(command: &Command) -> bool {
    matches!(command, Command::Sweep { limit } if *limit > 1)
}

/// The commands as they are decided at `now`; see [`crate::store::Request`].
fn stamped(jobs: &[Job], now: ClusterMs, limits: StateLimits) -> Vec<Envelope> {
    jobs.iter().map(|job| job.request.clone().stamped(now, limits)).collect()
}

/// Answers every caller after the commit.
fn answer(jobs: &mut Vec<Job>, replies: Vec<Reply>) {
    for (job, reply) in jobs.drain(..).zip(replies) {
        job.answer(Ok(reply));
    }
}

/// Fails every caller.
pub(super) fn fail(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        job.answer(Err(error.clone()));
    }
}
