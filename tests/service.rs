//! What the service promises beyond its replies: when it answers, which calls it refuses,
//! and what happens to a call whose caller has gone away. `tests/waiting` covers waiting.

use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::machine::command::{Acquire, Set};
use mcp_state_sidecar::machine::filter::ChangeFilter;
use mcp_state_sidecar::machine::row::{LeaseHolder, LeaseRow};
use mcp_state_sidecar::machine::{ClusterMs, Command, Json, Reply, Revision};
use mcp_state_sidecar::service::{Code, Context, Options, Service};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::ManualClock;
use support::probe_store::ProbeStore;
use tokio::time::Instant;

const BEGIN_MS: u64 = 1_700_000_000_000;
/// Far longer than anything here takes, far shorter than the waits asked for.
const SOON: Duration = Duration::from_secs(10);

struct Stage {
    probe: Arc<ProbeStore>,
    clock: Arc<ManualClock>,
    service: Service,
}

impl Stage {
    fn new(change: impl FnOnce(ProbeStore, &mut Options) -> ProbeStore) -> Stage {
        let clock = ManualClock::at(BEGIN_MS);
        let mut options = Options { clock: clock.clone(), ..Options::default() };
        let probe = Arc::new(change(ProbeStore::new(clock.clone()), &mut options));
        Stage { service: Service::new(probe.clone(), options), probe, clock }
    }

    async fn submit(&self, command: Command) -> Reply {
        self.service.submit(command, Context::default()).await.expect("submitted")
    }

    fn submitted(&self) -> usize {
        self.probe.submitted()
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
    Acquire {
        resource_id: "r".into(),
        holder_id: holder.into(),
        ttl_ms: 60_000,
        ..Default::default()
    }
}

const LONG: Duration = Duration::from_secs(55);

#[tokio::test]
async fn missed_changes_are_reported_at_once() {
    let stage = Stage::new(|probe, _| probe);
    stage.submit(set("k")).await;
    stage.submit(Command::Reset).await;
    let filter = ChangeFilter::Key("k".into());
    let waiting = stage.service.wait_for_change(filter, Some(Revision::ZERO), LONG, 10);
    let found = tokio::time::timeout(SOON, waiting).await.expect("at once").expect("an answer");
    assert!(found.missed);
}

#[tokio::test]
async fn a_node_whose_own_state_is_stale_still_asks_when_a_lease_expires() {
    let stage = Stage::new(|probe, _| {
        probe.with_stale_lease(LeaseRow::of(LeaseHolder {
            holder_id: "a".into(),
            token: Revision(1),
            revision: Revision(1),
            expires_at: ClusterMs(BEGIN_MS + 60_000),
            permits: 0,
        }))
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
    let stage = Stage::new(|probe, _| probe);
    stage.probe.hold_commands();
    let service = stage.service.clone();
    let caller = tokio::spawn(async move { service.submit(set("k"), Context::default()).await });
    until("the command at the store", || stage.submitted() == 1).await;
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(stage.service.load().0, 1, "the command still counts as under way");
    stage.probe.let_pass(1);
    until("the command's end", || *stage.probe.revision().borrow() == Revision(1)).await;
    until("room again", || stage.service.load().0 == 0).await;
}

#[tokio::test]
async fn calls_beyond_the_bound_are_refused_at_once() {
    let stage = Stage::new(|probe, options| {
        options.in_flight_max = 2;
        probe
    });
    stage.probe.hold_commands();
    for _ in 0..2 {
        let service = stage.service.clone();
        tokio::spawn(async move { service.submit(set("k"), Context::default()).await });
    }
    until("both under way", || stage.submitted() == 2).await;
    let refused = stage.service.submit(set("k"), Context::default()).await.unwrap_err();
    assert_eq!((refused.code, refused.is_retryable()), (Code::Unavailable, true));
    assert_eq!(stage.submitted(), 2, "the store was not asked");
    stage.probe.let_pass(2);
    until("room again", || stage.service.load().0 == 0).await;
    stage.probe.let_pass(1);
    stage.submit(set("k")).await;
}

#[tokio::test]
async fn a_call_ends_although_the_store_does_not_answer() {
    let stage = Stage::new(|probe, options| {
        options.deadline = Duration::from_millis(10);
        probe
    });
    stage.probe.hold_commands();
    let gone = stage.service.submit(set("k"), Context::default()).await.unwrap_err();
    assert_eq!(gone.code, Code::OutcomeUnknown, "{gone}");
}
