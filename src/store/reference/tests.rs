//! What every conversion keeps, of data as the reference leaves it and of odd
//! data: nothing is lost, the state is one of ours, the history explains it.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::machine::draft::{lease_subject, run_subject, session_subject};
use crate::machine::invariant::{self, Rows};
use crate::machine::row::RunRow;
use crate::machine::{Action, Chain, Change, ClusterMs, Revision, WallMs};
use crate::store::row_record;
use crate::store::tables::Tables;

const NOW: ClusterMs = ClusterMs(1_800_000_000_000);

/// The conversion, after everything that holds of each was checked.
fn converted(reference: &Reference) -> (Rows, Vec<Event>) {
    let Converted { meta, rows, events } = convert(reference, NOW);
    assert_eq!(convert(reference, NOW).events, events, "chance was at work");
    let changes: Vec<Change> = rows.into_iter().filter_map(row_record::row).collect();
    Tables::restore(meta.clone(), changes.clone()).check_indexes().unwrap();
    let count = changes.len();
    let rows = Rows::collect(meta, changes);
    assert_eq!(invariant::check_state(&rows), []);
    assert_eq!(
        count,
        rows.keys.len()
            + rows.leases.len()
            + rows.runs.len()
            + rows.steps.len()
            + rows.sessions.len(),
        "a row was put twice"
    );
    history_is_whole(&rows, &events);
    rows_are_explained(&rows, &events);
    nothing_is_lost(reference, &rows, &events);
    (rows, events)
}

fn history_is_whole(rows: &Rows, events: &[Event]) {
    let (mut chain, mut at, mut revision) = (Chain::default(), WallMs(0), Revision::ZERO);
    for event in events {
        revision = revision.next();
        assert_eq!(event.revision, revision);
        assert!(event.follows(chain), "{event:?}");
        assert!(event.at >= at, "time fell from {at:?}: {event:?}");
        (chain, at) = (event.chain, event.at);
    }
    assert!(at <= WallMs(NOW.0), "{at:?} is of the future");
    assert_eq!((rows.meta.revision, rows.meta.chain), (revision, chain));
    assert_eq!((rows.meta.clock, rows.meta.wall), (NOW, WallMs(NOW.0)));
    let sets = events.iter().filter(|event| event.action == Action::StateSet).count();
    assert_eq!(rows.meta.sets, sets as u64);
}

/// Each row carries the revision of the last event about it, and each token is
/// that of a grant.
fn rows_are_explained(rows: &Rows, events: &[Event]) {
    let last: BTreeMap<&Text, &Event> =
        events.iter().map(|event| (&event.subject, event)).collect();
    for (key, row) in &rows.keys {
        let event = last[key];
        assert_eq!((event.revision, event.new.as_ref()), (row.revision, Some(&row.value)));
    }
    for (id, row) in &rows.leases {
        let event = last[&lease_subject(id)];
        assert_eq!((event.action, event.revision), (Action::LeaseAcquire, row.token));
        assert_eq!(event.actor.as_ref(), Some(&row.holder_id));
    }
    for (id, row) in &rows.sessions {
        let event = last[&session_subject(id)];
        assert_eq!((event.revision, event.new.as_ref()), (row.revision, Some(&row.context)));
    }
    for row in rows.runs.values() {
        assert_eq!(last[&run_subject(&row.run_id)].revision, row.revision, "{row:?}");
        let created = &events[row.created_revision.0 as usize - 1];
        assert_eq!(created.action, Action::WorkflowCreate);
        assert_eq!(created.subject, run_subject(&row.run_id));
        if let Some(claim) = &row.claim {
            let granted = &events[claim.token.0 as usize - 1];
            assert_eq!(granted.action, Action::WorkflowClaim);
            assert_eq!(granted.actor, row.agent_id);
            assert_eq!(claim.expires_at, NOW.plus(claim.ttl_ms));
        }
    }
    for ((run_id, _), row) in &rows.steps {
        let stored = &events[row.revision.0 as usize - 1];
        assert_eq!(stored.action, Action::WorkflowCheckpoint);
        assert_eq!(stored.subject, run_subject(run_id));
    }
    for (subject, event) in last {
        let gone = event.new.is_none();
        let of_key = matches!(event.action, Action::StateSet | Action::StateDelete);
        assert!(!of_key || gone != rows.keys.contains_key(subject), "{event:?}");
    }
}

