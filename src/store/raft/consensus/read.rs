//! Linearizable reads on any node, by ReadIndex (section 6.4 of Ongaro's thesis):
//! the leader confirms that it still leads and says how far its log is committed;
//! once this node has applied that much, it may answer.
//!
//! One round serves all readers that waited when it began, so that the leader gets
//! one message per round and not one per read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::raft::linearizable_read::{Linearizer, ReadLogId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::applied::LatestState;
use super::health;
use super::leadership::{Leader, Leadership, RaftHandle};
use super::types::TypeConfig;
use crate::machine::ClusterMs;
use crate::store::StoreError;
use crate::store::raft::clock::cluster_clock::ClusterClock;
use crate::store::raft::rpc::PeerNetwork;

/// The most readers that one round serves; further ones wait for a place.
const WAITING_MAX: usize = 4_096;

/// How long a leader may take to confirm. After that, the round fails and the next
/// one asks the node that leads then.
const CONFIRMATION: Duration = Duration::from_millis(500);

const BEHIND: &str = "this node has not yet applied everything that is committed";

/// A barrier that lets a reader pass once the node's state is current.
#[derive(Clone)]
pub struct ReadBarrier {
    waiting: mpsc::Sender<WaitingReader>,
    last_round: LastRound,
}

/// When the last successful round began: this node's state holds everything that
/// was committed by then.
type LastRound = Arc<Mutex<Option<Instant>>>;

struct WaitingReader {
    deadline: Instant,
    pass: oneshot::Sender<Result<ClusterMs, StoreError>>,
}

/// Runs the rounds in which the leader confirms its leadership.
pub struct ReadIndexRounds {
    pub(crate) raft: RaftHandle,
    pub(crate) leadership: Leadership,
    pub(crate) cluster_clock: ClusterClock,
    pub(crate) state: Arc<LatestState>,
    pub(crate) network: PeerNetwork,
}

impl ReadBarrier {
    /// Starts a task that runs the rounds until all clones of the barrier are gone.
    pub fn start(rounds: ReadIndexRounds) -> ReadBarrier {
        let (waiting, queue) = mpsc::channel(WAITING_MAX);
        let last_round = LastRound::default();
        tokio::spawn(rounds.run(queue, last_round.clone()));
        ReadBarrier { waiting, last_round }
    }

    /// How old this node's state may be; none before the first round succeeded.
    pub fn age(&self) -> Option<Duration> {
        let last_round = self.last_round.lock().unwrap_or_else(PoisonError::into_inner);
        last_round.map(|began| began.elapsed())
    }

    /// Waits until this node's state holds everything that was committed when
    /// the call began, and returns the leader's cluster time at that moment.
    pub async fn pass(&self, deadline: Instant) -> Result<ClusterMs, StoreError> {
        let (pass, passed) = oneshot::channel();
        let closed = || StoreError::Unavailable("the node is stopping".to_owned());
        let passing = async {
            self.waiting.send(WaitingReader { deadline, pass }).await.map_err(|_| closed())?;
            passed.await.map_err(|_| closed())?
        };
        let late = || StoreError::Unavailable("no leader confirmed in time".to_owned());
        timeout_at(deadline, passing).await.unwrap_or_else(|_| Err(late()))
    }
}

impl ReadIndexRounds {
    async fn run(mut self, mut queue: mpsc::Receiver<WaitingReader>, last_round: LastRound) {
        let mut waiters = Vec::new();
        while queue.recv_many(&mut waiters, WAITING_MAX).await > 0 {
            self.serve(&mut waiters, &mut queue, &last_round).await;
        }
    }

    /// Runs rounds until every reader has passed or its deadline has. After a round
    /// that failed, readers that have come meanwhile join the next one.
    async fn serve(
        &mut self,
        waiters: &mut Vec<WaitingReader>,
        queue: &mut mpsc::Receiver<WaitingReader>,
        last_round: &LastRound,
    ) {
        while let Some(last) = waiters.iter().map(|waiter| waiter.deadline).max() {
            let began = Instant::now();
            let failure = match self.round(last).await {
                Ok(time) => {
                    *last_round.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
                    for waiter in waiters.drain(..) {
                        // The reader may have given up.
                        let _ = waiter.pass.send(Ok(time));
                    }
                    return;
                }
                Err(failure) => failure,
            };
            // No later round can succeed.
            if let Some(stopped) = health::stop_error(&self.raft) {
                for waiter in waiters.drain(..) {
                    let _ = waiter.pass.send(Err(stopped.clone()));
                }
                return;
            }
            self.leadership.wait_to_retry(last).await;
            let now = Instant::now();
            for waiter in waiters.extract_if(.., |waiter| waiter.deadline <= now) {
                let _ = waiter.pass.send(Err(failure.clone()));
            }
            while waiters.len() < WAITING_MAX
                && let Ok(waiter) = queue.try_recv()
            {
                waiters.push(waiter);
            }
        }
    }

    /// One round: asks the leader to confirm, then waits for this node to catch up.
    ///
    /// The leader gets little time, since there may be a new one. Catching up may
    /// take as long as the readers can wait, because another round would only make
    /// the node wait for a later entry.
    async fn round(&self, last: Instant) -> Result<ClusterMs, StoreError> {
        let until = Instant::now() + CONFIRMATION;
        let unavailable = |why: String| StoreError::Unavailable(why);
        let (linearizer, time) = match self.leadership.current() {
            Leader::Me { term } => {
                let asked = timeout_at(until, self.raft.get_read_linearizer(ReadPolicy::ReadIndex));
                let linearizer = asked
                    .await
                    .map_err(|_| unavailable("no majority confirms the leader".to_owned()))?
                    .map_err(|error| unavailable(describe_refusal(&error)))?;
                let log_time = self.state.wait_for_log_time(term, until).await;
                let log_time = log_time.ok_or_else(|| unavailable(BEHIND.to_owned()))?;
                (linearizer, self.cluster_clock.now(term, log_time))
            }
            Leader::Peer { id, peer } => {
                let index = self
                    .network
                    .read_index(id, &peer, until)
                    .await
                    .map_err(|error| unavailable(error.to_string()))?;
                let read = ReadLogId::from_log_id(index.read);
                (Linearizer::new(index.node, read, index.applied), ClusterMs(index.cluster_ms))
            }
            Leader::Unknown => return Err(unavailable("no leader is known".to_owned())),
        };
        let left = last.saturating_duration_since(Instant::now());
        match linearizer.try_await_ready(&self.raft, Some(left)).await {
            Ok(Ok(_ready)) => Ok(time),
            Ok(Err(_behind)) => Err(unavailable(BEHIND.to_owned())),
            Err(fatal) => Err(unavailable(fatal.to_string())),
        }
    }
}

/// Explains openraft's refusal to the reader.
pub fn describe_refusal(
    error: &RaftError<TypeConfig, LinearizableReadError<TypeConfig>>,
) -> String {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(_)) => {
            "this node is no longer the leader".to_owned()
        }
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => {
            "no majority of the nodes answers".to_owned()
        }
        RaftError::Fatal(fatal) => fatal.to_string(),
    }
}
