//! Footprints: every world checks them with each command; here, that the check
//! itself sees a rule that goes astray.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::footprint::Lookup;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::fenced::Fenced;
use crate::world::World;

/// What decides outside the footprint once `shrink` has taken a part of it.
fn trespasses(world: &World, envelope: &Envelope, shrink: fn(&mut Footprint)) -> Vec<String> {
    let mut declared = footprint(envelope);
    shrink(&mut declared);
    let fenced = Fenced::new(&world.tables, declared);
    let Ok(decision) = decide(envelope, &fenced);
    fenced.trespasses(&decision)
}

#[test]
fn a_rule_outside_its_footprint_is_seen() {
    let mut world = World::default();
    let run_id = created(world.run(create("w")));
    let parent_run_id = Some(Text::from(&*run_id));
    created(world.run(Command::Create(Create { parent_run_id, ..create_of("c") })));
    world.run(Command::Set(Set { ttl_ms: Some(0), ..set_of("due", "1") }));
    type Shrink = fn(&mut Footprint);
    let cases: [(Command, Shrink); 12] = [
        (set("k", "1"), |footprint| footprint.keys.clear()),
        (Command::Set(Set { fence: fence("r", 1), ..set_of("k", "1") }), |footprint| {
            footprint.leases.clear()
        }),
        (create("w"), |footprint| footprint.runs.clear()),
        (claim(&run_id, "a", 1), |footprint| footprint.runs.clear()),
        (Command::ClaimNext(claim_next("a")), |footprint| footprint.lookup = None),
        (Command::ClaimNext(claim_next("a")), |footprint| {
            let name = Some("another".into());
            let filter = view::ClaimFilter { name, ..Default::default() };
            footprint.lookup = Some(Lookup::Candidate(filter));
        }),
        (checkpoint(&run_id, 1, claimant("", 0)), |footprint| footprint.steps.clear()),
        (cancel(&run_id), |footprint| footprint.lookup = None),
        (acquire("r", "a", 1), |footprint| footprint.leases.clear()),
        (Command::SaveSession(save("s", "{}")), |footprint| footprint.sessions.clear()),
        (Command::Reset, |footprint| footprint.lookup = None),
        (Command::Sweep { limit: 5 }, |footprint| footprint.lookup = Some(Lookup::Due(5))),
    ];
    for (command, shrink) in cases {
        let envelope = world.envelope(command);
        assert_eq!(trespasses(&world, &envelope, |_| {}), [""; 0], "{envelope:?}");
        assert_ne!(trespasses(&world, &envelope, shrink), [""; 0], "{envelope:?}");
    }
}

#[test]
fn remembered_requests_are_in_the_footprint() {
    let mut world = World::default();
    let mut envelope = world.envelope(set("k", "1"));
    envelope.origin = Some(Origin { session: 1, sequence: 2, lowest: 2 });
    envelope.idempotency = Some(Idempotency { key: "i".into(), digest: [0; 32] });
    assert_eq!(trespasses(&world, &envelope, |_| {}), [""; 0]);
    assert_ne!(trespasses(&world, &envelope, |footprint| footprint.origin = None), [""; 0]);
    assert_ne!(trespasses(&world, &envelope, |footprint| footprint.request = None), [""; 0]);
}

#[test]
fn a_transactions_footprint_has_the_keys_of_both_branches() {
    let get = |key: &str| Operation::Get { key: key.into() };
    let command = Command::Transact(Transact {
        compare: vec![Compare { key: "a".into(), condition: Condition::Exists(true) }],
        then: vec![get("b")],
        otherwise: vec![get("c"), get("b")],
        agent_id: None,
        fence: fence("r", 1),
    });
    let declared = footprint(&World::default().envelope(command));
    assert_eq!(declared.keys.iter().map(|key| &**key).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(declared.leases.contains("r"));
}
