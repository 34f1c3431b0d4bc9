//! The replicated store: one state on several nodes, decided by one log.
//!
//! ```text
//!            submit                                ask
//!              │                                    │
//!   write: propose here, or           read: one round confirms the leader
//!   forward to the leader              for all who wait, then this node
//!              │                       answers from its own state
//!              ▼                                    ▲
//!   openraft ── log (write-ahead, fdatasync) ── network (peers, gRPC)
//!              │ committed entries                  │
//!              ▼                                    │
//!   state_machine: decide ──► tables, swapped whole ┘
//!              └──► history: newest in memory, older in the archive
//! ```
//!
//! What it promises: a command that was answered is in the log of a majority,
//! on disk, before the answer; commands and linearizable questions are
//! linearizable on every node; a change of leader is a delay and never a wrong
//! answer. What it needs: a majority of the nodes, and disks that keep what
//! `fdatasync` said they keep.

mod blocking;
pub mod clock;
pub mod consensus;
mod data_dir;
mod disk;
pub mod history;
pub mod log;
pub mod membership;
pub mod offline;
#[cfg(feature = "simulation")]
pub mod planted;
pub mod rpc;
pub mod snapshot;
mod start;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use clock::skew::ClockSkews;
use consensus::applied::{self, State};
use consensus::health;
use consensus::leadership::{Core, Leader, Leadership};
use consensus::read::ReadBarrier;
use consensus::write::Writes;
use data_dir::DataDir;
use history::History;
use log::LogStore;
use membership::change::MembershipChanges;
use membership::view::Expelled;
use offline::export::ExportSource;
pub use start::{Options, Peers, StartError, Started};

use super::cluster::Cluster;
use super::export::Export;
use super::{Answered, Consistency, Health, Request, Store, StoreError};
use crate::machine::{Question, Reply, Revision, answer, lookup};

/// How long a leader that stops waits for another to take over.
const HAND_OVER: Duration = Duration::from_secs(2);

/// How long calls under way may take then. Most need a moment: their writes go
/// to the new leader.
const DRAIN: Duration = Duration::from_secs(3);

/// One node of the cluster.
pub struct RaftStore {
    cluster_name: String,
    url: String,
    core: Core,
    state: Arc<State>,
    writes: Arc<Writes>,
    gate: ReadBarrier,
    history: History,
    changes: Arc<MembershipChanges>,
    skews: ClockSkews,
    log: LogStore,
    caught_up: Arc<AtomicBool>,
    expelled: watch::Receiver<Option<Expelled>>,
    /// Those under way. Closed once the node stops.
    calls: TaskTracker,
    /// Ends the exports that are under way.
    stop: CancellationToken,
    _tasks: Vec<AbortOnDropHandle<()>>,
    dir: DataDir,
}

#[async_trait]
impl Store for RaftStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        let _call = self.take_in()?;
        self.writes.submit(request, deadline).await
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        let _call = self.calls.token();
        let state = match consistency {
            Consistency::Linearizable => self.newest(deadline).await?,
            Consistency::Local => self.state.load(),
        };
        let age = self.gate.age();
        let meta = state.tables.meta();
        if question.is_about_history() {
            let answer = self.history.answer(&question, meta, deadline).await?;
            return Ok(Answered { answer, revision: meta.revision, age });
        }
        let now = match consistency {
            Consistency::Linearizable => meta.clock,
            Consistency::Local => self.writes.cluster_clock.estimate(state.logged()),
        };
        let Ok(answer) = answer(&question, &state.tables, now);
        Ok(Answered { answer, revision: meta.revision, age })
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.state.revision()
    }

    async fn sweep_due(&self) -> bool {
        let Leader::Me { term } = self.writes.leadership.now() else { return false };
        let Some(logged) = self.state.logged(term) else { return false };
        let state = self.state.load();
        let now = self.writes.cluster_clock.now(term, logged);
        let Ok(due) = lookup::is_due(&state.tables, now);
        due
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        let tables = self.newest(deadline).await?.tables.clone();
        let source = ExportSource { history: self.history.clone(), state: self.state.clone() };
        Ok(source.export(tables, self.stop.clone()))
    }

    async fn health(&self) -> Health {
        let caught_up = self.caught_up.load(Ordering::Acquire);
        let mut cluster = health::cluster(&self.core, &self.cluster_name, caught_up);
        if let Some(itself) = cluster.members.iter_mut().find(|m| m.id == cluster.node_id) {
            itself.url.clone_from(&self.url);
        }
        for member in &mut cluster.members {
            member.clock_skew_ms = self.skews.of(member.id);
        }
        cluster.warning = self.skews.warning();
        cluster.protocol = self.writes.protocol();
        let state = self.state.load();
        let meta = state.tables.meta();
        Health {
            backend: "raft",
            fault: self.fault(),
            revision: meta.revision,
            chain: meta.chain,
            state_bytes: meta.state_bytes,
            state_bytes_max: self.writes.state_bytes_max,
            cluster: Some(cluster),
        }
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }

    /// PoolWorker leadership over, answers what is under way and stops.
    async fn close(&self) {
        self.calls.close();
        self.stop.cancel();
        self.hand_over().await;
        if timeout(DRAIN, self.calls.wait()).await.is_err() {
            tracing::warn!(calls = self.calls.len(), "gave up waiting for calls to finish");
        }
        if let Err(error) = self.core.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        self.history.close().await;
        if let Err(error) = self.log.close().await {
            tracing::warn!(%error, "the log did not close cleanly");
        }
        if *self.expelled.borrow() == Some(Expelled::Removed)
            && let Err(error) = self.dir.retire()
        {
            tracing::warn!(%error, "that the node was removed is not written down");
        }
    }
}

