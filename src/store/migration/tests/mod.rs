//! What every conversion keeps, of data as the reference leaves it and of odd
//! data: nothing is lost, the state is one of ours, the history explains it.

mod any;
mod checked;

use std::collections::BTreeMap;

use super::tests::checked::converted;
use crate::machine::row::RunRow;
use crate::machine::{ClusterMs, Revision, WallMs};
use crate::store::migration::*;

const NOW: ClusterMs = ClusterMs(1_800_000_000_000);

fn run(run_id: &str, status: Status, agent_id: Option<&str>, last_step: i64) -> Run {
    Run {
        run_id: run_id.into(),
        name: "etl".into(),
        status,
        tags: BTreeMap::from([("team".into(), "data".into())]),
        agent_id: agent_id.map(Into::into),
        last_step,
        created_at: 1_700_000_000.25,
        updated_at: 1_700_000_010.5,
    }
}

fn step(run_id: &str, step: i64) -> Step {
    Step { run_id: run_id.into(), step, output: Json::new(format!("{{\"rows\": {step}}}")) }
}

fn entry(key: &str, new: &str, written_at: f64) -> Entry {
    let (key, new) = (key.into(), Json::new(new));
    Entry { key, new, previous: None, agent_id: None, written_at }
}

fn key(key: &str, value: &str, expires_at: Option<f64>) -> Key {
    Key { key: key.into(), value: Json::new(value), expires_at }
}

/// What the history tells of one subject: actions, and who did them.
fn told(events: &[Event], subject: &str) -> Vec<String> {
    let told = events.iter().filter(|event| &*event.subject == subject);
    told.map(|event| format!("{} {}", event.action.as_str(), event.actor.as_deref().unwrap_or("-")))
        .collect()
}

#[test]
fn an_empty_reference_is_an_empty_state() {
    let (rows, events) = converted(&Reference::default());
    assert_eq!(rows.meta.revision, Revision::ZERO);
    assert_eq!(events, []);
}

#[test]
fn a_claim_stays_its_agents_for_the_default_time() {
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
    assert_eq!(told(&events, "workflow:wf-1"), ["workflow_create -", "workflow_claim a"]);
    assert_eq!(
        told(&events, "workflow:wf-2"),
        ["workflow_create -", "workflow_claim b", "workflow_checkpoint b", "workflow_checkpoint b"]
    );
    assert_eq!((of("wf-2").last_step, of("wf-2").attempts), (2, 1));
    assert_eq!(of("wf-3").claim, None);
    assert!(of("wf-4").is_claimable(NOW), "claimed by nobody is free");
    let (created, updated) = (of("wf-1").created_at, of("wf-1").updated_at);
    assert_eq!((created.0, updated.0), (1_700_000_000_250, 1_700_000_010_500));
    assert_eq!(events[0].at, created);
    assert_eq!(events.last().unwrap().at, updated);
}

#[test]
fn runs_that_are_over_stay_over() {
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
    assert_eq!(told(&events, "workflow:wf-1").last().unwrap(), "workflow_complete a");
    assert_eq!(told(&events, "workflow:wf-2"), ["workflow_create -", "workflow_fail -"]);
    assert_eq!(told(&events, "workflow:wf-3").last().unwrap(), "workflow_cancel c");
    assert_eq!(
        told(&events, "workflow:wf-4"),
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
    assert_eq!(rows.steps.len(), 1, "steps below zero are in the history alone");
    assert_eq!(rows.runs["only below"].last_step, 0);
    assert_eq!(events.len(), 5);
}

#[test]
fn a_last_step_without_output_is_not_done_again() {
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
    assert_eq!(told(&events, "workflow:wf-2"), ["workflow_create -", "workflow_heartbeat -"]);
}

#[test]
fn a_row_that_the_history_explains_carries_its_revision() {
    let reference = Reference {
        keys: vec![
            key("told", "2", None),
            key("edited", "\"by hand\"", None),
            key("untold", "{}", Some(1_900_000_000.25)),
            key("expired", "0", Some(1_700_000_000.0)),
        ],
        history: vec![
            entry("told", "1", 1_700_000_100.0),
            entry("edited", "1", 1_700_000_101.0),
            entry("deleted", "1", 1_700_000_102.0),
            // The clock was set back.
            entry("told", "2", 1_600_000_000.0),
        ],
        ..Reference::default()
    };
    let (rows, events) = converted(&reference);
    assert_eq!(rows.keys["told"].revision, Revision(4));
    assert_eq!(events[3].at, WallMs(1_700_000_102_000), "time does not fall");
    let before = |key: &str| {
        let row = &rows.keys[key];
        events[row.revision.0 as usize - 1].previous.as_ref().map(Json::as_str)
    };
    assert_eq!((before("edited"), before("untold")), (Some("1"), None));
    assert_eq!(rows.keys["untold"].expires_at, Some(ClusterMs(1_900_000_000_250)));
    assert!(!rows.keys["expired"].lives_at(NOW), "kept, and absent to readers");
    assert_eq!(told(&events, "deleted"), ["state_set -", "state_delete -"]);
    assert_eq!(rows.meta.sets, 7);
}

#[test]
fn odd_times_have_bounds() {
    let reference = Reference {
        keys: vec![
            key("for ever", "1", Some(9.3e18)),
            key("never", "1", Some(-5.0)),
            key("infinite", "1", Some(f64::INFINITY)),
        ],
        history: vec![entry("future", "1", 4e9), entry("after", "1", 1.7e9)],
        runs: vec![Run { created_at: f64::NAN, ..run("wf-1", Status::Claimed, Some("a"), 0) }],
        ..Reference::default()
    };
    let (rows, events) = converted(&reference);
    assert_eq!(rows.keys["for ever"].expires_at, Some(ClusterMs::LAST));
    assert_eq!(rows.keys["infinite"].expires_at, Some(ClusterMs::LAST));
    assert_eq!(rows.keys["never"].expires_at, Some(ClusterMs(0)));
    assert_eq!(events[0].at, WallMs(NOW.0), "a clock that was ahead does not bind ours");
}
