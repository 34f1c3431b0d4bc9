//! One node of the cluster as a [`Store`]: commands go to the log through the
//! [`Proposer`], questions are answered from the state that this node has
//! applied. How the node comes up is `start`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::clock::peer_status::PeerStatuses;
use super::consensus::applied::{AppliedState, LatestState};
use super::consensus::entry::LogId;
use super::consensus::health;
use super::consensus::leadership::{Leader, Leadership, RaftHandle};
use super::consensus::read::ReadBarrier;
use super::consensus::write::Proposer;
use super::data_dir::DataDir;
use super::history::History;
use super::log::LogStore;
use super::membership::admin::ClusterAdmin;
use super::membership::view::Expelled;
use super::offline::export::ExportSource;
use crate::machine::lookup::{self, Due};
use crate::machine::{Question, Reply, Revision, answer};
use crate::store::cluster::Cluster;
use crate::store::export::Export;
use crate::store::tables::Tables;
use crate::store::{Answered, Consistency, Health, Request, Store, StoreError};

/// How long a leader that stops waits for another node to take over.
const LEADER_TRANSFER: Duration = Duration::from_secs(2);

/// How long calls in progress may take after the leadership is transferred. Most
/// need a moment: their writes go to the new leader.
const DRAIN: Duration = Duration::from_secs(3);

/// One node of the cluster.
pub struct RaftStore {
    pub(super) cluster_name: String,
    /// Where clients reach this node's MCP endpoint; may be empty.
    pub(super) url: String,
    pub(super) raft: RaftHandle,
    pub(super) state: Arc<LatestState>,
    pub(super) proposer: Arc<Proposer>,
    pub(super) read_barrier: ReadBarrier,
    pub(super) history: History,
    pub(super) admin: Arc<ClusterAdmin>,
    pub(super) peer_statuses: PeerStatuses,
    pub(super) log: LogStore,
    pub(super) caught_up: Arc<AtomicBool>,
    pub(super) expelled: watch::Receiver<Option<Expelled>>,
    /// The calls in progress. Closed once the node stops.
    pub(super) calls: TaskTracker,
    /// Ends the exports in progress.
    pub(super) stop: CancellationToken,
    pub(super) _tasks: Vec<AbortOnDropHandle<()>>,
    pub(super) dir: DataDir,
}

#[async_trait]
impl Store for RaftStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        let _call = self.begin_call()?;
        self.proposer.submit(request, deadline).await
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        let _call = self.calls.token();
        let state = match consistency {
            Consistency::Linearizable => self.linearizable_state(deadline).await?,
            Consistency::Local => self.state.load(),
        };
        let age = self.read_barrier.age();
        let meta = state.tables.meta();
        if question.is_about_history() {
            let answer = self.history.answer(&question, meta, deadline).await?;
            return Ok(Answered { answer, revision: meta.revision, age });
        }
        let present = || self.proposer.cluster_clock.estimate(state.log_time());
        let now = match consistency {
            Consistency::Linearizable => question.answered_at(meta.clock, present()),
            Consistency::Local => present(),
        };
        let Ok(answer) = answer(&question, &state.tables, now);
        Ok(Answered { answer, revision: meta.revision, age })
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.state.revision()
    }

    async fn due(&self) -> Due {
        let Leader::Me { term } = self.proposer.leadership.current() else {
            return Due::default();
        };
        let Some(log_time) = self.state.log_time(term) else { return Due::default() };
        let state = self.state.load();
        let cluster_clock = &self.proposer.cluster_clock;
        let now = cluster_clock.now(term, log_time);
        let Ok(due) = lookup::due(&state.tables, now, cluster_clock.wall());
        due
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        let tables = self.linearizable_state(deadline).await?.tables.clone();
        let source = ExportSource { history: self.history.clone(), state: self.state.clone() };
        Ok(source.export(tables, self.stop.clone()))
    }

    async fn health(&self) -> Health {
        let caught_up = self.caught_up.load(Ordering::Acquire);
        let mut cluster = health::cluster(&self.raft, &self.cluster_name, caught_up);
        if let Some(own) = cluster.members.iter_mut().find(|m| m.id == cluster.node_id) {
            own.url.clone_from(&self.url);
        }
        for member in &mut cluster.members {
            member.clock_skew_ms = self.peer_statuses.clock_skew_ms(member.id);
        }
        cluster.protocol = self.proposer.protocol();
        let state = self.state.load();
        let meta = state.tables.meta();
        Health {
            backend: "raft",
            fault: self.fault(),
            warning: self.peer_statuses.warning(),
            revision: meta.revision,
            chain: meta.chain,
            state_bytes: meta.state_bytes,
            state_bytes_max: self.proposer.limits.bytes_max,
            cluster: Some(cluster),
        }
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(&*self.admin)
    }

    /// Transfers the leadership, answers the calls in progress, and stops.
    async fn close(&self) {
        self.calls.close();
        self.stop.cancel();
        self.admin.step_down(LEADER_TRANSFER).await;
        if timeout(DRAIN, self.calls.wait()).await.is_err() {
            tracing::warn!(calls = self.calls.len(), "gave up waiting for calls to finish");
        }
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        self.history.close().await;
        if let Err(error) = self.log.close().await {
            tracing::warn!(%error, "the log did not close cleanly");
        }
        if *self.expelled.borrow() == Some(Expelled::Removed)
            && let Err(error) = self.dir.retire()
        {
            tracing::warn!(%error, "could not record in the folder that the node was removed");
        }
    }
}

