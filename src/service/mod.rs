//! The service: what stands between the protocols and a store. It admits a
//! bounded number of calls, stamps each command with chance and actor, gives
//! it a deadline, and turns refusals and faults into one kind of error.
//!
//! Calls that wait for something are in [`waiting`]; what becomes of a grant whose
//! caller has gone is in `delivery`.

mod admission;
mod error;
mod undelivered;
pub mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use error::{Code, ServiceError};

use crate::codec;
use crate::limits::Limits;
use crate::machine::command::{ClaimNext, Idempotency};
use crate::machine::reply::Claimed;
use crate::machine::{ClusterMs, Command, Question, Reply, Text};
use crate::store::clock::{self, Clock};
use crate::store::cluster::Cluster;
use crate::store::export::Export;
use crate::store::{Answered, Consistency, Health, Request, Store, StoreError};
use admission::Admission;
use undelivered::{Taker, Undelivered};
use waiting::{WaitingLine, Watches};

/// How the service is set up.
#[derive(Clone)]
pub struct Options {
    /// How long a call may take; waiting asked for by the caller comes on top.
    pub deadline: Duration,
    /// Calls at the store at once. More are refused, since a queue without
    /// bound turns overload into timeouts of every call.
    pub in_flight_max: usize,
    /// Bytes of commands at the store at once, which bounds memory.
    pub in_flight_bytes_max: usize,
    /// Calls that wait for something at once.
    pub waiting_max: usize,
    pub limits: Limits,
    pub random: RandomSource,
    /// Tells waiting calls when a deadline that they wait for should be over.
    pub clock: Clock,
    /// Once cancelled, calls that wait end at once with what they have, as
    /// when their time has run out: a node that stops need not wait for them.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            deadline: Duration::from_secs(10),
            in_flight_max: 4096,
            in_flight_bytes_max: 64 * 1024 * 1024,
            waiting_max: 4096,
            limits: Limits::default(),
            random: RandomSource::random(),
            clock: clock::system(),
            stop: CancellationToken::new(),
        }
    }
}

/// Where the numbers come from that new run ids are made of.
#[derive(Clone)]
pub struct RandomSource(Arc<dyn Fn() -> u64 + Send + Sync>);

impl RandomSource {
    /// The operating system's.
    pub fn random() -> RandomSource {
        RandomSource(Arc::new(rand::random::<u64>))
    }

    /// The same numbers again for the same seed, in every version (SplitMix64,
    /// Steele, Lea and Flood, 2014).
    pub fn seeded(seed: u64) -> RandomSource {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = AtomicU64::new(seed);
        RandomSource(Arc::new(move || {
            let mut z = state.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    fn draw(&self) -> u64 {
        (self.0)()
    }
}

/// What comes with a write besides the command itself.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// For the history, where the command names no agent.
    pub actor: Option<Text>,
    /// Checked with [`crate::limits::idempotency_key`].
    pub idempotency_key: Option<Text>,
}

/// Cheap to clone; all clones share the bounds.
#[derive(Clone)]
pub struct Service {
    shared: Arc<ServiceShared>,
}

struct ServiceShared {
    store: Arc<dyn Store>,
    options: Options,
    admission: Admission,
    /// Who waits for work and leases.
    line: WaitingLine,
    /// Who waits for changes of keys.
    watches: Watches,
    started: Instant,
}

impl Service {
    pub fn new(store: Arc<dyn Store>, options: Options) -> Service {
        let admission = Admission::new(&options);
        let (line, watches, started) = (WaitingLine::default(), Watches::default(), Instant::now());
        let shared = ServiceShared { store, options, admission, line, watches, started };
        Service { shared: Arc::new(shared) }
    }

    /// Carries out `command`. A caller that goes away meanwhile does not stop
    /// it: it is carried out whole all the same, and what it grants is given back.
    ///
    /// A [`Reply::Refused`] comes back as an error with its code.
    pub async fn submit(&self, command: Command, context: Context) -> Result<Reply, ServiceError> {
        self.submit_within(command, context, self.shared.options.deadline).await
    }

    /// As [`Service::submit`], with a deadline of the caller's.
    pub async fn submit_within(
        &self,
        command: Command,
        context: Context,
        timeout: Duration,
    ) -> Result<Reply, ServiceError> {
        if let Command::Acquire(acquire) = &command {
            self.give_way(acquire, timeout).await;
        }
        self.carry_out(command, context, timeout, false).await
    }

    /// Carries out `command`; an `attempt` writes nothing where it would come to
    /// nothing. A search for a run that was ended early goes on.
    async fn carry_out(
        &self,
        mut command: Command,
        context: Context,
        timeout: Duration,
        attempt: bool,
    ) -> Result<Reply, ServiceError> {
        let deadline = Instant::now() + timeout;
        let Context { actor, idempotency_key } = context;
        let digest = |key| Idempotency { key, digest: codec::digest(&command) };
        let idempotency = idempotency_key.map(digest);
        let search = match &command {
            Command::ClaimNext(claim) => Some(claim.clone()),
            _ => None,
        };
        loop {
            let random = self.random_for(&command);
            let (idempotency, actor) = (idempotency.clone(), actor.clone());
            let request = Request { command, idempotency, actor, random, attempt };
            let after = match self.send(request, deadline).await? {
                Reply::Refused(refusal) => return Err(refusal.into()),
                Reply::Claimed(Claimed { claimed: false, searched: Some(rank), .. }) => rank,
                reply => return Ok(reply),
            };
            let Some(claim) = search.clone().filter(|_| Instant::now() < deadline) else {
                let why = "unavailable: the search for a run did not end in time; try again";
                return Err(ServiceError::unavailable(why));
            };
            command = Command::ClaimNext(ClaimNext { after: Some(after), ..claim });
        }
    }

    async fn send(&self, request: Request, deadline: Instant) -> Result<Reply, ServiceError> {
        let permit = self.shared.admission.enter(weight(&request.command))?;
        let store = self.shared.store.clone();
        let taker = Taker::of(&request, &store);
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let outcome = store.submit(request, deadline).await;
            drop(permit);
            // Where nobody listens any more it gives itself back.
            let _ = sender.send(Undelivered::new(outcome, taker));
        });
        // The store keeps to the deadline. Should it fail to, the caller is
        // still answered, and what becomes of the command is not known.
        let late = deadline + LATE;
        match tokio::time::timeout_at(late, receiver).await {
            Ok(Ok(reply)) => match reply.accept() {
                Some(Ok(reply)) => Ok(reply),
                Some(Err(fault)) => Err(fault.into()),
                None => Err(ServiceError::internal("an answer was delivered twice")),
            },
            Ok(Err(_panicked)) => Err(ServiceError::unknown("the store failed")),
            Err(_) => Err(ServiceError::unknown("the store did not answer in time")),
        }
    }

    /// Only commands that make names need any.
    fn random_for(&self, command: &Command) -> u64 {
        match command {
            Command::Create(_) => self.shared.options.random.draw(),
            Command::Set(_)
            | Command::Delete(_)
            | Command::Transact(_)
            | Command::Claim(_)
            | Command::ClaimNext(_)
            | Command::Heartbeat(_)
            | Command::Release(_)
            | Command::Checkpoint(_)
            | Command::Complete(_)
            | Command::Fail(_)
            | Command::Cancel(_)
            | Command::Acquire(_)
            | Command::Renew(_)
            | Command::ReleaseLease(_)
            | Command::SaveSession(_)
            | Command::DeleteSession(_)
            | Command::Reset
            | Command::Sweep { .. } => 0,
        }
    }

    /// Answers `question`.
    pub async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
    ) -> Result<Answered, ServiceError> {
        self.ask_within(question, consistency, self.shared.options.deadline).await
    }

