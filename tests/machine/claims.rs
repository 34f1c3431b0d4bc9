//! Stories of claims on workflow runs.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::runs::{reason, run, with_claimed_run};
use crate::world::{START_MS, World};

#[test]
fn exactly_one_agent_wins_and_the_winner_may_ask_again() {
    let (mut world, run_id, token) = with_claimed_run(1);
    let lost = claimed(world.run(claim(&run_id, "b", 1_000)));
    assert_eq!((lost.claimed, lost.agent_id), (false, None));
    assert_eq!(lost.reason.as_deref(), Some("Workflow is in status 'claimed' (agent: a)"));
    assert_eq!(lost.retry_at, Some(ClusterMs(START_MS + 1_000)));
    world.advance_ms(500);
    let again = claimed(world.run(claim(&run_id, "a", 1_000)));
    assert_eq!(again.claim_token, Some(Revision(token)));
    assert_eq!(again.claim_expires_at, Some(ClusterMs(START_MS + 1_500)));
    assert_eq!(run(&world, &run_id).attempts, 1);
    assert_eq!(world.last_event().action, Action::WorkflowHeartbeat, "only grants are claims");
}

#[test]
fn a_claim_of_nothing_is_refused_in_the_references_words() {
    let mut world = World::default();
    let lost = claimed(world.run(claim("wf-none", "a", 1)));
    assert_eq!((lost.claimed, lost.run_id.as_deref()), (false, Some("wf-none")));
    assert_eq!(lost.reason.as_deref(), Some("Workflow 'wf-none' not found"));
}

#[test]
fn a_lapsed_claim_is_taken_over_with_every_step_and_the_old_token_is_dead() {
    let (mut world, run_id, old) = with_claimed_run(0);
    world.run(checkpoint(&run_id, 7, claimant("a", old)));
    world.advance_ms(1_000);
    let new = claim_token(world.run(claim(&run_id, "b", 1_000)));
    assert!(new > old, "{old} then {new}");
    let taken = run(&world, &run_id);
    assert_eq!((taken.status, taken.last_step, taken.attempts), (Status::Claimed, 7, 2));
    let dead = format!("claim_token {old} is no longer current");
    assert_eq!(reason(world.run(checkpoint(&run_id, 8, claimant("", old)))), dead);
    assert_eq!(reason(world.run(checkpoint(&run_id, 8, claimant("a", old)))), dead);
    assert_eq!(reason(world.run(complete(&run_id, claimant("", old)))), dead);
    assert_eq!(reason(world.run(fail(&run_id, true, claimant("", old)))), dead);
    assert_eq!(reason(world.run(Command::Heartbeat(held(&run_id, "a", old)))), dead);
    assert_eq!(reason(world.run(Command::Release(held(&run_id, "a", old)))), dead);
    let other = "Workflow is in status 'claimed' (agent: b)";
    assert_eq!(reason(world.run(checkpoint(&run_id, 8, claimant("a", 0)))), other);
    assert_eq!(run(&world, &run_id).last_step, 7, "nothing was written");
}

#[test]
fn a_claim_that_has_lapsed_is_lost_although_nobody_has_taken_over() {
    for sign_of_life in ["checkpoint", "heartbeat"] {
        let (mut world, run_id, token) = with_claimed_run(0);
        world.advance_ms(1_000);
        let reply = match sign_of_life {
            "checkpoint" => world.run(checkpoint(&run_id, 1, claimant("a", token))),
            _ => world.run(Command::Heartbeat(held(&run_id, "a", token))),
        };
        assert_eq!(reason(reply), format!("claim_token {token} is no longer current"));
        assert!(claimed(world.run(claim(&run_id, "b", 1))).claimed, "after a {sign_of_life}");
    }
}

#[test]
fn the_same_agent_gets_a_new_token_once_its_claim_lapsed() {
    let (mut world, run_id, old) = with_claimed_run(2);
    world.advance_ms(1_000);
    assert!(claim_token(world.run(claim(&run_id, "a", 1_000))) > old);
    assert_eq!(run(&world, &run_id).attempts, 2);
}

#[test]
fn a_released_run_waits_for_the_next_agent() {
    let (mut world, run_id, old) = with_claimed_run(0);
    let beat = moved(world.run(Command::Heartbeat(held(&run_id, "a", old))));
    assert_eq!(beat.claim_expires_at, Some(ClusterMs(START_MS + 1_000)));
    let released = moved(world.run(Command::Release(held(&run_id, "a", old))));
    assert_eq!((released.ok, released.status), (true, Status::Created));
    let dead = format!("claim_token {old} is no longer current");
    assert_eq!(reason(world.run(Command::Release(held(&run_id, "a", old)))), dead);
    assert!(claim_token(world.run(claim(&run_id, "b", 1))) > old);
}

#[test]
fn claim_next_takes_the_highest_priority_then_the_oldest() {
    let mut world = World::default();
    let mut run_of = |priority, delay_ms| {
        created(world.run(Command::Create(Create { priority, delay_ms, ..create_of("w") })))
    };
    let low = run_of(-1, None);
    let old = run_of(5, None);
    let young = run_of(5, None);
    let later = run_of(9, Some(1_000));
    let next = |world: &mut World| claimed(world.run(Command::ClaimNext(claim_next("a"))));
    let take = |world: &mut World| next(world).run_id.map(|run_id| run_id.to_string());
    assert_eq!(take(&mut world), Some(old.clone()));
    assert_eq!(take(&mut world), Some(young));
    assert_eq!(take(&mut world), Some(low));
    let nothing = claimed(world.run(Command::ClaimNext(claim_next("a"))));
    assert_eq!((nothing.claimed, nothing.run_id), (false, None));
    assert_eq!(nothing.retry_at, Some(ClusterMs(START_MS + 1_000)));
    world.advance_ms(1_000);
    assert_eq!(take(&mut world), Some(later), "its delay is over, and it goes before lapsed ones");
    assert_eq!(take(&mut world), Some(old), "lapsed claims are taken over, best first");
}

#[test]
fn claim_next_heeds_name_and_tags() {
    let mut world = World::default();
    let tags = |value: &str| [(Text::from("t"), Text::from(value))].into();
    let mut run_of = |name, value| {
        created(world.run(Command::Create(Create { tags: tags(value), ..create_of(name) })))
    };
    let (a1, _b1, b2) = (run_of("a", "1"), run_of("b", "1"), run_of("b", "2"));
    let by = |name: Option<&str>, tags| {
        let names = name.into_iter().map(Text::from).collect();
        Command::ClaimNext(ClaimNext { names, tags, ..claim_next("x") })
    };
    let nothing = claimed(world.run(by(Some("a"), tags("2"))));
    assert_eq!((nothing.claimed, nothing.retry_at), (false, None));
    assert_eq!(claimed(world.run(by(Some("b"), tags("2")))).run_id.as_deref(), Some(&*b2));
    assert_eq!(claimed(world.run(by(None, tags("1")))).run_id.as_deref(), Some(&*a1));
}
