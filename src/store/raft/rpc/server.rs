//! The answering side: what peers send, handed to openraft and to the
//! [`PeerHandler`]. Nothing is decided here.

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
use super::interceptor::{PeerAuthenticator, sender};
use super::{conversion, forward_server, snapshot};
use crate::proto::peer::peer_server::{self, PeerServer};
use crate::proto::{peer, record};
use crate::store::raft::consensus::types::TypeConfig;
use crate::store::raft::snapshot::file::SnapshotFile;

/// Snapshots taken in at once: each costs disk, and only one can be the newest.
const SNAPSHOTS_AT_ONCE: usize = 1;

/// Events of one message of history, and what else ends it: together a message
/// stays far below [`MESSAGE_BYTES_MAX`] with events of 1 MiB.
const HISTORY_EVENTS_MAX: usize = 1_024;
const HISTORY_BYTES_MAX: usize = 1024 * 1024;

type Reply<T> = Result<Response<T>, Status>;
type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a listener serves to peers.
pub type PeerService<SM> = InterceptedService<PeerServer<LocalNode<SM>>, PeerAuthenticator>;

/// Serves `raft` and `handler` to the peers of `identity`; received snapshots
/// are put together in `folder`, the one where the state machine keeps its own.
pub fn peer_service<SM>(
    raft: Raft<TypeConfig, SM>,
    handler: Arc<dyn PeerHandler>,
    identity: PeerIdentity,
    folder: impl Into<PathBuf>,
) -> PeerService<SM>
where
    SM: RaftStateMachine<TypeConfig, SnapshotData = SnapshotFile>,
{
    let node = LocalNode {
        raft,
        handler,
        identity: identity.clone(),
        folder: folder.into(),
        receiving: Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE)),
    };
    let server = PeerServer::new(node)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    InterceptedService::new(server, PeerAuthenticator::new(identity))
}

/// This node, as its peers reach it.
pub struct LocalNode<SM: RaftStateMachine<TypeConfig>> {
    raft: Raft<TypeConfig, SM>,
    handler: Arc<dyn PeerHandler>,
    identity: PeerIdentity,
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

    async fn hello(&self, _: Request<peer::HelloRequest>) -> Reply<peer::HelloReply> {
        // Copied at once: whoever holds it stops openraft from publishing.
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
    ) -> Reply<Self::AppendStream> {
        sender(&request)?;
        // Openraft takes requests and nothing else, so an error ends its input
        // and is told to the peer after the replies to what came before.
        let broken = Arc::new(OnceLock::new());
        let noted = broken.clone();
        let requests = request
            .into_inner()
            .map(|message| message.and_then(|message| Ok(conversion::append_in(message)?)))
            .scan((), move |(), request| ready(request.map_err(|status| noted.set(status)).ok()));
        let replies = self.raft.stream_append(requests).map(|result| match result {
            Ok(result) => Ok(conversion::append_result_out(&result)),
            Err(fatal) => Err(Status::unavailable(fatal.to_string())),
        });
        let end = stream::poll_fn(move |_| {
            let status: Option<&Status> = broken.get();
            std::task::Poll::Ready(status.cloned().map(Err))
        });
        Ok(Response::new(Box::pin(replies.chain(end.take(1)))))
    }

    async fn heartbeat(&self, request: Request<peer::AppendRequest>) -> Reply<peer::AppendReply> {
        sender(&request)?;
        let request = conversion::append_in(request.into_inner())?;
        // As a stream of one, because only that names the log id that matched.
        let replies = self.raft.stream_append(stream::iter([request]));
        match std::pin::pin!(replies).next().await {
            Some(Ok(result)) => Ok(Response::new(conversion::append_result_out(&result))),
            Some(Err(fatal)) => Err(Status::unavailable(fatal.to_string())),
            None => Err(Status::unavailable("raft has stopped")),
        }
    }

    async fn vote(&self, request: Request<peer::VoteRequest>) -> Reply<peer::VoteReply> {
        sender(&request)?;
        let ask = conversion::vote_request_in(request.into_inner())?;
        let reply = self.raft.vote(ask).await.map_err(stopped)?;
        Ok(Response::new(conversion::vote_reply_out(&reply)))
    }

    async fn pre_vote(&self, request: Request<peer::VoteRequest>) -> Reply<peer::VoteReply> {
        sender(&request)?;
        let ask = conversion::vote_request_in(request.into_inner())?;
        let reply = self.raft.pre_vote(ask).await.map_err(stopped)?;
        Ok(Response::new(conversion::vote_reply_out(&reply)))
    }

    async fn transfer_leader(
        &self,
        request: Request<peer::TransferLeaderRequest>,
    ) -> Reply<peer::TransferLeaderReply> {
        sender(&request)?;
        let ask = conversion::transfer_in(request.into_inner())?;
        let result = self.raft.handle_transfer_leader(ask).await;
        let result = result.map_err(stopped)?;
        Ok(Response::new(conversion::transfer_result_out(&result)))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<peer::SnapshotPart>>,
    ) -> Reply<peer::SnapshotReply> {
        let from = sender(&request)?;
        let Ok(_permit) = self.receiving.try_acquire() else {
            return Err(Status::resource_exhausted("another snapshot is coming in"));
        };
        let received = snapshot::receive(request.into_inner(), &self.folder, from).await;
        let received = received.inspect_err(|status| {
            let reason = status.message();
            tracing::warn!(from, reason, "a snapshot from a peer was refused");
        })?;
        // In a task of its own: when the sender goes away now, the file must
        // stay until openraft is done with it.
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
    ) -> Reply<Self::ForwardStream> {
        let from = sender(&request)?;
        let replies = forward_server::serve(self.handler.clone(), from, request.into_inner());
        Ok(Response::new(Box::pin(replies)))
    }

    async fn read_index(
        &self,
        request: Request<peer::ReadIndexRequest>,
    ) -> Reply<peer::ReadIndexReply> {
        sender(&request)?;
        let index = self.handler.read_index().await;
        Ok(Response::new(conversion::read_index_out(index)))
    }

    async fn fetch_history(
        &self,
        request: Request<peer::HistoryRange>,
    ) -> Reply<Self::FetchHistoryStream> {
        sender(&request)?;
        let range = request.into_inner();
        let events = self.handler.history(range.from, range.to).await;
        let events = events.map_err(no_history)?;
        let chunks = stream::try_unfold(events, next_chunk);
        Ok(Response::new(Box::pin(chunks.map_err(no_history))))
    }

    async fn ask_history(
        &self,
        request: Request<peer::HistoryQuestion>,
    ) -> Reply<peer::HistoryAnswer> {
        sender(&request)?;
        let answer = self.handler.ask_history(request.into_inner()).await.map_err(no_history)?;
        Ok(Response::new(peer::HistoryAnswer { answer }))
    }
}

type Events = stream::BoxStream<'static, Result<bytes::Bytes, PeerRefusal>>;

/// As many events as one message may hold.
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