    /// As [`Service::ask`], with a deadline of the caller's.
    pub async fn ask_within(
        &self,
        question: Question,
        consistency: Consistency,
        timeout: Duration,
    ) -> Result<Answered, ServiceError> {
        let _permit = self.shared.admission.enter(QUESTION_BYTES)?;
        let deadline = Instant::now() + timeout;
        let answer = self.shared.store.ask(question, consistency, deadline);
        match tokio::time::timeout_at(deadline + LATE, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(ServiceError::unavailable("the store did not answer in time")),
        }
    }

    /// The whole state, to begin within `timeout`; counted among the exports
    /// under way until its parts are dropped.
    pub async fn export(&self, timeout: Duration) -> Result<Export, ServiceError> {
        let permit = self.shared.admission.export()?;
        let deadline = Instant::now() + timeout;
        let export = self.shared.store.export(deadline);
        let Ok(export) = tokio::time::timeout_at(deadline + LATE, export).await else {
            return Err(ServiceError::unavailable("the store did not answer in time"));
        };
        let Export { meta, parts } = export?;
        let parts = parts.inspect(move |_| _ = &permit).boxed();
        Ok(Export { meta, parts })
    }

    /// The members of the cluster, where the store is one.
    pub fn cluster(&self) -> Option<&dyn Cluster> {
        self.shared.store.cluster()
    }

    /// The store's account of itself.
    pub async fn health(&self) -> Health {
        self.shared.store.health().await
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.options.limits
    }

    /// How long this service has been up.
    pub fn uptime(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// Calls at the store, and calls that wait, now.
    pub fn load(&self) -> (usize, usize) {
        self.shared.admission.load()
    }
}

impl ServiceShared {
    /// This node's own state, for what the service itself wants to know.
    async fn ask_here(
        &self,
        question: Question,
        timeout: Duration,
    ) -> Result<Answered, StoreError> {
        self.store.ask(question, Consistency::Local, Instant::now() + timeout).await
    }

    /// The time by this node's clock.
    fn now(&self) -> ClusterMs {
        ClusterMs(self.options.clock.wall_ms())
    }
}

/// How much longer than the deadline a store may take before it is given up.
const LATE: Duration = Duration::from_secs(1);

/// What a question counts for among the bytes in flight.
const QUESTION_BYTES: usize = 1024;

/// About how many bytes a command holds; short fields count as a lump.
fn weight(command: &Command) -> usize {
    const SHORT_FIELDS_BYTES: usize = 512;
    let operations = match command {
        Command::Transact(transact) => transact.then.len() + transact.otherwise.len(),
        _ => 0,
    };
    command.value_bytes() + (operations + 1) * SHORT_FIELDS_BYTES
}
