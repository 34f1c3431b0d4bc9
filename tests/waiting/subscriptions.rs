//! Subscriptions: what is taken at once is whole, so that a client can go on after any part
//! of it; and a client may know more than the node to which it comes back.

use futures::FutureExt;
use mcp_state_sidecar::machine::Revision;
use mcp_state_sidecar::service::waiting::{SubscribedSubject, Subscription};

use crate::stage::{Stage, set, settle};

fn subscribe(stage: &Stage) -> Subscription {
    let subjects = ["a", "b"].map(|key| SubscribedSubject::Key(key.into()));
    stage.service.subscribe(subjects.to_vec()).expect("there is room")
}

/// The places of the keys that have changed, with the revisions, if any have.
fn changed(subscription: &Subscription) -> Option<Vec<(usize, Revision)>> {
    subscription.changed().now_or_never().map(|changes| changes.subjects)
}

#[tokio::test(start_paused = true)]
async fn a_stretch_of_several_pages_is_told_as_a_whole() {
    const PAGE: usize = 1_000;
    let stage = Stage::new();
    let subscription = subscribe(&stage);
    stage.probe.hold_history();
    stage.submit(set("other")).await;
    settle().await;
    assert_eq!(stage.asked("history"), 1, "the task follows the first change");
    stage.submit(set("b")).await;
    for _ in 0..PAGE {
        stage.submit(set("other")).await;
    }
    stage.submit(set("a")).await;
    // The newest page of the others is read first, and has one of the two.
    stage.probe.let_pass(2);
    settle().await;
    assert_eq!(stage.asked("history"), 3);
    assert_eq!(changed(&subscription), None, "a change before these may not have been seen");
    stage.probe.let_all_pass();
    let changes = subscription.changed().await.subjects;
    assert_eq!(changes, [(1, Revision(2)), (0, Revision(PAGE as u64 + 3))]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_knows_more_than_a_node_is_told_what_is_new_to_it() {
    let stage = Stage::new();
    stage.submit(set("b")).await;
    stage.probe.lag_behind();
    let subscription = subscribe(&stage);
    stage.submit(set("a")).await;
    let seen = Revision(2);
    subscription.go_back_to(seen).await.expect("readable");
    stage.probe.catch_up();
    settle().await;
    assert_eq!(changed(&subscription), None, "another node has told it");
    stage.submit(set("b")).await;
    stage.probe.catch_up();
    assert_eq!(subscription.changed().await.subjects, [(1, Revision(3))]);
    // There is no such revision anywhere.
    let subscription = subscribe(&stage);
    subscription.go_back_to(Revision(4)).await.expect("readable");
    let all = [(0, Revision(3)), (1, Revision(3))];
    assert_eq!(changed(&subscription).as_deref(), Some(&all[..]));
}
