//! A service over a memory store that counts its calls and can hold replies back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_state_sidecar::machine::command::{Acquire, ClaimNext, Create, Held, ReleaseLease, Set};
use mcp_state_sidecar::machine::reply::{Acquired, Claimed};
use mcp_state_sidecar::machine::{Command, Json, Question, Reply, Revision, Text};
use mcp_state_sidecar::service::{Context, Options, RandomSource, Service, ServiceError};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::export::Export;
use mcp_state_sidecar::store::memory::MemoryStore;
use mcp_state_sidecar::store::{Answered, Consistency, Health, Request, Store, StoreError};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub const BEGIN_MS: u64 = 1_700_000_000_000;
/// The longest wait of a call.
pub const LONG: Duration = Duration::from_secs(55);

pub struct Probe {
    pub inner: MemoryStore,
    submitted: AtomicUsize,
    asked: Mutex<BTreeMap<&'static str, usize>>,
    /// Each reply that is held back takes a permit to pass.
    gate: Semaphore,
    is_gated: AtomicBool,
    /// How many claims are yet to find the store unavailable.
    pub failures: AtomicUsize,
}

#[async_trait]
impl Store for Probe {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let failing = |left: usize| left.checked_sub(1);
        let is_claim = matches!(request.command, Command::ClaimNext(_));
        if is_claim
            && self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing).is_ok()
        {
            return Err(StoreError::Unavailable("no leader".into()));
        }
        let reply = self.inner.submit(request, deadline).await;
        if self.is_gated.load(Ordering::SeqCst) {
            self.gate.acquire().await.expect("never closed").forget();
        }
        reply
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        let kind = match question {
            Question::Run { .. } => "run",
            Question::Candidate { .. } => "candidate",
            Question::Lease { .. } => "lease",
            Question::Request { .. } => "request",
            Question::Changes { .. } => "changes",
            _ => "other",
        };
        *self.asked.lock().unwrap().entry(kind).or_default() += 1;
        self.inner.ask(question, consistency, deadline).await
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.inner.revision()
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.inner.export(deadline).await
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    async fn sweep_due(&self) -> bool {
        self.inner.sweep_due().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

pub struct Stage {
    pub probe: Arc<Probe>,
    pub clock: Arc<ManualClock>,
    pub service: Service,
}

type Waiting<T> = JoinHandle<Result<T, ServiceError>>;

impl Stage {
    pub fn new() -> Stage {
        Stage::set(|_| {})
    }

    pub fn set(change: impl FnOnce(&mut Options)) -> Stage {
        let clock = ManualClock::at(BEGIN_MS);
        let probe = Arc::new(Probe {
            inner: MemoryStore::new(clock.clone()),
            submitted: AtomicUsize::new(0),
            asked: Mutex::default(),
            gate: Semaphore::new(0),
            is_gated: AtomicBool::new(false),
            failures: AtomicUsize::new(0),
        });
        let random = RandomSource::seeded(1);
        let mut options = Options { clock: clock.clone(), random, ..Options::default() };
        change(&mut options);
        Stage { service: Service::new(probe.clone(), options), probe, clock }
    }

    pub async fn submit(&self, command: Command) -> Reply {
        self.service.submit(command, Context::default()).await.expect("submitted")
    }

    /// How many commands have reached the store.
    pub fn submitted(&self) -> usize {
        self.probe.submitted.load(Ordering::SeqCst)
    }

    /// How many questions of one kind have reached the store.
    pub fn asked(&self, kind: &'static str) -> usize {
        self.probe.asked.lock().unwrap().get(kind).copied().unwrap_or(0)
    }

    /// Holds replies back from now on.
    pub fn hold_replies(&self) {
        self.probe.is_gated.store(true, Ordering::SeqCst);
    }

    /// Lets all replies pass, those that are held back and later ones.
    pub fn let_replies_go(&self) {
        self.probe.is_gated.store(false, Ordering::SeqCst);
        self.probe.gate.add_permits(1_000);
    }

    /// Starts a call that waits for work. It sleeps when this returns.
    pub async fn worker(&self, claim: ClaimNext, context: Context) -> Waiting<Claimed> {
        let service = self.service.clone();
        let task = tokio::spawn(async move { service.claim_next(claim, context, LONG).await });
        settle().await;
        task
    }

    /// Starts a call that waits for the lease `r`. It sleeps when this returns.
    pub async fn holder(&self, acquire: Acquire, context: Context) -> Waiting<Acquired> {
        let service = self.service.clone();
        let task = tokio::spawn(async move { service.acquire(acquire, context, LONG).await });
        settle().await;
        task
    }

    /// Lets time pass for the state and for the callers that wait.
    pub async fn pass(&self, ms: u64) {
        self.clock.advance_ms(ms);
        // The dispatcher reads the clock once a second, because somebody may set it.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
}

/// Waits until nothing can happen any more, since the paused clock moves only then.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The result of a call that must be over.
pub async fn ended<T>(task: Waiting<T>) -> T {
    settle().await;
    assert!(task.is_finished(), "the call still waits");
    task.await.expect("no panic").expect("an answer")
}

pub fn with_key(key: &str) -> Context {
    Context { idempotency_key: Some(key.into()), ..Context::default() }
}

pub fn set(key: &str) -> Command {
    Command::Set(Set {
        key: key.into(),
        value: Json::null(),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    })
}

pub fn run(name: &str) -> Create {
    Create {
        name: name.into(),
        tags: BTreeMap::new(),
        input: None,
        priority: 0,
        delay_ms: None,
        max_attempts: 1,
        parent_run_id: None,
    }
}

pub fn create(name: &str) -> Command {
    Command::Create(run(name))
}

pub fn tags(tags: &[(&str, &str)]) -> BTreeMap<Text, Text> {
    tags.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect()
}

/// A claim of any run.
pub fn any(agent: &str) -> ClaimNext {
    ClaimNext {
        agent_id: agent.into(),
        name: None,
        tags: BTreeMap::new(),
        claim_ttl_ms: 30_000,
        after: None,
    }
}

pub fn named(agent: &str, name: &str) -> ClaimNext {
    ClaimNext { name: Some(name.into()), ..any(agent) }
}

pub fn acquire(holder: &str) -> Acquire {
    Acquire { resource_id: "r".into(), holder_id: holder.into(), ttl_ms: 30_000 }
}

pub fn release(holder: &str) -> Command {
    let (resource_id, holder_id) = ("r".into(), holder.into());
    Command::ReleaseLease(ReleaseLease { resource_id, holder_id, fencing_token: None })
}

pub fn held(claimed: &Claimed) -> Held {
    Held {
        run_id: claimed.run_id.clone().expect("a run"),
        agent_id: claimed.agent_id.clone().expect("an agent"),
        claim_token: claimed.claim_token.expect("a token"),
    }
}
