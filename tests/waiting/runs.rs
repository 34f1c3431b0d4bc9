//! Calls that wait for runs: for the end of one, for a step, or for the end of all children.

use std::time::Duration;

use mcp_state_sidecar::machine::command::{
    Cancel, Checkpoint, Claim, Claimant, Complete, Create, DeleteRun,
};
use mcp_state_sidecar::machine::reply::Claimed;
use mcp_state_sidecar::machine::run_group::occurring;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::{Command, Json, Reply, Text};
use mcp_state_sidecar::service::waiting::{ChildrenWaited, RunWaited};
use mcp_state_sidecar::service::{Code, ServiceError};
use tokio::task::JoinHandle;

use crate::stage::{LONG, Stage, create, ended, held, run, set, settle};

async fn waiter(
    stage: &Stage,
    run_id: &Text,
    step: Option<u64>,
) -> JoinHandle<Result<RunWaited, ServiceError>> {
    let (service, run_id) = (stage.service.clone(), run_id.clone());
    let task = tokio::spawn(async move { service.wait_for_run(run_id, step, LONG).await });
    settle().await;
    task
}

async fn parent(stage: &Stage, run_id: &Text) -> JoinHandle<Result<ChildrenWaited, ServiceError>> {
    let (service, run_id) = (stage.service.clone(), run_id.clone());
    let task = tokio::spawn(async move { service.wait_for_children(run_id, LONG).await });
    settle().await;
    task
}

async fn created(stage: &Stage, command: Command) -> Text {
    match stage.submit(command).await {
        Reply::Created { run_id, .. } => run_id,
        other => panic!("{other:?}"),
    }
}

async fn child(stage: &Stage, parent: &Text) -> Text {
    let parent_run_id = Some(parent.clone());
    created(stage, Command::Create(Create { parent_run_id, ..run("child") })).await
}

async fn claimed(stage: &Stage, run_id: &Text) -> Claimed {
    let (run_id, agent_id) = (run_id.clone(), "a".into());
    match stage.submit(Command::Claim(Claim { run_id, agent_id, claim_ttl_ms: 30_000 })).await {
        Reply::Claimed(claimed) if claimed.claimed => claimed,
        other => panic!("{other:?}"),
    }
}

fn complete(run_id: &Text) -> Command {
    let result = Some(Json::new("7"));
    Command::Complete(Complete {
        run_id: run_id.clone(),
        result,
        claimant: Claimant::default(),
        ..Complete::default()
    })
}

fn checkpoint(run_id: &Text, step: u64) -> Command {
    let (run_id, output) = (run_id.clone(), Json::null());
    Command::Checkpoint(Checkpoint {
        run_id,
        step,
        output,
        claimant: Claimant::default(),
        ask: None,
    })
}

