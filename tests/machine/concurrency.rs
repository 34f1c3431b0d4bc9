//! Stories of what runs share: unique keys, concurrency keys, turns among fair keys, and
//! time that makes up for a low priority.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::filter::RunFilter;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::runs::run;
use crate::world::World;

fn made(world: &mut World, create: Create) -> (String, Status, bool) {
    match world.run(Command::Create(create)) {
        Reply::Created { run_id, status, existing, .. } => (run_id.to_string(), status, existing),
        other => panic!("{other:?}"),
    }
}

fn unique(held: UniqueFor) -> Create {
    Create { unique: Some(UniqueRequest { key: "u".into(), held }), ..create_of("w") }
}

fn limited(name: &str, limit: u32) -> Create {
    Create { concurrency: Some(Concurrency { key: "c".into(), limit }), ..create_of(name) }
}

fn fair(key: &str) -> Create {
    Create { fair_key: Some(key.into()), ..create_of("w") }
}

/// The run that is claimed next, with its token.
fn next(world: &mut World) -> Option<(String, u64)> {
    let reply = claimed(world.run(Command::ClaimNext(claim_next("a"))));
    let token = reply.claim_token.map_or(0, |token| token.0);
    reply.run_id.filter(|_| reply.claimed).map(|run_id| (run_id.to_string(), token))
}

fn end(world: &mut World, (run_id, token): &(String, u64)) {
    assert!(moved(world.run(complete(run_id, claimant("a", *token)))).ok);
}

#[test]
fn a_held_key_gives_the_run_that_holds_it() {
    for held in [UniqueFor::Queued, UniqueFor::Active, UniqueFor::Ms(1_000)] {
        let mut world = World::default();
        let (first, _, existing) = made(&mut world, unique(held));
        assert!(!existing);
        let revision = world.revision();
        let again = made(&mut world, unique(UniqueFor::Active));
        assert_eq!(again, (first.clone(), Status::Created, true));
        assert_eq!(world.revision(), revision, "nothing happened");
        let claim = next(&mut world).expect("a run");
        let after_claim = made(&mut world, unique(held));
        assert_eq!(after_claim.2, held != UniqueFor::Queued, "{held:?}");
        end(&mut world, &claim);
        if held == UniqueFor::Active {
            assert!(!made(&mut world, unique(held)).2, "it is over");
        }
        if held == UniqueFor::Ms(1_000) {
            assert_eq!(made(&mut world, unique(held)), (first, Status::Done, true));
            world.advance_ms(1_000);
            assert!(!made(&mut world, unique(held)).2, "the time is over");
        }
    }
}

#[test]
fn a_run_that_has_ended_by_time_holds_no_key() {
    let mut world = World::default();
    let create = || Create { start_within_ms: Some(1_000), ..unique(UniqueFor::Active) };
    let (first, ..) = made(&mut world, create());
    world.advance_ms(1_000);
    let (second, _, existing) = made(&mut world, create());
    assert!(!existing && second != first, "no sweep has come");
    assert_eq!(made(&mut world, create()).0, second);
}

#[test]
fn no_more_runs_of_a_key_are_claimed_than_its_limit() {
    let mut world = World::default();
    let ids: Vec<_> = (0..4).map(|_| made(&mut world, limited("w", 2)).0).collect();
    let free = made(&mut world, create_of("free")).0;
    let first = next(&mut world).expect("the first of the key");
    let second = next(&mut world).expect("the second");
    assert_eq!((&first.0, &second.0), (&ids[0], &ids[1]));
    assert_eq!(next(&mut world).expect("one without a key").0, free);
    assert_eq!(next(&mut world), None);
    let refused = claimed(world.run(claim(&ids[2], "b", 1_000)));
    let reason = "concurrency key 'c' has 2 of 2 runs claimed";
    assert_eq!((refused.claimed, refused.reason.as_deref()), (false, Some(reason)));
    let filter = RunFilter { claimable: Some(true), ..RunFilter::default() };
    let question = Question::Runs { filter, before: None, page: Page::of_rows(9) };
    let Answer::Runs { rows, .. } = world.ask(question) else { panic!("no list") };
    assert_eq!(rows, [], "what waits for its key cannot be claimed");
    end(&mut world, &first);
    assert_eq!(next(&mut world).expect("there is room").0, ids[2]);
}

#[test]
fn a_claim_that_has_lapsed_makes_room_without_a_sweep() {
    let mut world = World::default();
    let first = made(&mut world, limited("w", 1)).0;
    let second = made(&mut world, Create { priority: 1, ..limited("w", 1) }).0;
    let claim = claimed(world.run(claim(&first, "a", 1_000)));
    assert!(claim.claimed && next(&mut world).is_none());
    world.advance_ms(1_000);
    assert_eq!(next(&mut world).expect("the other").0, second);
    assert_eq!(run(&world, &first).status, Status::Created, "the lapse is recorded");
}

#[test]
fn a_tenant_with_one_run_does_not_wait_for_a_thousand() {
    let mut world = World::default();
    let many: Vec<_> = (0..30).map(|_| made(&mut world, fair("many")).0).collect();
    let (one, two) = (made(&mut world, fair("few")).0, made(&mut world, fair("few")).0);
    let order: Vec<_> = (0..6).map(|_| next(&mut world).expect("a run").0).collect();
    let at = |run_id: &str| order.iter().position(|id| id == run_id);
    assert!(at(&one) < Some(3) && at(&one).is_some(), "{order:?}");
    assert!(at(&two) < Some(5) && at(&two).is_some(), "{order:?}");
    let own: Vec<_> = order.iter().filter(|id| many.contains(id)).collect();
    assert_eq!(own, many.iter().take(4).collect::<Vec<_>>(), "each key keeps its order");
}

#[test]
fn a_run_that_has_waited_for_long_goes_first() {
    let mut world = World::default();
    let low = made(&mut world, create_of("w")).0;
    world.advance_ms(599_999);
    let high = |world: &mut World| made(world, Create { priority: 1, ..create_of("w") }).0;
    let first = high(&mut world);
    assert_eq!(next(&mut world).expect("a run").0, first);
    world.advance_ms(2);
    high(&mut world);
    assert_eq!(next(&mut world).expect("a run").0, low);
}
