//! One peer as openraft sees it: what it sends there and how it fails. Every
//! failure is `Unreachable`, so that openraft waits before it tries again.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use openraft::OptionalSend;
use openraft::alias::SnapshotOf;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tonic::{Response, Status};

use super::connections::PeerConnections;
use super::conversion::{self, MessageError};
use super::{append_stream, snapshot};
use crate::store::raft::consensus::entry::Vote;
use crate::store::raft::consensus::options::{BACKOFF_MAX, BACKOFF_MIN};
use crate::store::raft::consensus::types::{NodeId, TypeConfig};
use crate::store::raft::snapshot::file::SnapshotFile;

pub(super) type Rpc = RPCError<TypeConfig>;

/// A peer to send openraft's messages to.
#[derive(Debug)]
pub struct RemotePeer {
    me: NodeId,
    target: NodeId,
    lanes: Arc<PeerConnections>,
    /// Appends are single heartbeats and take the lane that nothing delays.
    heartbeats: bool,
    ack_timeout: Duration,
}

impl RemotePeer {
    pub(super) fn new(
        me: NodeId,
        target: NodeId,
        lanes: Arc<PeerConnections>,
        heartbeats: bool,
        ack_timeout: Duration,
    ) -> Self {
        Self { me, target, lanes, heartbeats, ack_timeout }
    }

    async fn heartbeat(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        limit: Duration,
    ) -> Result<StreamAppendResult<TypeConfig>, Rpc> {
        let mut client = self.lanes.control.clone();
        let reply = within(limit, client.heartbeat(conversion::append_out(&request))).await?;
        conversion::append_result_in(reply).map_err(nonsense)
    }
}

impl RaftNetworkV2<TypeConfig> for RemotePeer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, Rpc> {
        let result = self.heartbeat(rpc, option.soft_ttl()).await?;
        Ok(result.into())
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, Rpc>>, Rpc>>
    where
        S: futures::Stream<Item = AppendEntriesRequest<TypeConfig>>
            + OptionalSend
            + Unpin
            + 'static,
    {
        Box::pin(async move {
            if !self.heartbeats {
                let client = self.lanes.log.clone();
                return append_stream::send(client, input, self.ack_timeout).await;
            }
            // Openraft sends one request a heartbeat and allows it this long.
            let this = &*self;
            let limit = option.hard_ttl();
            let results = stream::poll_fn(move |cx| input.poll_next_unpin(cx))
                .then(move |request| this.heartbeat(request, limit));
            let results: BoxStream<'s, _> = Box::pin(results);
            Ok(results)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Rpc> {
        let mut client = self.lanes.control.clone();
        let call = client.vote(conversion::vote_request_out(&rpc));
        conversion::vote_reply_in(within(option.soft_ttl(), call).await?).map_err(nonsense)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, Rpc> {
        let mut client = self.lanes.control.clone();
        let call = client.pre_vote(conversion::vote_request_out(&rpc));
        conversion::vote_reply_in(within(option.soft_ttl(), call).await?).map_err(nonsense)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tracing::info!(
            from = self.me,
            to = self.target,
            bytes = snapshot.snapshot.bytes,
            "sending a snapshot"
        );
        let client = self.lanes.bulk.clone();
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = snapshot::send(client, vote, snapshot, option.soft_ttl()) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, Rpc> {
        let mut client = self.lanes.control.clone();
        let call = client.transfer_leader(conversion::transfer_out(&req));
        conversion::transfer_result_in(within(option.soft_ttl(), call).await?).map_err(nonsense)
    }

    fn backoff(&self) -> Option<Backoff> {
        let doubled = |wait: &Duration| Some((*wait * 2).min(BACKOFF_MAX));
        Some(Backoff::new(std::iter::successors(Some(BACKOFF_MIN), doubled)))
    }
}

/// What `call` brings within `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Rpc> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(failed(&status)),
        Err(_) => Err(unreachable(format!("no answer within {limit:?}"))),
    }
}

/// A transport's failure or a peer's refusal: both are worth waiting before
/// the next attempt.
pub(super) fn failed(status: &Status) -> Rpc {
    let (code, message) = (status.code(), status.message());
    unreachable(format!("{code:?}: {message}"))
}

pub(super) fn nonsense(error: MessageError) -> Rpc {
    unreachable(error.to_string())
}

pub(super) fn unreachable(reason: String) -> Rpc {
    RPCError::Unreachable(Unreachable::from_string(reason))
}
