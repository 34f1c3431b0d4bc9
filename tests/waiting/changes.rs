//! Calls that wait for a change of keys.

use mcp_state_sidecar::machine::filter::ChangeFilter;
use mcp_state_sidecar::machine::{Command, Revision};
use mcp_state_sidecar::service::ServiceError;
use mcp_state_sidecar::service::waiting::KeyChanges;
use tokio::task::JoinHandle;

use crate::stage::{LONG, Stage, ended, set, settle};

async fn watcher(
    stage: &Stage,
    filter: ChangeFilter,
) -> JoinHandle<Result<KeyChanges, ServiceError>> {
    let service = stage.service.clone();
    let task = tokio::spawn(async move { service.wait_for_change(filter, None, LONG, 10).await });
    settle().await;
    task
}

fn prefix(prefix: &str) -> ChangeFilter {
    ChangeFilter::Prefix(prefix.into())
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_the_callers_that_it_concerns() {
    let stage = Stage::new();
    let mut others = Vec::new();
    for number in 0..300 {
        others.push(watcher(&stage, prefix(&format!("other {number}:"))).await);
    }
    let key = watcher(&stage, ChangeFilter::Key("a:b".into())).await;
    let near = watcher(&stage, prefix("a:")).await;
    let all = watcher(&stage, prefix("")).await;
    let before = stage.asked("changes");
    for _ in 0..100 {
        stage.submit(set("b")).await;
    }
    let all = ended(all).await;
    assert_eq!(&*all.events[0].subject, "b");
    stage.submit(set("a:b")).await;
    for waiting in [key, near] {
        let changed = ended(waiting).await;
        assert_eq!(changed.events.len(), 1);
        assert_eq!((&*changed.events[0].subject, changed.revision), ("a:b", Revision(101)));
    }
    let asked = stage.asked("changes") - before;
    assert!(
        asked <= 105,
        "{asked} questions, instead of one for each change and three for the callers that woke"
    );
    assert!(others.iter().all(|other| !other.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_returns_the_revision_to_go_on_from() {
    let stage = Stage::new();
    let waiting = watcher(&stage, ChangeFilter::Key("k".into())).await;
    stage.submit(set("other")).await;
    tokio::time::sleep(LONG).await;
    let changed = ended(waiting).await;
    assert!(changed.events.is_empty() && !changed.missed);
    assert_eq!(changed.revision, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn changes_that_a_reset_removed_are_reported_as_missed() {
    let stage = Stage::new();
    stage.submit(set("k")).await;
    let waiting = watcher(&stage, ChangeFilter::Key("k".into())).await;
    stage.submit(set("other")).await;
    settle().await;
    stage.submit(Command::Reset).await;
    assert!(ended(waiting).await.missed);
}
