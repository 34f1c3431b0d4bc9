//! What the store does for peers: it proposes the commands that they forward,
//! confirms its leadership for their reads, sends them the history that they lack,
//! and hears from them which calls clients have cancelled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use openraft::ReadPolicy;
use tokio::time::{Instant, timeout};

use super::handler::{PeerHandler, PeerRefusal, PeerRefusalCode, ReadIndex};
use crate::codec;
use crate::machine::Revision;
use crate::proto::peer::HistoryQuestion;
use crate::store::cluster::CallId;
use crate::store::raft::cancellation::CancellationForwarder;
use crate::store::raft::consensus::leadership::Leader;
use crate::store::raft::consensus::read;
use crate::store::raft::consensus::types::NodeId;
use crate::store::raft::consensus::write::{ProposeError, Proposer};
use crate::store::raft::history::archive::{ArchiveError, RevisionSpan};
use crate::store::raft::history::{History, PeerQuestion};

/// The size limit of one run of history that a peer fetches.
const HISTORY_BYTES_MAX: usize = 4 << 20;

/// How long a peer's question waits for this node to apply what the peer has
/// applied. After that, the peer asks another node.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The store as its peers call it.
pub struct NodeHandler {
    pub(crate) proposer: Arc<Proposer>,
    pub(crate) history: History,
    pub(crate) cancellations: Arc<CancellationForwarder>,
}

#[async_trait]
impl PeerHandler for NodeHandler {
    async fn forwarded(
        &self,
        _from: NodeId,
        proposal: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, PeerRefusal> {
        let request = codec::decode_forwarded(&proposal)
            .map_err(|error| PeerRefusal::refused(PeerRefusalCode::Invalid, error.to_string()))?;
        match self.proposer.propose_forwarded(request, deadline).await {
            Ok(reply) => Ok(codec::encode_reply(&reply)),
            Err(ProposeError::NotLeader(leader)) => Err(not_leader(leader)),
            Err(ProposeError::Unknown(why)) => Err(PeerRefusal::Unknown(why)),
        }
    }

    fn wall_ms(&self) -> u64 {
        self.proposer.cluster_clock.wall().0
    }

    async fn read_index(&self) -> Result<ReadIndex, PeerRefusal> {
        let proposer = &self.proposer;
        let term = match proposer.leadership.current() {
            Leader::Me { term } => term,
            other @ (Leader::Peer { .. } | Leader::Unknown) => return Err(not_leader(other)),
        };
        let linearizer =
            proposer.raft.get_read_linearizer(ReadPolicy::ReadIndex).await.map_err(|error| {
                PeerRefusal::refused(PeerRefusalCode::Busy, read::describe_refusal(&error))
            })?;
        let late = || {
            PeerRefusal::refused(PeerRefusalCode::Busy, "this node has only just become the leader")
        };
        let log_time = proposer.state.wait_for_log_time(term, Instant::now() + CATCH_UP).await;
        let log_time = log_time.ok_or_else(late)?;
        Ok(ReadIndex {
            node: *linearizer.node_id(),
            read: *linearizer.read_log_id().log_id(),
            applied: linearizer.applied().copied(),
            cluster_ms: proposer.cluster_clock.now(term, log_time).0,
        })
    }

    async fn history(
        &self,
        from: u64,
        to: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, PeerRefusal>>, PeerRefusal> {
        let span = RevisionSpan { first: Revision(from), last: Revision(to) };
        let run = self.history.range(span, HISTORY_BYTES_MAX).await.map_err(fault)?;
        let before = Bytes::copy_from_slice(&run.before.0);
        let events = run.events.into_iter().map(|event| codec::encode_event(&event));
        Ok(stream::iter(std::iter::once(before).chain(events).map(Ok)).boxed())
    }

    async fn ask_history(&self, asked: HistoryQuestion) -> Result<Bytes, PeerRefusal> {
        let question = codec::decode_question(&asked.question)
            .map_err(|error| PeerRefusal::refused(PeerRefusalCode::Invalid, error.to_string()))?;
        let (revision, anchor) = (Revision(asked.revision), Revision(asked.anchor));
        let asked = PeerQuestion { question, revision, anchor };
        let mut revision = self.proposer.state.revision();
        let reached = revision.wait_for(|revision| *revision >= asked.revision);
        if !matches!(timeout(CATCH_UP, reached).await, Ok(Ok(_))) {
            return Err(PeerRefusal::refused(PeerRefusalCode::Busy, "this node is behind"));
        }
        let state = self.proposer.state.load();
        let answer = self.history.answer_peer(&asked, state.tables.meta()).await;
        Ok(codec::encode_answer(&answer.map_err(fault)?))
    }

    fn cancelled(&self, call: &CallId) {
        self.cancellations.received(call);
    }
}

fn fault(error: ArchiveError) -> PeerRefusal {
    PeerRefusal::refused(PeerRefusalCode::Fault, error.to_string())
}

fn not_leader(leader: Leader) -> PeerRefusal {
    PeerRefusal::NotLeader {
        leader: match leader {
            Leader::Peer { id, peer } => Some((id, peer)),
            Leader::Me { .. } | Leader::Unknown => None,
        },
    }
}
