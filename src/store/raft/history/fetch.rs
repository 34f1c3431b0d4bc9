//! Where a node's history has what it lacks from: its peers, over the network.
//! What they send is checked against the chain by the archive.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use tokio::time::{Instant, timeout_at};

use super::archive::{Run, Span};
use super::{HistorySource, PeerQuestion, SourceError};
use crate::codec;
use crate::machine::{Answer, Chain};
use crate::proto::peer::HistoryQuestion;
use crate::store::raft::consensus::leadership::Leadership;
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::rpc::PeerNetwork;

/// How long a peer may take; the caller has limits of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// The peers of a node. Until [`PeerHistorySource::follow`] it knows of none.
pub struct PeerHistorySource {
    network: PeerNetwork,
    leadership: OnceLock<Leadership>,
}

impl PeerHistorySource {
    /// Peers over `network`.
    pub fn new(network: PeerNetwork) -> PeerHistorySource {
        PeerHistorySource { network, leadership: OnceLock::new() }
    }

    /// Who the peers are, from now on; for once.
    pub fn follow(&self, leadership: Leadership) {
        // A second call would say the same.
        let _ = self.leadership.set(leadership);
    }

    fn peers(&self) -> Vec<(NodeId, Peer)> {
        self.leadership.get().map(Leadership::peers).unwrap_or_default()
    }

    /// Another peer at each turn.
    fn choose(&self, turn: u32) -> Result<(NodeId, Peer), SourceError> {
        let mut peers = self.peers();
        if peers.is_empty() {
            return Err(SourceError("there are no peers".to_owned()));
        }
        let at = turn as usize % peers.len();
        Ok(peers.swap_remove(at))
    }
}

#[async_trait]
impl HistorySource for PeerHistorySource {
    fn has_peers(&self) -> bool {
        !self.peers().is_empty()
    }

    async fn fetch(&self, span: Span, turn: u32) -> Result<Run, SourceError> {
        let (id, peer) = self.choose(turn)?;
        let until = Instant::now() + PATIENCE;
        let range = (span.first.0, span.last.0);
        let parts = self.network.history(id, &peer, range, until).await.map_err(failed)?;
        let parts = timeout_at(until, parts.try_collect::<Vec<Bytes>>());
        let parts = parts.await.map_err(failed)?.map_err(failed)?;
        let (before, events) = parts.split_first().ok_or_else(|| failed("nothing was sent"))?;
        let before = Chain(before.as_ref().try_into().map_err(failed)?);
        let events = events.iter().map(codec::decode_event).collect::<Result<_, _>>();
        Ok(Run { before, events: events.map_err(failed)? })
    }

    async fn ask(&self, question: PeerQuestion, turn: u32) -> Result<Answer, SourceError> {
        let (id, peer) = self.choose(turn)?;
        let asked = HistoryQuestion {
            question: codec::encode_question(&question.question),
            revision: question.revision.0,
            anchor: question.anchor.0,
        };
        let answer = self.network.ask_history(id, &peer, asked, Instant::now() + PATIENCE).await;
        codec::decode_answer(&answer.map_err(failed)?).map_err(failed)
    }
}

fn failed(error: impl ToString) -> SourceError {
    SourceError(error.to_string())
}
