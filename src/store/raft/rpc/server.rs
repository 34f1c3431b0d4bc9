//! The gRPC service for peers: passes what they send to openraft and to the
//! [`PeerHandler`], and decides nothing itself.

use std::future::ready;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use openraft::storage::RaftStateMachine;
use tokio::sync::Semaphore;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::authentication::PeerIdentity;
use super::connections::MESSAGE_BYTES_MAX;
use super::handler::{PeerHandler, PeerRefusal};
use super::interceptor::{PeerAuthenticator, authenticated_peer};
use super::{conversion, forward_server, snapshot_transfer};
use crate::proto::peer::peer_server::{self, PeerServer};
use crate::proto::{peer, record};
use crate::store::cluster::CallId;
use crate::store::raft::consensus::types::TypeConfig;
use crate::store::raft::host::Environment;
use crate::store::raft::snapshot::file::SnapshotFile;

/// How many snapshots are received at once. Each costs disk space, and only one can
/// be the newest.
const CONCURRENT_SNAPSHOTS_MAX: usize = 1;

/// The most events of one message of history, and the size after which no further
/// event is added. With events of 1 MiB, a message stays far below
/// [`MESSAGE_BYTES_MAX`].
const HISTORY_EVENTS_MAX: usize = 1_024;
const HISTORY_BYTES_MAX: usize = 1024 * 1024;

type RpcResult<T> = Result<Response<T>, Status>;
type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service behind its interceptor.
pub type PeerService<SM> = InterceptedService<PeerServer<LocalNode<SM>>, PeerAuthenticator>;

/// Serves `raft` and `handler` to the peers of `identity`. Snapshots are received
/// into `folder`, in which the state machine keeps its own.
pub fn peer_service<SM>(
    raft: Raft<TypeConfig, SM>,
    handler: Arc<dyn PeerHandler>,
    identity: PeerIdentity,
    environment: Environment,
    folder: impl Into<PathBuf>,
) -> PeerService<SM>
where
    SM: RaftStateMachine<TypeConfig, SnapshotData = SnapshotFile>,
{
    let node = LocalNode {
        raft,
        handler,
        identity: identity.clone(),
        environment,
        folder: folder.into(),
        receiving: Arc::new(Semaphore::new(CONCURRENT_SNAPSHOTS_MAX)),
    };
    let server = PeerServer::new(node)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    InterceptedService::new(server, PeerAuthenticator::new(identity))
}

/// This node, as its peers call it.
pub struct LocalNode<SM: RaftStateMachine<TypeConfig>> {
    raft: Raft<TypeConfig, SM>,
    handler: Arc<dyn PeerHandler>,
    identity: PeerIdentity,
    environment: Environment,
    folder: PathBuf,
    receiving: Arc<Semaphore>,
}

