//! Nodes on loopback. Each has a runtime of its own, so that killing one ends all
//! its tasks and connections at once, like the death of a process.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use mcp_state_sidecar::proto::peer::HistoryQuestion;
use mcp_state_sidecar::store::raft::consensus::options;
use mcp_state_sidecar::store::raft::consensus::types::{NodeId, Peer, Proposal, TypeConfig};
use mcp_state_sidecar::store::raft::host::{Dial, Duplex, Environment, Tcp};
use mcp_state_sidecar::store::raft::rpc::{
    Options, PeerHandler, PeerIdentity, PeerNetwork, PeerRefusal, PeerRefusalCode, ReadIndex,
    peer_service, server_builder,
};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{Raft, ReadPolicy};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{Body as HttpBody, Service};
use tonic::server::NamedService;

use crate::store::{Log, Machine};

pub const CLUSTER: &str = "test";
pub const SECRET: &str = "s3cret";
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The address and the disk of a node, which outlive it.
pub struct Place {
    pub id: NodeId,
    pub addr: SocketAddr,
    pub log: Log,
    pub machine: Machine,
    /// While set, appends reach the node and are never acknowledged.
    pub ignores_appends: Arc<AtomicBool>,
    append_ignored: Arc<AtomicBool>,
    /// While set, forwarded items are proposed and get no reply.
    pub withholds_replies: Arc<AtomicBool>,
    reply_withheld: Arc<AtomicBool>,
    /// How many connections the node has tried to make.
    pub dialed: Arc<AtomicUsize>,
    pub options: Options,
    node: Option<Node>,
    _folder: tempfile::TempDir,
}

struct Node {
    raft: Raft<TypeConfig, Machine>,
    network: PeerNetwork,
    runtime: Runtime,
}

impl Place {
    pub fn new(id: NodeId) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = Options { ack_timeout: Duration::from_millis(700), ..Options::default() };
        Self {
            id,
            addr,
            log: Log::default(),
            machine: Machine::new(folder.path().to_owned()),
            ignores_appends: Arc::default(),
            append_ignored: Arc::default(),
            withholds_replies: Arc::default(),
            reply_withheld: Arc::default(),
            dialed: Arc::default(),
            options,
            node: None,
            _folder: folder,
        }
    }

    pub fn peer(&self) -> Peer {
        Peer::at(self.addr.to_string())
    }

    pub fn identity(&self) -> PeerIdentity {
        PeerIdentity::new(CLUSTER, self.id, Some(SECRET)).unwrap()
    }

    /// Whether the node has ignored an append.
    pub fn append_ignored(&self) -> bool {
        self.append_ignored.load(Ordering::SeqCst)
    }

    /// Whether the node has withheld a reply.
    pub fn reply_withheld(&self) -> bool {
        self.reply_withheld.load(Ordering::SeqCst)
    }

    pub fn raft(&self) -> Raft<TypeConfig, Machine> {
        self.node.as_ref().expect("the node runs").raft.clone()
    }

    pub fn network(&self) -> PeerNetwork {
        self.node.as_ref().expect("the node runs").network.clone()
    }

    pub async fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let dial = Arc::new(CountingDial(self.dialed.clone()));
        let network = PeerNetwork::with_dial(self.identity(), self.options.clone(), dial);
        let config = options::Options { keep_entries: 10, ..options::Options::default() };
        let config = config.config(CLUSTER).unwrap();
        let (id, log, machine) = (self.id, self.log.clone(), self.machine.clone());
        let sending = network.clone();
        let raft = runtime.spawn(Raft::new(id, config, sending, log, machine));
        let raft = raft.await.unwrap().unwrap();
        let handler = Arc::new(ProposingHandler {
            raft: raft.clone(),
            withholds_replies: self.withholds_replies.clone(),
            reply_withheld: self.reply_withheld.clone(),
        });
        let folder = self.machine.folder.clone();
        let service =
            peer_service(raft.clone(), handler, self.identity(), Environment::system(), folder);
        let service = IgnoreAppends {
            inner: service,
            ignores_appends: self.ignores_appends.clone(),
            append_ignored: self.append_ignored.clone(),
        };
        let addr = self.addr;
        // The port of a node that was just killed may take a moment to become free.
        let bound =
            within(async || runtime.spawn(tokio::net::TcpListener::bind(addr)).await.unwrap().ok());
        let incoming = TcpListenerStream::new(bound.await)
            .map(|stream| stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)));
        let mut server = server_builder(Duration::from_secs(2));
        runtime.spawn(server.add_service(service).serve_with_incoming(incoming));
        self.node = Some(Node { raft, network, runtime });
    }

    pub fn kill(&mut self) {
        let node = self.node.take().expect("the node runs");
        node.runtime.shutdown_background();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            node.runtime.shutdown_background();
        }
    }
}

