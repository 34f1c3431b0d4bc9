//! What the service promises beyond its replies: when it answers, which calls it refuses,
//! and what happens to a call whose caller has gone away. `tests/waiting` covers waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mcp_state_sidecar::machine::command::{Acquire, Set};
use mcp_state_sidecar::machine::query::Answer;
use mcp_state_sidecar::machine::row::LeaseRow;
use mcp_state_sidecar::machine::view::ChangeFilter;
use mcp_state_sidecar::machine::{ClusterMs, Command, Json, Question, Reply, Revision};
use mcp_state_sidecar::service::{Code, Context, Options, Service};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::export::Export;
use mcp_state_sidecar::store::memory::MemoryStore;
use mcp_state_sidecar::store::{Answered, Consistency, Health, Request, Store, StoreError};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

const BEGIN_MS: u64 = 1_700_000_000_000;
/// Far longer than anything here takes, far shorter than the waits asked for.
const SOON: Duration = Duration::from_secs(10);

/// A memory store that counts commands and can hold them up.
struct Probe {
    inner: MemoryStore,
    submitted: AtomicUsize,
    /// Each command takes a permit to pass.
    gate: Semaphore,
    /// What local reads return for a lease, instead of the present state.
    stale_lease: Option<LeaseRow>,
}

#[async_trait]
impl Store for Probe {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.expect("never closed").forget();
        self.inner.submit(request, deadline).await
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        if let (Consistency::Local, Question::Lease { .. }, Some(row)) =
            (consistency, &question, &self.stale_lease)
        {
            let answer = Answer::Lease(Some(row.clone()));
            return Ok(Answered { answer, revision: Revision::ZERO, age: None });
        }
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

struct Stage {
    probe: Arc<Probe>,
    clock: Arc<ManualClock>,
    service: Service,
}

impl Stage {
    fn set(change: impl FnOnce(&mut Probe, &mut Options)) -> Stage {
        let clock = ManualClock::at(BEGIN_MS);
        let mut probe = Probe {
            inner: MemoryStore::new(clock.clone()),
            submitted: AtomicUsize::new(0),
            gate: Semaphore::new(100_000),
            stale_lease: None,
        };
        let mut options = Options { clock: clock.clone(), ..Options::default() };
        change(&mut probe, &mut options);
        let probe = Arc::new(probe);
        Stage { service: Service::new(probe.clone(), options), probe, clock }
    }

    async fn submit(&self, command: Command) -> Reply {
        self.service.submit(command, Context::default()).await.expect("submitted")
    }

    fn submitted(&self) -> usize {
        self.probe.submitted.load(Ordering::SeqCst)
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: it did not happen in time");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn set(key: &str) -> Command {
    Command::Set(Set {
        key: key.into(),
        value: Json::null(),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    })
}

fn acquire(holder: &str) -> Acquire {
    Acquire { resource_id: "r".into(), holder_id: holder.into(), ttl_ms: 60_000 }
}

const LONG: Duration = Duration::from_secs(55);

#[tokio::test]
async fn missed_changes_are_reported_at_once() {
    let stage = Stage::set(|_, _| {});
    stage.submit(set("k")).await;
    stage.submit(Command::Reset).await;
    let filter = ChangeFilter::Key("k".into());
    let waiting = stage.service.wait_for_change(filter, Some(Revision::ZERO), LONG, 10);
    let found = tokio::time::timeout(SOON, waiting).await.expect("at once").expect("an answer");
    assert!(found.missed);
}

#[tokio::test]
async fn a_node_whose_own_state_is_stale_still_asks_when_a_lease_expires() {
    let stage = Stage::set(|probe, _| {
        probe.stale_lease = Some(LeaseRow {
            holder_id: "a".into(),
            token: Revision(1),
            revision: Revision(1),
            expires_at: ClusterMs(BEGIN_MS + 60_000),
        });
    });
    stage.submit(Command::Acquire(acquire("a"))).await;
    let service = stage.service.clone();
    let waiting =
        tokio::spawn(async move { service.acquire(acquire("b"), Context::default(), LONG).await });
    until("the wait", || stage.service.load().1 == 1).await;
    stage.clock.advance_ms(60_000);
    let acquired = tokio::time::timeout(SOON, waiting).await.expect("in time").expect("no panic");
    assert!(acquired.expect("an answer").acquired);
}

#[tokio::test]
async fn a_command_is_carried_out_although_its_caller_has_gone_away() {
    let stage = Stage::set(|probe, _| probe.gate = Semaphore::new(0));
    let service = stage.service.clone();
    let caller = tokio::spawn(async move { service.submit(set("k"), Context::default()).await });
    until("the command at the store", || stage.submitted() == 1).await;
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(stage.service.load().0, 1, "the command still counts as under way");
    stage.probe.gate.add_permits(1);
    until("the command's end", || *stage.probe.revision().borrow() == Revision(1)).await;
    until("room again", || stage.service.load().0 == 0).await;
}

#[tokio::test]
async fn calls_beyond_the_bound_are_refused_at_once() {
    let stage = Stage::set(|probe, options| {
        probe.gate = Semaphore::new(0);
        options.in_flight_max = 2;
    });
    for _ in 0..2 {
        let service = stage.service.clone();
        tokio::spawn(async move { service.submit(set("k"), Context::default()).await });
    }
    until("both under way", || stage.submitted() == 2).await;
    let refused = stage.service.submit(set("k"), Context::default()).await.unwrap_err();
    assert_eq!((refused.code, refused.is_retryable()), (Code::Unavailable, true));
    assert_eq!(stage.submitted(), 2, "the store was not asked");
    stage.probe.gate.add_permits(2);
    until("room again", || stage.service.load().0 == 0).await;
    stage.probe.gate.add_permits(1);
    stage.submit(set("k")).await;
}

#[tokio::test]
async fn a_call_ends_although_the_store_does_not_answer() {
    let stage = Stage::set(|probe, options| {
        probe.gate = Semaphore::new(0);
        options.deadline = Duration::from_millis(10);
    });
    let gone = stage.service.submit(set("k"), Context::default()).await.unwrap_err();
    assert_eq!(gone.code, Code::OutcomeUnknown, "{gone}");
}