fn failure<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> Code {
    result.expect_err("an error").code
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_run_wakes_those_who_wait_for_it_and_nothing_else_does() {
    let stage = Stage::new();
    let run_id = created(&stage, create("n")).await;
    let other = created(&stage, create("other")).await;
    let mut others = Vec::new();
    for _ in 0..300 {
        others.push(waiter(&stage, &other, None).await);
    }
    let waiting = waiter(&stage, &run_id, None).await;
    let before = stage.asked("run");
    let claim = claimed(&stage, &run_id).await;
    for step in 1..50 {
        stage.submit(checkpoint(&run_id, step)).await;
        stage.submit(Command::Heartbeat(held(&claim))).await;
        stage.submit(set("k")).await;
    }
    settle().await;
    assert!(!waiting.is_finished());
    assert_eq!(stage.asked("run"), before, "a run that goes on was read");
    stage.submit(complete(&run_id)).await;
    let waited = ended(waiting).await;
    assert!(waited.reached);
    assert_eq!((waited.run.status, waited.run.last_step), (Status::Done, 49));
    assert_eq!(waited.run.result, Some(Json::new("7")));
    assert_eq!(stage.asked("run"), before + 1, "one read for the caller that woke");
    assert!(others.iter().all(|other| !other.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_step_or_the_end_wakes_those_who_wait_for_a_step() {
    let stage = Stage::new();
    let run_id = created(&stage, create("n")).await;
    let [first, third, last] = [
        waiter(&stage, &run_id, Some(0)).await,
        waiter(&stage, &run_id, Some(3)).await,
        waiter(&stage, &run_id, Some(9)).await,
    ];
    assert!(!first.is_finished(), "there is no step yet");
    stage.submit(checkpoint(&run_id, 0)).await;
    assert_eq!(ended(first).await.run.last_step, 0, "step 0 is a step");
    stage.submit(checkpoint(&run_id, 2)).await;
    settle().await;
    assert!(!third.is_finished());
    stage.submit(checkpoint(&run_id, 4)).await;
    assert!(ended(third).await.reached, "a later step is stored");
    stage.submit(complete(&run_id)).await;
    let waited = ended(last).await;
    assert!(waited.reached, "no further step will come");
    assert_eq!(waited.run.status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn what_has_happened_already_is_not_waited_for() {
    let stage = Stage::new();
    let run_id = created(&stage, create("n")).await;
    stage.submit(checkpoint(&run_id, 5)).await;
    assert!(ended(waiter(&stage, &run_id, Some(5)).await).await.reached);
    stage.submit(complete(&run_id)).await;
    assert!(ended(waiter(&stage, &run_id, None).await).await.reached);
    assert!(ended(parent(&stage, &run_id).await).await.reached, "it has no children");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_because_its_time_passes_wakes_those_who_wait() {
    let stage = Stage::new();
    let with = |change: fn(&mut Create)| {
        let mut create = run("n");
        change(&mut create);
        Command::Create(create)
    };
    let unclaimed = created(&stage, with(|run| run.start_within_ms = Some(10_000))).await;
    let last = created(&stage, with(|run| run.max_attempts = 1)).await;
    claimed(&stage, &last).await;
    for run_id in [unclaimed, last] {
        let waiting = waiter(&stage, &run_id, None).await;
        stage.pass(15_000).await;
        stage.submit(Command::Sweep { limit: 10 }).await;
        let waited = ended(waiting).await;
        assert_eq!((waited.reached, waited.run.status), (true, Status::Failed));
        assert!(waited.run.error.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_says_how_the_run_is_then() {
    let stage = Stage::new();
    let run_id = created(&stage, create("n")).await;
    let children = parent(&stage, &run_id).await;
    assert!(children.is_finished(), "it has none");
    child(&stage, &run_id).await;
    let (waiting, children) = (waiter(&stage, &run_id, None).await, parent(&stage, &run_id).await);
    claimed(&stage, &run_id).await;
    stage.submit(checkpoint(&run_id, 2)).await;
    tokio::time::sleep(LONG).await;
    let waited = ended(waiting).await;
    assert!(!waited.reached);
    assert_eq!((waited.run.status, waited.run.last_step), (Status::Running, 2));
    let waited = ended(children).await;
    assert!(!waited.reached);
    assert_eq!(occurring(&waited.counts).collect::<Vec<_>>(), [(Status::Created, 1)]);
    let service = stage.service.clone();
    let now = service.wait_for_run(run_id, None, Duration::ZERO).await.expect("an answer");
    assert!(!now.reached, "a wait of no time says how it is now");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_exist_is_not_waited_for() {
    let stage = Stage::new();
    assert_eq!(
        failure(stage.service.wait_for_run("none".into(), None, LONG).await),
        Code::NotFound
    );
    let waited = stage.service.wait_for_children("none".into(), LONG).await;
    assert_eq!(failure(waited), Code::NotFound);
    let run_id = created(&stage, create("n")).await;
    child(&stage, &run_id).await;
    let (waiting, children) = (waiter(&stage, &run_id, None).await, parent(&stage, &run_id).await);
    stage.submit(Command::Reset).await;
    settle().await;
    assert_eq!(failure(waiting.await.expect("no panic")), Code::NotFound);
    assert_eq!(failure(children.await.expect("no panic")), Code::NotFound);
    // Removed at the moment of its end, so that the waiting call finds nothing.
    let run_id = created(&stage, create("n")).await;
    let waiting = waiter(&stage, &run_id, None).await;
    stage.probe.hold_history();
    stage.submit(complete(&run_id)).await;
    stage.submit(Command::DeleteRun(DeleteRun { run_id, agent_id: None })).await;
    stage.probe.let_all_pass();
    settle().await;
    assert_eq!(failure(waiting.await.expect("no panic")), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn all_children_are_waited_for_and_nothing_below_them() {
    let stage = Stage::new();
    let top = created(&stage, create("n")).await;
    let mut children = Vec::new();
    for _ in 0..5 {
        children.push(child(&stage, &top).await);
    }
    child(&stage, &children[0]).await;
    let waiting = parent(&stage, &top).await;
    for run_id in &children {
        stage.submit(complete(run_id)).await;
        settle().await;
        // One that is added meanwhile is waited for as well.
        if *run_id == children[2] {
            children.push(child(&stage, &top).await);
            break;
        }
    }
    assert!(!waiting.is_finished());
    for run_id in &children[3..] {
        settle().await;
        assert!(!waiting.is_finished());
        let (run_id, reason, agent_id) = (run_id.clone(), None, None);
        stage.submit(Command::Cancel(Cancel { run_id, reason, agent_id })).await;
    }
    let waited = ended(waiting).await;
    assert!(waited.reached);
    let counts: Vec<_> = occurring(&waited.counts).collect();
    assert_eq!(counts, [(Status::Done, 3), (Status::Cancelled, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_abandoned_leaves_nothing_behind() {
    let stage = Stage::set(|options| options.waiting_max = 2);
    let run_id = created(&stage, create("n")).await;
    child(&stage, &run_id).await;
    let (waiting, children) = (waiter(&stage, &run_id, None).await, parent(&stage, &run_id).await);
    let refused = waiter(&stage, &run_id, None).await;
    assert_eq!(failure(refused.await.expect("no panic")), Code::Unavailable, "there is a bound");
    waiting.abort();
    children.abort();
    settle().await;
    assert_eq!(stage.service.load(), (0, 0));
    let before = stage.asked("history");
    stage.submit(set("k")).await;
    settle().await;
    assert_eq!(stage.asked("history"), before, "events are read although nobody waits");
}