impl RaftStore {
    /// A state that holds everything committed before the call, judged by a
    /// log's clock that has passed every deadline which had passed by then.
    async fn newest(&self, deadline: Instant) -> Result<Arc<applied::Applied>, StoreError> {
        let _call = self.take_in()?;
        #[cfg(feature = "simulation")]
        if planted::is(planted::Bug::ReadUnconfirmed) {
            return Ok(self.state.load());
        }
        let time = self.gate.pass(deadline).await?;
        let state = self.state.load();
        let Ok(due) = lookup::next_deadline(&state.tables, state.tables.meta().clock);
        if due.is_none_or(|due| due > time) {
            return Ok(state);
        }
        // Log it first: what one reader saw expire must not come back under
        // the next leader, whose clock may be behind.
        self.writes.tick(deadline).await?;
        self.gate.pass(deadline).await?;
        Ok(self.state.load())
    }

    /// What this node has applied: its last entry and the state after it.
    #[cfg(feature = "simulation")]
    pub fn applied(&self) -> (Option<consensus::entry::LogId>, crate::store::tables::Tables) {
        let applied = self.state.load();
        (applied.log_id, applied.tables.clone())
    }

    /// By which folder the cluster knows the member `node`: from then on it is
    /// never taken back without it.
    pub fn incarnation_of(&self, node: u64) -> Option<u64> {
        self.changes.membership.incarnation_of(node)
    }

    /// Counts a call as under way for as long as what is returned lives. Refuses
    /// what a node that is stopping, or has stopped at a fault, could only keep
    /// waiting.
    fn take_in(&self) -> Result<TaskTrackerToken, StoreError> {
        // Counted before it looks: a node that closes in between waits for it.
        let call = self.calls.token();
        if self.calls.is_closed() {
            return Err(StoreError::Unavailable("the node is stopping".to_owned()));
        }
        if let Some(why) = *self.expelled.borrow() {
            return Err(StoreError::Unavailable(why.to_string()));
        }
        if !self.dir.is_founder() && Leadership::of(&self.core).has_no_members() {
            let why = "this node belongs to no cluster yet; it waits for `cluster add`";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        health::end(&self.core).map_or(Ok(call), Err)
    }

    /// Why this node serves nobody, if so.
    fn fault(&self) -> Option<String> {
        let expelled = self.expelled.borrow().map(|why| why.to_string());
        expelled.or_else(|| health::end(&self.core).map(|end| end.to_string()))
    }

    /// Tells when the cluster goes on without this node, for good. Whoever runs
    /// the node then closes it.
    pub fn expelled(&self) -> watch::Receiver<Option<Expelled>> {
        self.expelled.clone()
    }

    /// Lets the voter that has most of the log lead, if this node does.
    async fn hand_over(&self) {
        let mut leadership = Leadership::of(&self.core);
        let Leader::Me { .. } = leadership.now() else { return };
        let Some(heir) = health::heir(&self.core) else { return };
        if let Err(error) = self.core.trigger().transfer_leader(heir).await {
            tracing::warn!(heir, %error, "leadership was not handed over");
            return;
        }
        let handed = async {
            let until = Instant::now() + HAND_OVER;
            while matches!(leadership.now(), Leader::Me { .. }) && leadership.settle(until).await {}
        };
        if timeout(HAND_OVER, handed).await.is_err() {
            tracing::warn!(heir, "leadership was not handed over in time");
        }
    }
}
