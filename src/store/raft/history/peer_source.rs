//! The node's peers as a source of history. The archive checks what they send
//! against the chain.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use tokio::time::{Instant, timeout_at};

use super::archive::{EventRun, RevisionSpan};
use super::source::{HistorySource, HistorySourceError, PeerQuestion};
use crate::codec;
use crate::machine::{Answer, Chain};
use crate::proto::peer::HistoryQuestion;
use crate::store::raft::consensus::leadership::Leadership;
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::rpc::PeerNetwork;

/// How long a peer may take. The caller has limits of its own.
const PEER_TIMEOUT: Duration = Duration::from_secs(10);

/// The peers of a node. There are none until [`PeerHistorySource::follow`].
pub struct PeerHistorySource {
    network: PeerNetwork,
    leadership: OnceLock<Leadership>,
}

impl PeerHistorySource {
    /// A source that reaches peers over `network`.
    pub fn new(network: PeerNetwork) -> PeerHistorySource {
        PeerHistorySource { network, leadership: OnceLock::new() }
    }

    /// Follows the membership from now on. The history must exist before openraft
    /// does, so the source learns later where to find its peers.
    pub fn follow(&self, leadership: Leadership) {
        // A second call would set the same value.
        let _ = self.leadership.set(leadership);
    }

    fn peers(&self) -> Vec<(NodeId, Peer)> {
        self.leadership.get().map(Leadership::peers).unwrap_or_default()
    }

    /// Chooses another peer for each attempt.
    fn choose(&self, attempt: u32) -> Result<(NodeId, Peer), HistorySourceError> {
        let mut peers = self.peers();
        if peers.is_empty() {
            return Err(HistorySourceError("there are no peers".to_owned()));
        }
        let at = attempt as usize % peers.len();
        Ok(peers.swap_remove(at))
    }
}

#[async_trait]
impl HistorySource for PeerHistorySource {
    fn has_peers(&self) -> bool {
        !self.peers().is_empty()
    }

    async fn fetch(
        &self,
        span: RevisionSpan,
        attempt: u32,
    ) -> Result<EventRun, HistorySourceError> {
        let (id, peer) = self.choose(attempt)?;
        let until = Instant::now() + PEER_TIMEOUT;
        let range = (span.first.0, span.last.0);
        let parts = self.network.history(id, &peer, range, until).await.map_err(failed)?;
        let parts = timeout_at(until, parts.try_collect::<Vec<Bytes>>());
        let parts = parts.await.map_err(failed)?.map_err(failed)?;
        let (before, events) = parts.split_first().ok_or_else(|| failed("nothing was sent"))?;
        let before = Chain(before.as_ref().try_into().map_err(failed)?);
        let events = events.iter().map(codec::decode_event).collect::<Result<_, _>>();
        Ok(EventRun { before, events: events.map_err(failed)? })
    }

    async fn ask(
        &self,
        question: PeerQuestion,
        attempt: u32,
    ) -> Result<Answer, HistorySourceError> {
        let (id, peer) = self.choose(attempt)?;
        let asked = HistoryQuestion {
            question: codec::encode_question(&question.question),
            revision: question.revision.0,
            anchor: question.anchor.0,
        };
        let answer =
            self.network.ask_history(id, &peer, asked, Instant::now() + PEER_TIMEOUT).await;
        codec::decode_answer(&answer.map_err(failed)?).map_err(failed)
    }
}

fn failed(error: impl ToString) -> HistorySourceError {
    HistorySourceError(error.to_string())
}