/// Starts `N` nodes of one cluster, and waits until a leader is elected.
pub async fn cluster<const N: usize>() -> [Place; N] {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let shown = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer();
    // Another test of this process may have set it already.
    let _ = shown.try_init();
    let mut places: [Place; N] = std::array::from_fn(|n| Place::new(n as NodeId + 1));
    for place in &mut places {
        place.start().await;
    }
    let members: BTreeMap<_, _> = places.iter().map(|p| (p.id, p.peer())).collect();
    places[0].raft().initialize(members).await.unwrap();
    leader(&places).await;
    places
}

/// The position of the leader on which all running nodes agree.
pub async fn leader(places: &[Place]) -> usize {
    within(async || {
        let running: Vec<_> = places.iter().filter(|place| place.node.is_some()).collect();
        let mut leaders = Vec::new();
        for place in running {
            leaders.push(place.raft().current_leader().await?);
        }
        let leader = *leaders.first()?;
        let at = places.iter().position(|p| p.id == leader && p.node.is_some())?;
        leaders.iter().all(|id| *id == leader).then_some(at)
    })
    .await
}

/// Calls `probe` until it returns something.
pub async fn within<T>(mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes through the leader, and tries again while it refuses: on a busy machine, a
/// leader that has not heard from its followers refuses writes for a moment, and
/// these are in no log.
pub async fn write(place: &Place, item: impl Into<Bytes>) {
    let item = item.into();
    within(async || match place.raft().client_write(Proposal(item.clone())).await {
        Ok(_) => Some(()),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => None,
        Err(error) => panic!("{error}"),
    })
    .await;
}

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Dials over TCP, and counts.
#[derive(Debug)]
struct CountingDial(Arc<AtomicUsize>);

#[async_trait]
impl Dial for CountingDial {
    async fn dial(&self, addr: &str) -> std::io::Result<Box<dyn Duplex>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Tcp.dial(addr).await
    }
}

/// Proposes what is forwarded and replies with it.
struct ProposingHandler {
    raft: Raft<TypeConfig, Machine>,
    withholds_replies: Arc<AtomicBool>,
    reply_withheld: Arc<AtomicBool>,
}

#[async_trait]
impl PeerHandler for ProposingHandler {
    async fn forwarded(&self, _: NodeId, item: Bytes, _: Instant) -> Result<Bytes, PeerRefusal> {
        let written = self.raft.client_write(Proposal(item.clone())).await;
        if self.withholds_replies.load(Ordering::SeqCst) {
            self.reply_withheld.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        match written {
            Ok(_) => Ok(item),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Err(PeerRefusal::NotLeader { leader: to.leader_id.zip(to.leader_node) })
            }
            Err(error) => Err(PeerRefusal::Unknown(error.to_string())),
        }
    }

    async fn read_index(&self) -> Result<ReadIndex, PeerRefusal> {
        match self.raft.get_read_log_id(ReadPolicy::ReadIndex).await {
            Ok((read, applied)) => Ok(ReadIndex {
                node: *self.raft.node_id(),
                read: *read.log_id(),
                applied,
                cluster_ms: 7,
            }),
            Err(error) => Err(PeerRefusal::refused(PeerRefusalCode::Busy, error.to_string())),
        }
    }

    async fn history(
        &self,
        from: u64,
        to: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, PeerRefusal>>, PeerRefusal> {
        let events = (from..=to).map(|n| Ok(Bytes::from(format!("event {n}"))));
        Ok(Box::pin(stream::iter(events)))
    }

    async fn ask_history(&self, _: HistoryQuestion) -> Result<Bytes, PeerRefusal> {
        Err(PeerRefusal::refused(PeerRefusalCode::Fault, "there is no history here"))
    }
}

/// The last log index of the node.
pub fn last_index(place: &Place) -> Option<u64> {
    place.raft().data_metrics().borrow_watched().last_log.map(|id| id.index)
}

/// The peer service, with a switch that makes it ignore appends.
#[derive(Clone)]
struct IgnoreAppends<S> {
    inner: S,
    ignores_appends: Arc<AtomicBool>,
    append_ignored: Arc<AtomicBool>,
}

impl<S: NamedService> NamedService for IgnoreAppends<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<Body>> for IgnoreAppends<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error = tonic::Status> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if self.ignores_appends.load(Ordering::SeqCst) && request.uri().path().ends_with("/Append")
        {
            self.append_ignored.store(true, Ordering::SeqCst);
            let body = Body::new(SilentBody { _request: request.into_body() });
            let response = Response::builder().header("content-type", "application/grpc");
            return Box::pin(async move { Ok(response.body(body).unwrap()) });
        }
        let answering = self.inner.call(request);
        Box::pin(async move { Ok(answering.await?.map(Body::new)) })
    }
}

struct SilentBody {
    _request: Body,
}

impl HttpBody for SilentBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, tonic::Status>>> {
        Poll::Pending
    }
}
