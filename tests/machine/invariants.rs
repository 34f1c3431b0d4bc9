//! The invariants themselves: each one sees the state or step that breaks it.

use mcp_state_sidecar::machine::invariant::{
    Rows, Transition, Violation, check_state, check_transition,
};
use mcp_state_sidecar::machine::row::LeaseHolder;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::world::World;

/// A state with a bit of everything.
fn full() -> World {
    let mut world = World::default();
    world.run_as("i", 1, set("k", "1"));
    let parent = created(world.run(create("w")));
    let parent_run_id = Some(parent.as_str().into());
    world.run(Command::Create(command::Create { parent_run_id, ..create_of("c") }));
    world.run(claim(&parent, "a", 1_000));
    world.run(checkpoint(&parent, 3, claimant("a", 0)));
    world.run(Command::SaveSession(save("s", "{}")));
    world.run_from((1, 5, 5), acquire("r", "a", 1_000));
    world
}

#[test]
fn each_invariant_of_a_state_sees_what_breaks_it() {
    type Corrupt = fn(&mut Rows);
    let breaks: [(&str, Corrupt); 13] = [
        ("no row is ahead", |rows| first(&mut rows.keys).revision = Revision(99)),
        ("no row is ahead", |rows| first(&mut rows.runs).created_revision = Revision(3)),
        ("a token is the revision", |rows| first(&mut rows.leases).holders[0].token = Revision(99)),
        ("a token is the revision", |rows| {
            let claim = first(&mut rows.runs).claim.as_mut();
            claim.expect("the first run is claimed").token = Revision(1);
        }),
        ("a lease has no more holders", |rows| {
            let lease = first(&mut rows.leases);
            let second = LeaseHolder { holder_id: "second".into(), ..lease.holders[0].clone() };
            lease.holders.push(second);
        }),
        ("a claim has an agent", |rows| first(&mut rows.runs).agent_id = None),
        ("the last step", |rows| first(&mut rows.runs).last_step = 4),
        ("steps have their run", |rows| drop(rows.runs.pop_first())),
        ("the last step", |rows| first(&mut rows.runs).steps.count = 4),
        ("no child of a cancelled", |rows| first(&mut rows.runs).status = Status::Cancelled),
        ("remembered answers", |rows| {
            rows.origins.get_mut(&1).expect("session 1 is known").lowest = 6;
        }),
        ("what is remembered", |rows| first(&mut rows.requests).at = ClusterMs(u64::MAX)),
        ("the history's anchor", |rows| rows.meta.sets = 99),
    ];
    let world = full();
    assert_eq!(check_state(world.rows()), []);
    for (name, corrupt) in breaks {
        let mut rows = world.rows().clone();
        corrupt(&mut rows);
        let broken = check_state(&rows);
        assert!(broken.iter().any(|seen| seen.invariant.starts_with(name)), "{name}: {broken:?}");
    }
}

fn first<K, R>(rows: &mut std::collections::BTreeMap<K, R>) -> &mut R {
    rows.values_mut().next().expect("the state has one of everything")
}

#[test]
fn each_invariant_of_a_step_sees_what_breaks_it() {
    type Corrupt = fn(&mut Decision, &mut Rows);
    let breaks: [(&str, Command, Corrupt); 11] = [
        ("the revision grows", set("k", "2"), |decision, _| decision.events.clear()),
        ("each event is chained", set("k", "2"), |decision, _| {
            decision.events[0].new = Some(Json::new("3"));
        }),
        ("clocks never fall", set("k", "2"), |_, after| after.meta.clock = ClusterMs(1)),
        ("a refused command", cancel("wf-none"), |_, after| after.sessions.clear()),
        ("every change of state", set("k", "2"), |decision, _| {
            decision.events[0].subject = "another".into();
        }),
        ("runs that are over", cancel("wf-000000000003"), |_, after| {
            after.runs.clear();
        }),
        ("stored steps are kept", set("k", "2"), |_, after| after.steps.clear()),
        ("tokens of one resource", set("k", "2"), |_, after| {
            first(&mut after.leases).holders[0].token = Revision(1);
        }),
        ("a run that is not over", set("k", "2"), |_, after| {
            let run = first(&mut after.runs);
            (run.claim, run.ready_at, run.agent_id) = (None, None, None);
        }),
        ("attempts are counted", set("k", "2"), |_, after| {
            let run = first(&mut after.runs);
            run.claim.as_mut().expect("it is claimed").token = Revision(1_000);
        }),
        ("nobody loses", set("k", "2"), |_, after| {
            first(&mut after.leases).holders[0].holder_id = "thief".into();
        }),
    ];
    let mut world = full();
    world.run(cancel("wf-000000000003"));
    for (name, command, corrupt) in breaks {
        let envelope = world.envelope(command);
        let Ok(mut decision) = decide(&envelope, &world.tables);
        let mut after = world.rows().after(&decision);
        assert_eq!(broken_by(&world, &envelope, &decision, &after), []);
        corrupt(&mut decision, &mut after);
        let broken = broken_by(&world, &envelope, &decision, &after);
        assert!(broken.iter().any(|seen| seen.invariant.starts_with(name)), "{name}: {broken:?}");
    }
}

fn broken_by(
    before: &World,
    envelope: &Envelope,
    decision: &Decision,
    after: &Rows,
) -> Vec<Violation> {
    check_transition(&Transition { before: before.rows(), envelope, decision, after })
}
