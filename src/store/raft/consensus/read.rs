//! Linearizable reads on any node, by read index (section 6.4 of Ongaro's
//! thesis): the leader confirms that it still leads and says how far its log
//! was committed; once this node has applied that much, it may answer.
//!
//! One round serves all who waited when it began, so that reads cost the
//! leader a message each round and not each read.

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

/// Readers that may wait for a round; more wait to be let in.
const WAITING_MAX: usize = 4_096;

/// A leader that says nothing for longer is lost; whoever leads then is asked.
const ROUND: Duration = Duration::from_millis(500);

const BEHIND: &str = "this node has not applied yet what was committed";

/// Where readers are let through.
#[derive(Clone)]
pub struct ReadBarrier {
    waiting: mpsc::Sender<Waiter>,
    current: Current,
}

/// When the last round began that was passed: this node's state holds everything
/// that was committed by then.
type Current = Arc<Mutex<Option<Instant>>>;

struct Waiter {
    deadline: Instant,
    pass: oneshot::Sender<Result<ClusterMs, StoreError>>,
}

/// What a round needs.
pub struct ReadIndexRounds {
    pub(crate) raft: RaftHandle,
    pub(crate) leadership: Leadership,
    pub(crate) cluster_clock: ClusterClock,
    pub(crate) state: Arc<LatestState>,
    pub(crate) network: PeerNetwork,
}

impl ReadBarrier {
    /// Opens the gate. It closes when all clones of it are gone.
    pub fn open(rounds: ReadIndexRounds) -> ReadBarrier {
        let (waiting, queue) = mpsc::channel(WAITING_MAX);
        let current = Current::default();
        tokio::spawn(rounds.run(queue, current.clone()));
        ReadBarrier { waiting, current }
    }

    /// How old this node's state may be; none before the first round has passed.
    pub fn age(&self) -> Option<Duration> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.map(|began| began.elapsed())
    }

    /// Waits until this node's state holds everything that was committed when
    /// the call began, and returns the leader's cluster time at that moment.
    pub async fn pass(&self, deadline: Instant) -> Result<ClusterMs, StoreError> {
        let (pass, passed) = oneshot::channel();
        let closed = || StoreError::Unavailable("the node is stopping".to_owned());
        let passing = async {
            self.waiting.send(Waiter { deadline, pass }).await.map_err(|_| closed())?;
            passed.await.map_err(|_| closed())?
        };
        let late = || StoreError::Unavailable("no leader confirmed in time".to_owned());
        timeout_at(deadline, passing).await.unwrap_or_else(|_| Err(late()))
    }
}

impl ReadIndexRounds {
    async fn run(mut self, mut queue: mpsc::Receiver<Waiter>, current: Current) {
        let mut waiters = Vec::new();
        while queue.recv_many(&mut waiters, WAITING_MAX).await > 0 {
            self.serve(&mut waiters, &mut queue, &current).await;
        }
    }

    /// Runs rounds until every waiter has passed or is out of time. Whoever
    /// comes after a round that failed waits for the next one with the others.
    async fn serve(
        &mut self,
        waiters: &mut Vec<Waiter>,
        queue: &mut mpsc::Receiver<Waiter>,
        current: &Current,
    ) {
        while let Some(last) = waiters.iter().map(|waiter| waiter.deadline).max() {
            let began = Instant::now();
            let failure = match self.round(last).await {
                Ok(time) => {
                    *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
                    for waiter in waiters.drain(..) {
                        // A reader that has gone needs no answer.
                        let _ = waiter.pass.send(Ok(time));
                    }
                    return;
                }
                Err(failure) => failure,
            };
            // It cannot pass any more, however long it waits.
            if let Some(end) = health::end(&self.raft) {
                for waiter in waiters.drain(..) {
                    let _ = waiter.pass.send(Err(end.clone()));
                }
                return;
            }
            self.leadership.settle(last).await;
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

    /// One round: asks whoever leads, then waits for this node to catch up.
    ///
    /// The leader's word is asked for with little patience, since a new leader
    /// may be there; catching up with it with all that the readers have: asked
    /// again, the leader would only name a later point.
    async fn round(&self, last: Instant) -> Result<ClusterMs, StoreError> {
        let until = Instant::now() + ROUND;
        let unavailable = |why: String| StoreError::Unavailable(why);
        let (linearizer, time) = match self.leadership.now() {
            Leader::Me { term } => {
                let asked = timeout_at(until, self.raft.get_read_linearizer(ReadPolicy::ReadIndex));
                let linearizer = asked
                    .await
                    .map_err(|_| unavailable("no majority confirms the leader".to_owned()))?
                    .map_err(|error| unavailable(why_not(&error)))?;
                let logged = self.state.logged_by(term, until).await;
                let logged = logged.ok_or_else(|| unavailable(BEHIND.to_owned()))?;
                (linearizer, self.cluster_clock.now(term, logged))
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
            Leader::Nobody => return Err(unavailable("no leader is known".to_owned())),
        };
        let left = last.saturating_duration_since(Instant::now());
        match linearizer.try_await_ready(&self.raft, Some(left)).await {
            Ok(Ok(_ready)) => Ok(time),
            Ok(Err(_behind)) => Err(unavailable(BEHIND.to_owned())),
            Err(fatal) => Err(unavailable(fatal.to_string())),
        }
    }
}

/// What a reader is told of openraft's refusal.
pub fn why_not(error: &RaftError<TypeConfig, LinearizableReadError<TypeConfig>>) -> String {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(_)) => {
            "this node leads no more".to_owned()
        }
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => {
            "no majority of the nodes answers".to_owned()
        }
        RaftError::Fatal(fatal) => fatal.to_string(),
    }
}