fn nothing_is_lost(reference: &Reference, rows: &Rows, events: &[Event]) {
    assert_eq!(reference.keys.len(), rows.keys.len());
    for key in &reference.keys {
        let row = &rows.keys[&key.key];
        assert_eq!(row.value, key.value);
        assert_eq!(row.expires_at.is_some(), key.expires_at.is_some());
    }
    for lease in &reference.leases {
        assert_eq!(rows.leases[&lease.resource_id].holder_id, lease.holder_id);
    }
    for run in &reference.runs {
        let row = &rows.runs[&run.run_id];
        assert_eq!((&row.name, &row.tags), (&run.name, &run.tags));
        assert!(row.last_step as i64 >= run.last_step);
        let nobodys = run.status == Status::Claimed && run.agent_id.is_none();
        assert_eq!(row.status, if nobodys { Status::Created } else { run.status });
    }
    for step in &reference.steps {
        let output = step.output.as_str();
        assert!(events.iter().any(|event| {
            event.subject == run_subject(&step.run_id)
                && event.new.as_ref().is_some_and(|new| {
                    new.as_str() == format!("{{\"step\":{},\"output\":{output}}}", step.step)
                })
        }));
        if let Ok(number) = u64::try_from(step.step) {
            assert_eq!(rows.steps[&(step.run_id.clone(), number)].output, step.output);
        }
    }
    for session in &reference.sessions {
        assert_eq!(rows.sessions[&session.session_id].context, session.context);
    }
    // In their order: a subsequence of what the history has.
    let mut told = events.iter().filter(|event| event.action == Action::StateSet);
    for entry in &reference.history {
        let wanted = (&entry.key, Some(&entry.new), &entry.previous, &entry.agent_id);
        assert!(
            told.any(|event| {
                (&event.subject, event.new.as_ref(), &event.previous, &event.actor) == wanted
            }),
            "{entry:?} is lost"
        );
    }
}

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

/// The actions and actors of one subject, and the seconds since the first run
/// was created.
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
        ..Reference::default()
    };
    let (rows, events) = converted(&reference);
    assert_eq!(rows.keys["for ever"].expires_at, Some(ClusterMs::LAST));
    assert_eq!(rows.keys["infinite"].expires_at, Some(ClusterMs::LAST));
    assert_eq!(rows.keys["never"].expires_at, Some(ClusterMs(0)));
    assert_eq!(events[0].at, WallMs(NOW.0), "a clock that was ahead does not bind ours");
}

/// Whatever is in the tables. `SEED` gives the same again.
#[test]
fn any_reference_becomes_a_state() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("any_reference_becomes_a_state: SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    for _ in 0..300 {
        converted(&any(&mut chance));
    }
}

fn any(chance: &mut StdRng) -> Reference {
    const STATUSES: [Status; 6] = [
        Status::Created,
        Status::Claimed,
        Status::Running,
        Status::Done,
        Status::Failed,
        Status::Cancelled,
    ];
    let mut names = |most: usize| -> BTreeSet<String> {
        let count = chance.random_range(0..=most);
        (0..count).map(|_| format!("n{}", chance.random_range(0..8))).collect()
    };
    let (keys, leases, runs, sessions, stepped) =
        (names(6), names(4), names(6), names(4), names(8));
    let at = |chance: &mut StdRng| 1.8e9 + chance.random_range(-1000..200) as f64 / 8.0;
    let value = |chance: &mut StdRng| Json::new(chance.random_range(0..3).to_string());
    let agent = |chance: &mut StdRng| match chance.random_range(0..3) {
        0 => None,
        n => Some(Text::from(format!("agent-{n}"))),
    };
    Reference {
        keys: keys
            .iter()
            .map(|name| {
                let expires_at = chance.random_bool(0.5).then(|| at(chance));
                Key { key: (&**name).into(), value: value(chance), expires_at }
            })
            .collect(),
        leases: leases
            .iter()
            .map(|name| Lease {
                resource_id: (&**name).into(),
                holder_id: agent(chance).unwrap_or_else(|| "".into()),
                expires_at: at(chance),
            })
            .collect(),
        runs: runs
            .iter()
            .map(|name| Run {
                status: STATUSES[chance.random_range(0..STATUSES.len())],
                agent_id: agent(chance),
                created_at: at(chance),
                updated_at: at(chance),
                ..run(name, Status::Created, None, chance.random_range(-1..5))
            })
            .collect(),
        steps: stepped
            .iter()
            .flat_map(|name| (-1..3).map(move |n| (name, n)))
            .filter(|_| chance.random_bool(0.5))
            .map(|(name, n)| step(name, n))
            .collect(),
        sessions: sessions
            .iter()
            .map(|name| Session {
                session_id: (&**name).into(),
                context: value(chance),
                saved_at: chance.random_bool(0.7).then(|| at(chance)),
                updated_at: chance.random_bool(0.7).then(|| at(chance)),
            })
            .collect(),
        history: (0..chance.random_range(0..12))
            .map(|_| Entry {
                key: format!("n{}", chance.random_range(0..8)).into(),
                new: value(chance),
                previous: chance.random_bool(0.5).then(|| value(chance)),
                agent_id: agent(chance),
                written_at: at(chance),
            })
            .collect(),
    }
}
