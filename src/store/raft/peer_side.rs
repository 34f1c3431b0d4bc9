//! What this node does for its peers beside consensus: takes the commands that
//! they forward, confirms its leadership for their reads, and hands out the
//! history that they lack.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use openraft::ReadPolicy;
use tokio::time::Instant;

use super::history::History;
use super::leadership::Leader;
use super::network::{PeerHandler, ReadIndex, Refusal, RefusalCode};
use super::types::NodeId;
use super::write::{ForwardedError, Writes};
use crate::codec;
use crate::machine::Revision;

/// Events read from the archive at a time for a peer.
const HISTORY_EVENTS: u64 = 1_000;

/// Serves peers.
pub struct PeerSide {
    pub(super) writes: Arc<Writes>,
    pub(super) history: History,
}

#[async_trait]
impl PeerHandler for PeerSide {
    async fn forwarded(
        &self,
        _from: NodeId,
        item: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Refusal> {
        let request = codec::decode_request(&item)
            .map_err(|error| Refusal::refused(RefusalCode::Invalid, error.to_string()))?;
        match self.writes.forwarded(request, deadline).await {
            Ok(reply) => Ok(codec::encode_reply(&reply)),
            Err(ForwardedError::NotLeader(leader)) => Err(not_leader(leader)),
            Err(ForwardedError::Unknown(why)) => Err(Refusal::Unknown(why)),
        }
    }

    async fn read_index(&self) -> Result<ReadIndex, Refusal> {
        let writes = &self.writes;
        let term = match writes.leadership.now() {
            Leader::Me { term } => term,
            other @ (Leader::Peer { .. } | Leader::Nobody) => return Err(not_leader(other)),
        };
        let linearizer = writes
            .core
            .get_read_linearizer(ReadPolicy::ReadIndex)
            .await
            .map_err(|error| Refusal::refused(RefusalCode::Busy, error.to_string()))?;
        Ok(ReadIndex {
            node: *linearizer.node_id(),
            read: Some(*linearizer.read_log_id().log_id()),
            applied: linearizer.applied().copied(),
            cluster_ms: writes.office.now(term, writes.state.clock()).0,
        })
    }

    async fn history(
        &self,
        from: u64,
        to: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, Refusal>>, Refusal> {
        let history = self.history.clone();
        let pages = stream::try_unfold(from, move |next| {
            let history = history.clone();
            async move {
                if next > to {
                    return Ok(None);
                }
                let last = to.min(next + HISTORY_EVENTS - 1);
                let events = history
                    .range(Revision(next), Revision(last))
                    .await
                    .map_err(|error| Refusal::refused(RefusalCode::Fault, error.to_string()))?;
                let events: Vec<_> =
                    events.iter().map(|event| Ok(codec::encode_event(event))).collect();
                Ok::<_, Refusal>(Some((stream::iter(events), last + 1)))
            }
        });
        Ok(pages.try_flatten().boxed())
    }
}

fn not_leader(leader: Leader) -> Refusal {
    Refusal::NotLeader {
        leader: match leader {
            Leader::Peer { id, peer } => Some((id, peer)),
            Leader::Me { .. } | Leader::Nobody => None,
        },
    }
}
