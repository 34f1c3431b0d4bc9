//! Conversions of data as the reference leaves it, and of unusual data.

use super::examples::{NOW, key, run, set, step};
use super::properties::converted;
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::{ClusterMs, Event, Json, Revision, WallMs};
use crate::store::migration::{Reference, ReferenceRun};

/// The history of one subject: each action and its agent.
fn actions(events: &[Event], subject: &str) -> Vec<String> {
    let events = events.iter().filter(|event| &*event.subject == subject);
    events
        .map(|event| format!("{} {}", event.action.as_str(), event.actor.as_deref().unwrap_or("-")))
        .collect()
}

#[test]
fn an_empty_reference_is_an_empty_state() {
    let (rows, events) = converted(&Reference::default());
    assert_eq!(rows.meta.revision, Revision::ZERO);
    assert_eq!(events, []);
}

#[test]
fn a_claim_stays_with_its_agent_for_the_default_time() {
    let reference = Reference {
        runs: vec![
            run("wf-1", Status::Claimed, Some("a"), 0),
            run("wf-2", Status::Running, Some("b"), 2),
            run("wf-3", Status::Running, None, 1),
            run("wf-4", Status::Claimed, None, 0),
        ],
        steps: vec![step("wf-2", 2), step("wf-2", 0), step("wf-3", 1)],
        ..Reference::default()
    };
    let (rows, events) = converted(&reference);
    let of = |run_id: &str| -> &RunRow { &rows.runs[run_id] };
    assert!(!of("wf-1").is_claimable(NOW.plus(299_999)));
    assert!(of("wf-1").is_claimable(NOW.plus(300_000)));
    assert_eq!(actions(&events, "workflow:wf-1"), ["workflow_create -", "workflow_claim a"]);
    assert_eq!(
        actions(&events, "workflow:wf-2"),
        ["workflow_create -", "workflow_claim b", "workflow_checkpoint b", "workflow_checkpoint b"]
    );
    assert_eq!((of("wf-2").last_step, of("wf-2").attempts), (2, 1));
    assert_eq!(of("wf-3").claim, None);
    assert!(of("wf-4").is_claimable(NOW), "a run that is claimed by nobody is free");
    let (created, updated) = (of("wf-1").created_at, of("wf-1").updated_at);
    assert_eq!((created.0, updated.0), (1_700_000_000_250, 1_700_000_010_500));
    assert_eq!(events[0].at, created);
    assert_eq!(events.last().unwrap().at, updated);
}

#[test]
fn finished_runs_stay_finished() {
    let reference = Reference {
        runs: vec![
            run("wf-1", Status::Done, Some("a"), 1),
            run("wf-2", Status::Failed, None, 0),
            run("wf-3", Status::Cancelled, Some("c"), 0),
            run("wf-4", Status::Created, Some("d"), 1),
        ],
        steps: vec![step("wf-1", 1), step("wf-4", 1)],
        ..Reference::default()
    };
    let (_, events) = converted(&reference);
    assert_eq!(actions(&events, "workflow:wf-1").last().unwrap(), "workflow_complete a");
    assert_eq!(actions(&events, "workflow:wf-2"), ["workflow_create -", "workflow_fail -"]);
    assert_eq!(actions(&events, "workflow:wf-3").last().unwrap(), "workflow_cancel c");
    assert_eq!(
        actions(&events, "workflow:wf-4"),
        ["workflow_create d", "workflow_checkpoint -", "workflow_release -"]
    );
}

#[test]
fn steps_of_unknown_runs_create_them() {
    let steps = vec![step("nobody knows", 3), step("nobody knows", -2), step("only below", -1)];
    let (rows, events) = converted(&Reference { steps, ..Reference::default() });
    let run = &rows.runs["nobody knows"];
    assert_eq!((&*run.name, run.status, run.last_step), ("nobody knows", Status::Running, 3));
    assert_eq!((run.agent_id.as_ref(), run.claimable_from()), (None, None));
    assert_eq!(rows.steps.len(), 1, "steps below zero are only in the history");
    assert_eq!(rows.runs["only below"].last_step, 0);
    assert_eq!(events.len(), 5);
}

#[test]
fn a_last_step_without_output_is_not_repeated() {
    let reference = Reference {
        runs: vec![
            run("wf-1", Status::Running, Some("a"), 7),
            run("wf-2", Status::Running, None, 0),
        ],
        steps: vec![step("wf-1", 6)],
        ..Reference::default()
    };
    let (rows, events) = converted(&reference);
    assert_eq!(rows.steps[&("wf-1".into(), 7)].output.as_str(), "null");
    assert_eq!(actions(&events, "workflow:wf-2"), ["workflow_create -", "workflow_heartbeat -"]);
}

#[test]
fn a_row_that_the_history_explains_carries_its_revision() {
    let reference = Reference {
        keys: vec![
            key("explained", "2", None),
            key("edited", "\"by hand\"", None),
            key("unexplained", "{}", Some(1_900_000_000.25)),
            key("expired", "0", Some(1_700_000_000.0)),
        ],
        history: vec![
            set("explained", "1", 1_700_000_100.0),
            set("edited", "1", 1_700_000_101.0),
            set("deleted", "1", 1_700_000_102.0),
            // The reference's clock was set back.
            set("explained", "2", 1_600_000_000.0),
        ],
        ..Reference::default()
    };
    let (rows, events) = converted(&reference);
    assert_eq!(rows.keys["explained"].revision, Revision(4));
    assert_eq!(events[3].at, WallMs(1_700_000_102_000), "the history's time does not go back");
    let before = |key: &str| {
        let row = &rows.keys[key];
        events[row.revision.0 as usize - 1].previous.as_ref().map(Json::as_str)
    };
    assert_eq!((before("edited"), before("unexplained")), (Some("1"), None));
    assert_eq!(rows.keys["unexplained"].expires_at, Some(ClusterMs(1_900_000_000_250)));
    assert!(!rows.keys["expired"].lives_at(NOW), "the row is kept, but absent for readers");
    assert_eq!(actions(&events, "deleted"), ["state_set -", "state_delete -"]);
    assert_eq!(rows.meta.sets, 7);
}

#[test]
fn times_out_of_range_are_clamped() {
    let reference = Reference {
        keys: vec![
            key("for ever", "1", Some(9.3e18)),
            key("never", "1", Some(-5.0)),
            key("infinite", "1", Some(f64::INFINITY)),
        ],
        history: vec![set("future", "1", 4e9), set("after", "1", 1.7e9)],
        runs: vec![ReferenceRun {
            created_at: f64::NAN,
            ..run("wf-1", Status::Claimed, Some("a"), 0)
        }],
        ..Reference::default()
    };
    let (rows, events) = converted(&reference);
    assert_eq!(rows.keys["for ever"].expires_at, Some(ClusterMs::LAST));
    assert_eq!(rows.keys["infinite"].expires_at, Some(ClusterMs::LAST));
    assert_eq!(rows.keys["never"].expires_at, Some(ClusterMs(0)));
    assert_eq!(events[0].at, WallMs(NOW.0), "a time in the future does not set our clock ahead");
}
