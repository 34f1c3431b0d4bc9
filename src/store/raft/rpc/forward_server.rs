//! Answers forwarded proposals: the items of all batches concurrently, and the
//! replies as they become ready, with all that are ready in one message.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, Streaming};

use super::conversion;
use super::handler::{PeerHandler, PeerRefusal};
use crate::proto::peer::{ForwardBatch, ForwardItem, ForwardReplies, ForwardReply};
use crate::store::raft::consensus::types::NodeId;

/// How many items of one peer are processed at once; further ones wait on the
/// connection.
const CONCURRENT_ITEMS_MAX: usize = 4_096;

/// The most replies in one message.
const REPLIES_MAX: usize = 512;

/// The longest time for an item, whatever its sender asks for.
const REMAINING_MAX: Duration = Duration::from_secs(600);

/// Answers `batches` from `from` until the peer ends them or its connection breaks.
pub(super) fn serve(
    handler: Arc<dyn PeerHandler>,
    from: NodeId,
    batches: Streaming<ForwardBatch>,
) -> impl Stream<Item = Result<ForwardReplies, Status>> + Send {
    batches
        .scan((), |(), batch| ready(batch.ok()))
        .flat_map(|batch| stream::iter(batch.items))
        .map(move |item| answer(handler.clone(), from, item))
        .buffer_unordered(CONCURRENT_ITEMS_MAX)
        .ready_chunks(REPLIES_MAX)
        .map(|replies| Ok(ForwardReplies { replies }))
}

async fn answer(handler: Arc<dyn PeerHandler>, from: NodeId, item: ForwardItem) -> ForwardReply {
    let remaining = Duration::from_millis(item.remaining_ms).min(REMAINING_MAX);
    let deadline = Instant::now() + remaining;
    let proposing = handler.forwarded(from, item.proposal, deadline);
    let result = match timeout_at(deadline, proposing).await {
        Ok(result) => result,
        // The proposal may be in the log by now.
        Err(_) => Err(PeerRefusal::Unknown("the deadline passed at the leader".into())),
    };
    conversion::encode_forwarded(item.id, result)
}
