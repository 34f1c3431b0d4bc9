//! One peer as openraft calls it: appends, votes, snapshots and transfers of
//! leadership.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use openraft::OptionalSend;
use openraft::alias::SnapshotOf;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{ReplicationClosed, StreamingError};
use openraft::network::{Backoff, RPCOption, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use super::connections::PeerConnections;
use super::failure::{RaftRpcError, invalid, within};
use super::{append_stream, conversion, snapshot_transfer};
use crate::store::raft::consensus::entry::Vote;
use crate::store::raft::consensus::options::{BACKOFF_MAX, BACKOFF_MIN};
use crate::store::raft::consensus::types::{NodeId, TypeConfig};
use crate::store::raft::snapshot::file::SnapshotFile;

/// A peer that openraft sends its messages to.
#[derive(Debug)]
pub struct RemotePeer {
    me: NodeId,
    target: NodeId,
    connections: Arc<PeerConnections>,
    /// Appends are single heartbeats, and go over the connection that nothing
    /// delays.
    heartbeats: bool,
    ack_timeout: Duration,
}

impl RemotePeer {
    pub(super) fn new(
        me: NodeId,
        target: NodeId,
        connections: Arc<PeerConnections>,
        heartbeats: bool,
        ack_timeout: Duration,
    ) -> Self {
        Self { me, target, connections, heartbeats, ack_timeout }
    }

    async fn heartbeat(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        limit: Duration,
    ) -> Result<StreamAppendResult<TypeConfig>, RaftRpcError> {
        let mut client = self.connections.control.clone();
        let reply = within(limit, client.heartbeat(conversion::encode_append(&request))).await?;
        conversion::decode_append_result(reply).map_err(invalid)
    }
}

impl RaftNetworkV2<TypeConfig> for RemotePeer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RaftRpcError> {
        let result = self.heartbeat(rpc, option.soft_ttl()).await?;
        Ok(result.into())
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RaftRpcError>>, RaftRpcError>,
    >
    where
        S: futures::Stream<Item = AppendEntriesRequest<TypeConfig>>
            + OptionalSend
            + Unpin
            + 'static,
    {
        Box::pin(async move {
            if !self.heartbeats {
                let client = self.connections.log.clone();
                return append_stream::send(client, input, self.ack_timeout).await;
            }
            // Openraft sends each heartbeat as one request and allows it this long.
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
    ) -> Result<VoteResponse<TypeConfig>, RaftRpcError> {
        let mut client = self.connections.control.clone();
        let call = client.vote(conversion::encode_vote_request(&rpc));
        conversion::decode_vote_reply(within(option.soft_ttl(), call).await?).map_err(invalid)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RaftRpcError> {
        let mut client = self.connections.control.clone();
        let call = client.pre_vote(conversion::encode_vote_request(&rpc));
        conversion::decode_vote_reply(within(option.soft_ttl(), call).await?).map_err(invalid)
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
        let client = self.connections.bulk.clone();
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = snapshot_transfer::send(client, vote, snapshot, option.soft_ttl()) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RaftRpcError> {
        let mut client = self.connections.control.clone();
        let call = client.transfer_leader(conversion::encode_transfer(&req));
        conversion::decode_transfer_result(within(option.soft_ttl(), call).await?).map_err(invalid)
    }

    fn backoff(&self) -> Option<Backoff> {
        let doubled = |wait: &Duration| Some((*wait * 2).min(BACKOFF_MAX));
        Some(Backoff::new(std::iter::successors(Some(BACKOFF_MIN), doubled)))
    }
}
