//! Callers that go away: what was granted to them is given back.

use mcp_state_sidecar::machine::command::ClaimNext;
use mcp_state_sidecar::machine::row_id::RowId;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::{Command, Row, View};
use mcp_state_sidecar::service::Context;

use crate::stage::{Stage, acquire, any, create, ended, release, settle, with_key};

fn is_held(stage: &Stage) -> bool {
    let state = stage.probe.inner.state();
    state.tables.row(&RowId::Lease("r".into())).expect("infallible").is_some()
}

fn claims(stage: &Stage) -> usize {
    let state = stage.probe.inner.state();
    let claimed = |row: &&std::sync::Arc<Row>| match &***row {
        Row::Run(run) => run.status == Status::Claimed,
        _ => false,
    };
    state.tables.rows().filter(claimed).count()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_has_left_the_queue_is_passed_over() {
    let stage = Stage::new();
    let gone = stage.worker(any("gone"), Context::default()).await;
    let next = stage.worker(any("next"), Context::default()).await;
    gone.abort();
    settle().await;
    stage.submit(create("n")).await;
    assert_eq!(ended(next).await.agent_id.as_deref(), Some("next"));
    assert_eq!(stage.submitted(), 2, "nothing was granted to the caller that had gone away");
    assert_eq!(stage.service.load(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_received_is_given_back_and_goes_to_the_next() {
    let stage = Stage::new();
    let gone = stage.worker(any("gone"), Context::default()).await;
    let next = stage.worker(any("next"), Context::default()).await;
    stage.hold_replies();
    let service = stage.service.clone();
    tokio::spawn(async move { service.submit(create("n"), Context::default()).await });
    settle().await;
    assert_eq!((stage.submitted(), claims(&stage)), (2, 1), "claimed, and not answered");
    gone.abort();
    settle().await;
    stage.let_replies_go();
    assert_eq!(ended(next).await.agent_id.as_deref(), Some("next"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_without_waiting_that_nobody_received_is_given_back() {
    let stage = Stage::new();
    stage.submit(create("n")).await;
    stage.hold_replies();
    let service = stage.service.clone();
    let claim = Command::ClaimNext(any("gone"));
    let gone = tokio::spawn(async move { service.submit(claim, Context::default()).await });
    settle().await;
    assert_eq!(claims(&stage), 1);
    gone.abort();
    stage.let_replies_go();
    settle().await;
    assert_eq!(claims(&stage), 0);
}

#[tokio::test(start_paused = true)]
async fn every_run_of_a_batch_that_nobody_received_is_given_back() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.submit(create("n")).await;
    }
    stage.hold_replies();
    let service = stage.service.clone();
    let claim = Command::ClaimNext(ClaimNext { limit: Some(3), ..any("gone") });
    let gone = tokio::spawn(async move { service.submit(claim, Context::default()).await });
    settle().await;
    assert_eq!(claims(&stage), 3);
    gone.abort();
    stage.let_replies_go();
    settle().await;
    assert_eq!(claims(&stage), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_never_read_is_given_back() {
    let stage = Stage::new();
    stage.hold_replies();
    let service = stage.service.clone();
    let mut gone = Box::pin(async move {
        service.submit(Command::Acquire(acquire("gone")), Context::default()).await
    });
    assert!(futures::poll!(&mut gone).is_pending());
    settle().await;
    stage.let_replies_go();
    settle().await;
    assert!(is_held(&stage), "the reply has arrived and nobody has read it");
    drop(gone);
    settle().await;
    assert!(!is_held(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_received_is_given_back_and_goes_to_the_next() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("h"))).await;
    let gone = stage.holder(acquire("gone"), Context::default()).await;
    let next = stage.holder(acquire("next"), Context::default()).await;
    stage.hold_replies();
    let service = stage.service.clone();
    tokio::spawn(async move { service.submit(release("h"), Context::default()).await });
    settle().await;
    gone.abort();
    settle().await;
    stage.let_replies_go();
    assert_eq!(ended(next).await.holder.as_deref(), Some("next"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_held_before_is_kept() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("h"))).await;
    stage.hold_replies();
    let service = stage.service.clone();
    let again = Command::Acquire(acquire("h"));
    let gone = tokio::spawn(async move { service.submit(again, Context::default()).await });
    settle().await;
    gone.abort();
    stage.let_replies_go();
    settle().await;
    assert!(is_held(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_acquired_again_meanwhile_is_kept() {
    let stage = Stage::new();
    stage.hold_replies();
    let service = stage.service.clone();
    let first = Command::Acquire(acquire("h"));
    let gone = tokio::spawn(async move { service.submit(first, Context::default()).await });
    settle().await;
    gone.abort();
    let service = stage.service.clone();
    let again = Command::Acquire(acquire("h"));
    let again = tokio::spawn(async move { service.submit(again, Context::default()).await });
    settle().await;
    stage.let_replies_go();
    ended(again).await;
    assert!(is_held(&stage));
}

#[tokio::test(start_paused = true)]
async fn with_a_key_a_repeated_call_returns_the_undelivered_grant() {
    let stage = Stage::new();
    stage.submit(create("n")).await;
    stage.hold_replies();
    let gone = stage.worker(any("w"), with_key("k")).await;
    gone.abort();
    stage.let_replies_go();
    settle().await;
    assert_eq!(claims(&stage), 1);
    let again = stage.worker(any("w"), with_key("k")).await;
    assert!(ended(again).await.claimed);
    assert_eq!(claims(&stage), 1);
}