#[async_trait]
impl<SM> peer_server::Peer for LocalNode<SM>
where
    SM: RaftStateMachine<TypeConfig, SnapshotData = SnapshotFile>,
{
    type AppendStream = Replies<peer::AppendReply>;
    type ForwardStream = Replies<peer::ForwardReplies>;
    type FetchHistoryStream = Replies<peer::HistoryChunk>;

    async fn hello(&self, _: Request<peer::HelloRequest>) -> RpcResult<peer::HelloReply> {
        // Copy what is needed: while the metrics are borrowed, openraft cannot
        // publish new ones.
        let (leader, membership) = {
            let metrics = self.raft.server_metrics();
            let now = metrics.borrow_watched();
            (now.current_leader, now.membership_config.clone())
        };
        let members = record::Membership::from(membership.membership()).members;
        Ok(Response::new(peer::HelloReply {
            cluster: self.identity.cluster().to_owned(),
            node: self.identity.node(),
            protocol: self.identity.protocol(),
            leader,
            members,
            voters: membership.voter_ids().collect(),
            incarnation: self.identity.incarnation(),
            url: self.identity.url().to_owned(),
            wall_ms: self.handler.wall_ms(),
        }))
    }

    async fn append(
        &self,
        request: Request<Streaming<peer::AppendRequest>>,
    ) -> RpcResult<Self::AppendStream> {
        authenticated_peer(&request)?;
        // Openraft's input cannot carry errors. So an error ends the input, and is
        // sent to the peer after the replies to the requests before it.
        let error = Arc::new(OnceLock::new());
        let first_error = error.clone();
        let requests = request
            .into_inner()
            .map(|message| message.and_then(|message| Ok(conversion::decode_append(message)?)))
            .scan((), move |(), request| {
                ready(request.map_err(|status| first_error.set(status)).ok())
            });
        let replies = self.raft.stream_append(requests).map(|result| match result {
            Ok(result) => Ok(conversion::encode_append_result(&result)),
            Err(fatal) => Err(Status::unavailable(fatal.to_string())),
        });
        let end = stream::poll_fn(move |_| {
            let status: Option<&Status> = error.get();
            std::task::Poll::Ready(status.cloned().map(Err))
        });
        Ok(Response::new(Box::pin(replies.chain(end.take(1)))))
    }

    async fn heartbeat(
        &self,
        request: Request<peer::AppendRequest>,
    ) -> RpcResult<peer::AppendReply> {
        authenticated_peer(&request)?;
        let request = conversion::decode_append(request.into_inner())?;
        // Use a stream of one request, because only a stream names the log id that
        // matched.
        let replies = self.raft.stream_append(stream::iter([request]));
        match std::pin::pin!(replies).next().await {
            Some(Ok(result)) => Ok(Response::new(conversion::encode_append_result(&result))),
            Some(Err(fatal)) => Err(Status::unavailable(fatal.to_string())),
            None => Err(Status::unavailable("raft has stopped")),
        }
    }

    async fn vote(&self, request: Request<peer::VoteRequest>) -> RpcResult<peer::VoteReply> {
        authenticated_peer(&request)?;
        let ask = conversion::decode_vote_request(request.into_inner())?;
        let reply = self.raft.vote(ask).await.map_err(stopped)?;
        Ok(Response::new(conversion::encode_vote_reply(&reply)))
    }

    async fn pre_vote(&self, request: Request<peer::VoteRequest>) -> RpcResult<peer::VoteReply> {
        authenticated_peer(&request)?;
        let ask = conversion::decode_vote_request(request.into_inner())?;
        let reply = self.raft.pre_vote(ask).await.map_err(stopped)?;
        Ok(Response::new(conversion::encode_vote_reply(&reply)))
    }

    async fn transfer_leader(
        &self,
        request: Request<peer::TransferLeaderRequest>,
    ) -> RpcResult<peer::TransferLeaderReply> {
        authenticated_peer(&request)?;
        let ask = conversion::decode_transfer(request.into_inner())?;
        let result = self.raft.handle_transfer_leader(ask).await;
        let result = result.map_err(stopped)?;
        Ok(Response::new(conversion::encode_transfer_result(&result)))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<peer::SnapshotPart>>,
    ) -> RpcResult<peer::SnapshotReply> {
        let from = authenticated_peer(&request)?;
        let Ok(_permit) = self.receiving.try_acquire() else {
            return Err(Status::resource_exhausted("another snapshot is being received"));
        };
        let into = (&self.environment, &*self.folder);
        let received = snapshot_transfer::receive(request.into_inner(), into, from).await;
        let received = received.inspect_err(|status| {
            let reason = status.message();
            tracing::warn!(from, reason, "a snapshot from a peer was refused");
        })?;
        // Install it in a task of its own: if the sender disconnects now, the file
        // must exist until openraft is done with it.
        let raft = self.raft.clone();
        let installing = tokio::spawn(async move {
            let snapshot = received.snapshot.clone();
            let index = snapshot.meta.last_log_id.map(|last| last.index);
            let installed = raft.install_full_snapshot(received.vote, snapshot).await;
            if installed.is_ok() {
                tracing::info!(from, index, "installed a snapshot");
            }
            installed
        });
        let reply = installing.await.map_err(stopped)?.map_err(stopped)?;
        Ok(Response::new(peer::SnapshotReply { vote: Some((&reply.vote).into()) }))
    }

    async fn forward(
        &self,
        request: Request<Streaming<peer::ForwardBatch>>,
    ) -> RpcResult<Self::ForwardStream> {
        let from = authenticated_peer(&request)?;
        let replies = forward_server::serve(self.handler.clone(), from, request.into_inner());
        Ok(Response::new(Box::pin(replies)))
    }

    async fn read_index(
        &self,
        request: Request<peer::ReadIndexRequest>,
    ) -> RpcResult<peer::ReadIndexReply> {
        authenticated_peer(&request)?;
        let index = self.handler.read_index().await;
        Ok(Response::new(conversion::encode_read_index(index)))
    }

    async fn fetch_history(
        &self,
        request: Request<peer::HistoryRange>,
    ) -> RpcResult<Self::FetchHistoryStream> {
        authenticated_peer(&request)?;
        let range = request.into_inner();
        let events = self.handler.history(range.from, range.to).await;
        let events = events.map_err(no_history)?;
        let chunks = stream::try_unfold(events, next_chunk);
        Ok(Response::new(Box::pin(chunks.map_err(no_history))))
    }

    async fn ask_history(
        &self,
        request: Request<peer::HistoryQuestion>,
    ) -> RpcResult<peer::HistoryAnswer> {
        authenticated_peer(&request)?;
        let answer = self.handler.ask_history(request.into_inner()).await.map_err(no_history)?;
        Ok(Response::new(peer::HistoryAnswer { answer }))
    }

    async fn cancel(&self, request: Request<peer::CancelRequest>) -> RpcResult<peer::CancelReply> {
        authenticated_peer(&request)?;
        let peer::CancelRequest { session, request_id } = request.into_inner();
        let call = CallId::new(session, request_id)
            .ok_or_else(|| Status::invalid_argument("the name of the call is too long"))?;
        self.handler.cancelled(&call);
        Ok(Response::new(peer::CancelReply {}))
    }
}

type Events = stream::BoxStream<'static, Result<bytes::Bytes, PeerRefusal>>;

/// Collects as many events as one message may hold.
async fn next_chunk(
    mut events: Events,
) -> Result<Option<(peer::HistoryChunk, Events)>, PeerRefusal> {
    let mut chunk = peer::HistoryChunk::default();
    let mut bytes = 0;
    while bytes < HISTORY_BYTES_MAX && chunk.events.len() < HISTORY_EVENTS_MAX {
        let Some(event) = events.try_next().await? else {
            break;
        };
        bytes += event.len();
        chunk.events.push(event);
    }
    Ok((!chunk.events.is_empty()).then_some((chunk, events)))
}

fn no_history(refusal: PeerRefusal) -> Status {
    Status::unavailable(refusal.to_string())
}

fn stopped(error: impl std::error::Error) -> Status {
    Status::unavailable(error.to_string())
}