impl RaftStore {
    /// A state that holds everything that was committed before the call. Its
    /// clock has passed every deadline that had passed by then.
    async fn linearizable_state(&self, deadline: Instant) -> Result<Arc<AppliedState>, StoreError> {
        let _call = self.begin_call()?;
        let time = self.read_barrier.pass(deadline).await?;
        let state = self.state.load();
        let Ok(due) = lookup::next_deadline(&state.tables, state.tables.meta().clock);
        if due.is_none_or(|due| due > time) {
            return Ok(state);
        }
        // Log the time first: what one reader saw expire must not come back
        // under the next leader, whose clock may be behind.
        self.proposer.tick(deadline).await?;
        self.read_barrier.pass(deadline).await?;
        Ok(self.state.load())
    }

    /// The last log entry that this node has applied, and the state after it:
    /// for comparing replicas.
    pub fn applied(&self) -> (Option<LogId>, Tables) {
        let applied = self.state.load();
        (applied.log_id, applied.tables.clone())
    }

    /// The incarnation under which the cluster knows the folder of the member
    /// `node`. Once it is known, the node is never taken back with another one.
    pub fn incarnation_of(&self, node: u64) -> Option<u64> {
        self.admin.membership.incarnation_of(node)
    }

    /// Counts a call as in progress for as long as the returned token lives.
    /// Refuses calls that a node which is stopping, or has stopped at a fault,
    /// could only keep waiting.
    fn begin_call(&self) -> Result<TaskTrackerToken, StoreError> {
        // Take the token before checking: if the node closes in between, it
        // waits for this call.
        let call = self.calls.token();
        if self.calls.is_closed() {
            return Err(StoreError::Unavailable("the node is stopping".to_owned()));
        }
        if let Some(why) = *self.expelled.borrow() {
            return Err(StoreError::Unavailable(why.to_string()));
        }
        if !self.dir.is_founder() && Leadership::of(&self.raft).has_no_members() {
            let why = "this node belongs to no cluster yet; it waits for `cluster add`";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        health::stop_error(&self.raft).map_or(Ok(call), Err)
    }

    /// Why this node serves nobody, if that is so.
    fn fault(&self) -> Option<String> {
        let expelled = self.expelled.borrow().map(|why| why.to_string());
        expelled.or_else(|| health::stop_error(&self.raft).map(|stopped| stopped.to_string()))
    }

    /// Changes when the cluster has removed this node for good. Whoever runs the
    /// node then closes it.
    pub fn expelled(&self) -> watch::Receiver<Option<Expelled>> {
        self.expelled.clone()
    }
}
