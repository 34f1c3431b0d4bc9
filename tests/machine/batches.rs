//! Claims of several names, and of several runs at once.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::reply::{Claimed, FurtherClaim};
use mcp_state_sidecar::machine::row::RunRow;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::runs::run;
use crate::world::World;

fn of_names(names: &[&str]) -> ClaimNext {
    ClaimNext { names: names.iter().map(|name| Text::from(*name)).collect(), ..claim_next("a") }
}

fn up_to(limit: u32) -> ClaimNext {
    ClaimNext { limit: Some(limit), ..claim_next("a") }
}

fn make(world: &mut World, name: &str, priority: i64) -> String {
    created(world.run(Command::Create(Create { priority, ..create_of(name) })))
}

fn take(world: &mut World, claim: ClaimNext) -> Claimed {
    claimed(world.run(Command::ClaimNext(claim)))
}

/// The runs that were granted, in the order in which they were.
fn runs_of(claimed: &Claimed) -> Vec<String> {
    let first = FurtherClaim::of(claimed.clone());
    first.iter().chain(&claimed.further).map(|claim| claim.run_id.to_string()).collect()
}

#[test]
fn the_best_run_of_several_names_is_claimed() {
    let mut world = World::default();
    let a = make(&mut world, "a", 0);
    let c = make(&mut world, "c", 9);
    let b = make(&mut world, "b", 1);
    let (a2, b2) = (make(&mut world, "a", 0), make(&mut world, "b", 0));
    let names = || of_names(&["a", "b", "nobody's"]);
    let order: Vec<_> = (0..4).flat_map(|_| runs_of(&take(&mut world, names()))).collect();
    assert_eq!(order, [b, a, a2, b2], "higher priority first, then older, whatever the name");
    let nothing = take(&mut world, names());
    assert_eq!((nothing.claimed, nothing.run_id), (false, None));
    assert_eq!(runs_of(&take(&mut world, of_names(&["c"]))), [c]);
}

#[test]
fn the_first_time_of_several_names_is_told() {
    let mut world = World::default();
    let later = |delay_ms, name| Create { delay_ms: Some(delay_ms), ..create_of(name) };
    world.run(Command::Create(later(9_000, "a")));
    let soon = created(world.run(Command::Create(later(2_000, "b"))));
    world.run(Command::Create(later(1_000, "c")));
    let nothing = take(&mut world, of_names(&["a", "b"]));
    assert_eq!(nothing.retry_at, Some(world.clock().plus(2_000)));
    world.advance_ms(2_000);
    assert_eq!(runs_of(&take(&mut world, of_names(&["a", "b"]))), [soon], "nothing has swept");
}

#[test]
fn a_run_of_several_names_that_has_waited_for_long_goes_first() {
    let mut world = World::default();
    let low = make(&mut world, "b", 0);
    world.advance_ms(600_001);
    make(&mut world, "a", 1);
    assert_eq!(runs_of(&take(&mut world, of_names(&["a", "b"]))), [low]);
}

#[test]
fn a_batch_takes_the_best_runs_and_no_more_than_there_are() {
    let mut world = World::default();
    let ids: Vec<_> = (0..5).map(|at| make(&mut world, "w", -at)).collect();
    let later = Create { delay_ms: Some(1_000), priority: -9, ..create_of("w") };
    let last = created(world.run(Command::Create(later)));
    let before = world.revision();
    let batch = take(&mut world, up_to(3));
    assert_eq!(runs_of(&batch), ids[..3]);
    assert_eq!(world.revision(), before + 3, "one event for each");
    let tokens: Vec<_> = batch.further.iter().map(|claim| claim.claim_token.0).collect();
    assert_eq!(tokens, [before + 2, before + 3], "each grant has a token of its own");
    for (claim, id) in batch.further.iter().zip(&ids[1..]) {
        let row: RunRow = run(&world, id);
        let stored = row.claim.expect("a claim");
        assert_eq!((stored.token, stored.expires_at), (claim.claim_token, claim.claim_expires_at));
    }
    world.advance_ms(999);
    assert_eq!(runs_of(&take(&mut world, up_to(100))), ids[3..], "what is left");
    world.advance_ms(1);
    let lapsed = runs_of(&take(&mut world, up_to(100)));
    assert_eq!(lapsed[..], [&ids[..3], &[last]].concat(), "what lapsed, and what was delayed");
}

#[test]
fn a_batch_counts_its_own_claims_against_a_concurrency_limit() {
    let mut world = World::default();
    let limited = |priority| Create {
        concurrency: Some(Concurrency { key: "c".into(), limit: 2 }),
        priority,
        ..create_of("w")
    };
    let ids: Vec<_> = (0..4).map(|_| created(world.run(Command::Create(limited(1))))).collect();
    let free = make(&mut world, "w", 0);
    let batch = runs_of(&take(&mut world, up_to(10)));
    assert_eq!(batch, [ids[0].clone(), ids[1].clone(), free], "and goes on with other runs");
}

#[test]
fn a_repeated_batch_is_the_same_batch() {
    let mut world = World::default();
    (0..4).for_each(|_| drop(make(&mut world, "w", 0)));
    let claim = |world: &mut World| {
        let mut envelope = world.envelope(Command::ClaimNext(up_to(2)));
        envelope.idempotency = Some(Idempotency { key: "i".into(), digest: [0; 32] });
        claimed(world.step(&envelope))
    };
    let first = claim(&mut world);
    assert_eq!((first.claimed, first.further.len()), (true, 1));
    assert_eq!(claim(&mut world), first);
    assert_eq!(runs_of(&take(&mut world, up_to(9))).len(), 2, "the others are still there");
}

#[test]
fn a_batch_is_bounded() {
    let mut world = World::default();
    (0..CLAIMS_MAX + 20).for_each(|_| drop(make(&mut world, "w", 0)));
    let batch = take(&mut world, up_to(u32::MAX));
    assert_eq!(runs_of(&batch).len(), CLAIMS_MAX as usize);
    assert_eq!(runs_of(&take(&mut world, up_to(CLAIMS_MAX))).len(), 20);
}
