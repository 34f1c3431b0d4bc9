//! A server on loopback, and short forms for requests and replies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mcp_state_sidecar::access::{self, Access};
use mcp_state_sidecar::api::grpc;
use mcp_state_sidecar::machine::lookup::Due;
use mcp_state_sidecar::machine::{Question, Reply, Revision};
use mcp_state_sidecar::proto::sidecar::sidecar_client::SidecarClient;
use mcp_state_sidecar::proto::sidecar::{self as api, submit_reply};
use mcp_state_sidecar::proto::state;
use mcp_state_sidecar::proto::state::command::Command as Form;
use mcp_state_sidecar::service::{self, Service};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::export::Export;
use mcp_state_sidecar::store::memory::MemoryStore;
use mcp_state_sidecar::store::{Answered, Consistency, Health, Request, Store, StoreError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Where the manual clock starts, in milliseconds.
pub const START_MS: u64 = 1_700_000_000_000;

pub struct Server {
    pub addr: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub service: Service,
    pub store: Arc<dyn Store>,
    pub stop: CancellationToken,
}

impl Server {
    pub async fn start() -> Server {
        Server::with(access::Options::default(), |store| store).await
    }

    /// A server with its own access policy, and a store that wraps the memory store.
    pub async fn with(
        access: access::Options,
        around: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Server {
        let clock = ManualClock::at(START_MS);
        let store = around(Arc::new(MemoryStore::new(clock.clone())));
        let options = service::Options { clock: clock.clone(), ..service::Options::default() };
        let service = Service::new(store.clone(), options);
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let gate = grpc::api(service.clone(), Access::new(access), stop.clone());
        let server = grpc::transport().add_service(gate);
        tokio::spawn(server.serve_with_incoming(grpc::incoming(listener)));
        Server { addr, clock, service, store, stop }
    }

    pub async fn channel(&self) -> Channel {
        let uri = format!("http://{}", self.addr);
        Channel::from_shared(uri).unwrap().connect().await.unwrap()
    }

    pub async fn client(&self) -> Client {
        Client(SidecarClient::new(self.channel().await).max_decoding_message_size(64 << 20))
    }
}

/// The generated client, with short forms.
#[derive(Clone)]
pub struct Client(pub SidecarClient<Channel>);

impl Client {
    pub async fn submit(&mut self, command: Form) -> Result<state::reply::Reply, Status> {
        self.send(request(command)).await
    }

    pub async fn send(
        &mut self,
        request: api::SubmitRequest,
    ) -> Result<state::reply::Reply, Status> {
        let reply = self.0.submit(request).await?.into_inner();
        match reply.outcome {
            Some(submit_reply::Outcome::Reply(state::Reply { reply: Some(reply) })) => Ok(reply),
            other => panic!("no reply: {other:?}"),
        }
    }

    pub async fn ask(
        &mut self,
        question: state::question::Question,
    ) -> Result<state::answer::Answer, Status> {
        let question = Some(state::Question { question: Some(question) });
        let request = api::AskRequest { question, ..Default::default() };
        let reply = self.0.ask(request).await?.into_inner();
        Ok(reply.answer.and_then(|answer| answer.answer).expect("an answer"))
    }

    /// The value of a key, if the key exists.
    pub async fn value(&mut self, key: &str) -> Option<String> {
        let question = state::question::Question::Key(state::KeyQuestion { key: key.into() });
        match self.ask(question).await.unwrap() {
            state::answer::Answer::Key(answer) => answer.row.map(|row| row.value),
            other => panic!("{other:?}"),
        }
    }
}

pub fn command(form: Form) -> Option<state::Command> {
    Some(state::Command { command: Some(form) })
}

pub fn request(form: Form) -> api::SubmitRequest {
    api::SubmitRequest { command: command(form), ..Default::default() }
}

pub fn set(key: &str, value: &str) -> Form {
    Form::Set(state::Set { key: key.into(), value: value.into(), ..Default::default() })
}

pub fn code_of(status: &Status) -> (Code, &str) {
    let code = status.metadata().get("sidecar-code").and_then(|code| code.to_str().ok());
    (status.code(), code.unwrap_or("none"))
}

/// Waits until `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A store that interferes with commands, and passes everything else on.
pub struct Around {
    pub inner: Arc<dyn Store>,
    pub submit: Behaviour,
    /// How many commands are in flight, and the most that ever were.
    pub under_way: AtomicUsize,
    pub most_under_way: AtomicUsize,
    pub health: Option<Health>,
}

pub enum Behaviour {
    /// Waits for a permit before each command, and does not return it.
    Held(Arc<Semaphore>),
    Fails(StoreError),
    Panics,
    /// Never answers.
    Hangs,
    /// Does what the wrapped store does.
    Works,
}

impl Around {
    pub fn new(inner: Arc<dyn Store>, submit: Behaviour) -> Arc<Around> {
        Arc::new(Around::of(inner, submit))
    }

    pub fn of(inner: Arc<dyn Store>, submit: Behaviour) -> Around {
        let (under_way, most_under_way) = Default::default();
        Around { inner, submit, under_way, most_under_way, health: None }
    }
}

#[async_trait]
impl Store for Around {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        let reply = match &self.submit {
            Behaviour::Held(gate) => {
                gate.acquire().await.unwrap().forget();
                self.inner.submit(request, deadline).await
            }
            Behaviour::Fails(error) => Err(error.clone()),
            Behaviour::Panics => panic!("a store that panics, as the test wants"),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Works => self.inner.submit(request, deadline).await,
        };
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        reply
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        match &self.submit {
            Behaviour::Fails(error) if consistency == Consistency::Linearizable => {
                Err(error.clone())
            }
            Behaviour::Panics if consistency == Consistency::Linearizable => {
                panic!("a store that panics, as the test wants")
            }
            _ => self.inner.ask(question, consistency, deadline).await,
        }
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.inner.revision()
    }

    async fn due(&self) -> Due {
        self.inner.due().await
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.inner.export(deadline).await
    }

    async fn health(&self) -> Health {
        match &self.health {
            Some(health) => health.clone(),
            None => self.inner.health().await,
        }
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
