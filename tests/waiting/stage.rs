//! A service over a memory store that counts its calls and can hold replies back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::machine::command::{
    Acquire, ClaimNext, Create, HeldClaim, ReleaseLease, Set,
};
use mcp_state_sidecar::machine::reply::{Acquired, Claimed};
use mcp_state_sidecar::machine::{Command, Json, Reply, Text};
use mcp_state_sidecar::service::{Context, Options, RandomSource, Service, ServiceError};
use mcp_state_sidecar::store::clock::ManualClock;
use support::probe_store::ProbeStore;
use tokio::task::JoinHandle;

pub const BEGIN_MS: u64 = 1_700_000_000_000;
/// The longest wait of a call.
pub const LONG: Duration = Duration::from_secs(55);

pub struct Stage {
    pub probe: Arc<ProbeStore>,
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
        let probe = Arc::new(ProbeStore::new(clock.clone()));
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
        self.probe.submitted()
    }

    /// How many questions of one kind have reached the store.
    pub fn asked(&self, kind: &'static str) -> usize {
        self.probe.asked(kind)
    }

    /// Holds replies back from now on.
    pub fn hold_replies(&self) {
        self.probe.hold_replies();
    }

    /// Lets all replies pass, those that are held back and later ones.
    pub fn let_replies_go(&self) {
        self.probe.let_all_pass();
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
        max_attempts: 0,
        parent_run_id: None,
        ..Default::default()
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
    ClaimNext { agent_id: agent.into(), claim_ttl_ms: 30_000, ..Default::default() }
}

pub fn named(agent: &str, name: &str) -> ClaimNext {
    ClaimNext { names: [name.into()].into(), ..any(agent) }
}

pub fn acquire(holder: &str) -> Acquire {
    Acquire {
        resource_id: "r".into(),
        holder_id: holder.into(),
        ttl_ms: 30_000,
        ..Default::default()
    }
}

pub fn release(holder: &str) -> Command {
    let (resource_id, holder_id) = ("r".into(), holder.into());
    Command::ReleaseLease(ReleaseLease { resource_id, holder_id, fencing_token: None })
}

pub fn held(claimed: &Claimed) -> HeldClaim {
    HeldClaim {
        run_id: claimed.run_id.clone().expect("a run"),
        agent_id: claimed.agent_id.clone().expect("an agent"),
        claim_token: claimed.claim_token.expect("a token"),
    }
}
