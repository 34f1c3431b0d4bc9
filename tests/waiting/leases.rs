//! Calls that wait for a lease.

use std::time::Duration;

use mcp_state_sidecar::machine::command::Acquire;
use mcp_state_sidecar::machine::{Command, Reply};
use mcp_state_sidecar::service::Context;

use crate::stage::{LONG, Stage, acquire, ended, release, settle, with_key};

#[tokio::test(start_paused = true)]
async fn a_lease_is_handed_on_in_order() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("h"))).await;
    let mut waiting = Vec::new();
    for number in 0..5 {
        waiting.push(stage.holder(acquire(&number.to_string()), Context::default()).await);
    }
    assert_eq!(stage.submitted(), 1, "a wait writes nothing");
    let mut holder = String::from("h");
    for (number, next) in waiting.into_iter().enumerate() {
        stage.submit(release(&holder)).await;
        let acquired = ended(next).await;
        assert!(acquired.acquired && acquired.granted);
        holder = number.to_string();
        assert_eq!(acquired.holder.as_deref(), Some(&*holder));
    }
    assert_eq!(stage.submitted(), 11, "five releases and five grants");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_expires_is_handed_on() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("h"))).await;
    let waiting = stage.holder(acquire("w"), Context::default()).await;
    stage.pass(20_000).await;
    // The holder renews the lease.
    stage.submit(Command::Acquire(acquire("h"))).await;
    stage.pass(20_000).await;
    assert!(!waiting.is_finished());
    stage.pass(10_000).await;
    assert!(ended(waiting).await.acquired);
    assert_eq!(stage.submitted(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_acquires_again_and_again_does_not_starve_others() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("greedy"))).await;
    let waiting = stage.holder(acquire("w"), Context::default()).await;
    // There is no pause in which another caller could run first.
    stage.submit(release("greedy")).await;
    let Reply::Acquired(refused) = stage.submit(Command::Acquire(acquire("greedy"))).await else {
        panic!("another reply")
    };
    assert!(!refused.acquired, "{refused:?}");
    assert_eq!(refused.holder.as_deref(), Some("w"));
    assert!(ended(waiting).await.acquired);
}

#[tokio::test(start_paused = true)]
async fn the_holder_is_answered_at_once_although_others_wait() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("h"))).await;
    let waiting = stage.holder(acquire("w"), Context::default()).await;
    let again = stage.service.acquire(acquire("h"), Context::default(), LONG).await;
    assert!(again.is_ok_and(|again| again.acquired && !again.granted));
    assert!(!waiting.is_finished());
}

#[tokio::test(start_paused = true)]
async fn callers_that_wait_under_the_holders_name_are_answered_too() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("h"))).await;
    let first = stage.holder(acquire("w"), Context::default()).await;
    let other = stage.holder(acquire("x"), Context::default()).await;
    let same = stage.holder(acquire("w"), Context::default()).await;
    stage.submit(release("h")).await;
    assert!(ended(first).await.granted);
    let same = ended(same).await;
    assert!(same.acquired && !same.granted);
    assert!(!other.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_reset_frees_the_lease_that_a_caller_waits_for() {
    let stage = Stage::new();
    stage.submit(Command::Acquire(acquire("h"))).await;
    let waiting = stage.holder(acquire("w"), Context::default()).await;
    stage.submit(Command::Reset).await;
    assert!(ended(waiting).await.acquired);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_names_the_holder() {
    let stage = Stage::new();
    let hour = mcp_state_sidecar::machine::command::Acquire { ttl_ms: 3_600_000, ..acquire("h") };
    stage.submit(Command::Acquire(hour)).await;
    let waiting = stage.service.acquire(acquire("w"), with_key("k"), Duration::from_secs(5));
    let refused = waiting.await.expect("an answer");
    assert!(!refused.acquired);
    assert_eq!(refused.reason.as_deref(), Some("Held by 'h'"));
    assert_eq!(stage.submitted(), 1, "that there is nothing is read, not written");
    stage.submit(release("h")).await;
    let again = stage.holder(acquire("w"), with_key("k")).await;
    assert!(ended(again).await.acquired, "a refusal is not remembered");
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn each_permit_that_becomes_free_wakes_a_caller() {
    let stage = Stage::new();
    let of = |holder: &str| Acquire { permits: 2, ..acquire(holder) };
    for holder in ["a", "b"] {
        stage.submit(Command::Acquire(of(holder))).await;
    }
    let (third, fourth) = (
        stage.holder(of("c"), Context::default()).await,
        stage.holder(of("d"), Context::default()).await,
    );
    stage.submit(release("a")).await;
    assert!(ended(third).await.acquired);
    assert!(!fourth.is_finished());
    stage.submit(release("b")).await;
    assert!(ended(fourth).await.acquired);
}

#[tokio::test(start_paused = true)]
async fn permits_that_expire_together_wake_as_many_callers() {
    let stage = Stage::new();
    let of = |holder: &str| Acquire { permits: 2, ..acquire(holder) };
    for holder in ["a", "b"] {
        stage.submit(Command::Acquire(of(holder))).await;
    }
    let waiting = [
        stage.holder(of("c"), Context::default()).await,
        stage.holder(of("d"), Context::default()).await,
    ];
    stage.pass(acquire("a").ttl_ms).await;
    for caller in waiting {
        assert!(ended(caller).await.acquired);
    }
}
