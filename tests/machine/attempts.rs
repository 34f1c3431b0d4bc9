//! Stories of attempts: claims that lapse, failures, calls that come late, and what is
//! left of runs that are over.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::filter::RunFilter;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::stored_steps::StoredSteps;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::runs::{reason, run, with_claimed_run};
use crate::world::{START_MS, World};

fn claim_next(agent: &str) -> Command {
    Command::ClaimNext(ClaimNext {
        agent_id: agent.into(),
        claim_ttl_ms: 1_000,
        ..Default::default()
    })
}

fn sweep(world: &mut World) {
    world.run(Command::Sweep { limit: 100 });
}

fn retry_one(run_id: &str) -> Command {
    let runs = RetriedRuns::One(run_id.into());
    Command::Retry(Retry { runs, agent_id: Some("boss".into()) })
}

fn delete(run_id: &str) -> Command {
    Command::DeleteRun(DeleteRun { run_id: run_id.into(), agent_id: Some("boss".into()) })
}

#[test]
fn a_crash_is_an_attempt_and_the_last_one_ends_the_run() {
    let (mut world, run_id, token) = with_claimed_run(1);
    world.advance_ms(1_000);
    // It reads as failed at once, and nobody can claim it; the sweep records it.
    let seen = run(&world, &run_id);
    assert_eq!((seen.status, seen.attempts), (Status::Failed, 1));
    assert!(!claimed(world.run(claim_next("b"))).claimed);
    sweep(&mut world);
    let event = world.last_event();
    assert_eq!((event.action, &event.actor), (Action::WorkflowFail, &None));
    let error = "the claim of 'a' lapsed in attempt 1 of 1";
    assert_eq!(run(&world, &run_id).error.as_deref(), Some(error));
    assert!(!moved(world.run(complete(&run_id, claimant("a", token)))).ok);
    let failed = RunFilter { status: Some(Status::Failed), ..RunFilter::default() };
    let question = Question::Runs { filter: failed, before: None, page: Page::of_rows(9) };
    let Answer::Runs { rows, .. } = world.ask(question) else { panic!("no list") };
    assert_eq!(rows[0].error.as_deref(), Some(error));
}

#[test]
fn a_run_that_kills_its_workers_lets_others_have_their_turn() {
    let mut world = World::default();
    let bad = created(world.run(create("bad")));
    let good = created(world.run(create("good")));
    let mut order = Vec::new();
    for _ in 0..8 {
        let reply = claimed(world.run(claim_next("w")));
        let Some(run_id) = reply.run_id.filter(|_| reply.claimed) else { continue };
        if *run_id == *good {
            let token = reply.claim_token.map_or(0, |token| token.0);
            world.run(complete(&run_id, claimant("w", token)));
        }
        order.push(run_id.to_string());
        world.advance_ms(1_000);
    }
    assert!(order.iter().position(|id| *id == good) <= Some(2), "{order:?}");
    assert!(order.iter().filter(|id| **id == bad).count() < 5, "{order:?}");
}

#[test]
fn crashes_end_even_a_run_that_was_given_no_number() {
    let mut world = World::default();
    let run_id = created(world.run(create("w")));
    for attempt in 1..=20 {
        let reply = claimed(world.run(claim(&run_id, "w", 1_000)));
        assert!(reply.claimed, "attempt {attempt}: {reply:?}");
        world.advance_ms(1_000 + 300_000);
    }
    assert_eq!(run(&world, &run_id).status, Status::Failed);
}

#[test]
fn a_late_call_changes_nothing() {
    for given_back in ["release", "fail", "lapse"] {
        let (mut world, run_id, token) = with_claimed_run(3);
        match given_back {
            "release" => drop(world.run(Command::Release(held(&run_id, "a", token)))),
            "fail" => drop(world.run(fail(&run_id, true, claimant("a", token)))),
            _ => world.advance_ms(1_000),
        }
        for late in [claimant("", 0), claimant("a", 0), claimant("a", token), claimant("", token)] {
            let reply = checkpointed(world.run(checkpoint(&run_id, 1, late.clone())));
            assert!(!reply.ok, "{late:?} after a {given_back}: {reply:?}");
            assert!(!moved(world.run(complete(&run_id, late))).ok);
        }
        world.advance_ms(2_000);
        assert!(claimed(world.run(claim(&run_id, "b", 1_000))).claimed, "after a {given_back}");
    }
}

#[test]
fn only_the_holder_ends_a_run_and_others_learn_how_it_ended() {
    let (mut world, run_id, token) = with_claimed_run(1);
    let stranger = moved(world.run(complete(&run_id, claimant("b", 0))));
    assert!(!stranger.ok && stranger.status == Status::Claimed, "{stranger:?}");
    assert!(moved(world.run(complete(&run_id, claimant("a", token)))).ok);
    let late = moved(world.run(complete(&run_id, claimant("b", 0))));
    assert_eq!((late.ok, late.result), (false, Some(Json::new("\"well\""))));
}

#[test]
fn a_failure_that_is_reported_twice_counts_once() {
    let (mut world, run_id, _) = with_claimed_run(5);
    assert!(moved(world.run(fail(&run_id, true, claimant("a", 0)))).ok);
    let attempts = run(&world, &run_id).attempts;
    assert!(!moved(world.run(fail(&run_id, true, claimant("a", 0)))).ok);
    assert_eq!(run(&world, &run_id).attempts, attempts);
}

#[test]
fn a_claim_that_is_given_back_is_no_attempt() {
    let mut world = World::default();
    let run_id = created(world.run(Command::Create(Create { max_attempts: 1, ..create_of("w") })));
    for _ in 0..3 {
        let token = claim_token(world.run(claim(&run_id, "a", 1_000)));
        assert!(moved(world.run(Command::Release(held(&run_id, "a", token)))).ok);
    }
    let token = claim_token(world.run(claim(&run_id, "a", 1_000)));
    assert!(moved(world.run(complete(&run_id, claimant("a", token)))).ok);
}

#[test]
fn steps_that_are_missing_show() {
    let (mut world, run_id, token) = with_claimed_run(1);
    let mut store = |step| {
        let reply = checkpointed(world.run(checkpoint(&run_id, step, claimant("a", token))));
        (reply.last_step, reply.steps)
    };
    let steps = |count, first, next| StoredSteps { count, first, next };
    assert_eq!(store(5), (5, steps(1, 5, 6)));
    assert_eq!(store(0), (5, steps(2, 0, 1)));
    assert_eq!(store(2), (5, steps(3, 0, 1)));
    assert_eq!(store(2), (5, steps(3, 0, 1)));
    assert_eq!(store(1), (5, steps(4, 0, 3)));
    assert_eq!(store(3), (5, steps(5, 0, 4)));
    assert_eq!(store(4), (5, steps(6, 0, 6)));
    let none = created(world.run(create("w")));
    assert_eq!(run(&world, &none).steps, steps(0, 0, 0));
}

#[test]
fn a_run_ends_at_its_deadline_whoever_works_on_it() {
    for from_claim in [false, true] {
        let mut world = World::default();
        let deadline = Some(RunDeadline { ms: 5_000, from_claim });
        let run_id = created(world.run(Command::Create(Create { deadline, ..create_of("w") })));
        world.advance_ms(1_000);
        let token = claim_token(world.run(claim(&run_id, "a", 60_000)));
        world.advance_ms(if from_claim { 4_999 } else { 3_999 });
        assert!(checkpointed(world.run(checkpoint(&run_id, 1, claimant("a", token)))).ok);
        world.advance_ms(1);
        assert_eq!(run(&world, &run_id).status, Status::Failed);
        let reply = moved(world.run(complete(&run_id, claimant("a", token))));
        assert_eq!((reply.ok, reply.status), (false, Status::Failed));
        assert_eq!(
            run(&world, &run_id).error.as_deref(),
            Some("the deadline of the run has passed")
        );
    }
}

#[test]
fn a_run_that_nobody_starts_in_time_fails() {
    let mut world = World::default();
    let start_within_ms = Some(1_000);
    let make = || Command::Create(Create { start_within_ms, ..create_of("w") });
    let (started, forgotten) = (created(world.run(make())), created(world.run(make())));
    let token = claim_token(world.run(claim(&started, "a", 60_000)));
    world.advance_ms(1_000);
    assert!(!claimed(world.run(claim_next("b"))).claimed);
    assert_eq!(run(&world, &forgotten).status, Status::Failed);
    assert!(moved(world.run(complete(&started, claimant("a", token)))).ok);
}

#[test]
fn failed_runs_are_tried_again_one_or_many() {
    let mut world = World::default();
    let runs: Vec<String> = (0..3).map(|_| created(world.run(create("w")))).collect();
    for run_id in &runs {
        let token = claim_token(world.run(claim(run_id, "a", 1_000)));
        world.run(checkpoint(run_id, 0, claimant("a", token)));
        world.run(fail(run_id, false, claimant("a", token)));
    }
    assert!(moved(world.run(retry_one(&runs[0]))).ok);
    let again = run(&world, &runs[0]);
    assert_eq!((again.status, again.attempts, again.steps.count), (Status::Created, 0, 1));
    let created_again = reason(world.run(retry_one(&runs[0])));
    assert_eq!(created_again, "Workflow is in status 'created' (agent: None)");
    let many = Command::Retry(Retry {
        runs: RetriedRuns::Many { name: Some("w".into()), tags: Default::default(), before: None },
        agent_id: None,
    });
    let Reply::Retried(reply) = world.run(many) else { panic!("not retried") };
    assert_eq!((reply.run_ids.len(), reply.next), (2, None));
    for run_id in &runs {
        assert!(claimed(world.run(claim(run_id, "b", 1_000))).claimed);
    }
}

#[test]
fn runs_that_are_over_are_removed_after_their_time() {
    let mut world = World::default();
    let kept = created(world.run(Command::Create(Create { keep_ms: Some(1), ..create_of("w") })));
    let token = claim_token(world.run(claim(&kept, "a", 1_000)));
    for step in 0..250 {
        world.run(checkpoint(&kept, step, claimant("a", token)));
    }
    world.run(complete(&kept, claimant("a", token)));
    let before = world.tables.meta().state_bytes;
    world.advance_ms(1);
    assert!(crate::runs::found(&world, &kept).is_none());
    assert!(matches!(world.run(retry_one(&kept)), Reply::Refused(_)));
    // The steps go little by little, and the event comes with the first of them.
    world.run(Command::Sweep { limit: 100 });
    assert_eq!(world.last_event().action, Action::WorkflowExpire);
    let revision = world.revision();
    for _ in 0..3 {
        world.run(Command::Sweep { limit: 100 });
    }
    let counts = world.tables.meta().counts;
    assert_eq!((counts.runs, counts.steps, world.revision()), (0, 0, revision));
    assert!(world.tables.meta().state_bytes < before);
}

#[test]
fn very_many_runs_with_steps_are_removed_in_bounded_sweeps() {
    let mut world = World::default();
    for _ in 0..250 {
        let create = Create { keep_ms: Some(1_000), ..create_of("w") };
        let run_id = created(world.run(Command::Create(create)));
        for step in 0..3 {
            world.run(checkpoint(&run_id, step, claimant("", 0)));
        }
        world.run(complete(&run_id, claimant("", 0)));
    }
    world.advance_ms(1_001);
    for _ in 0..11 {
        world.run(Command::Sweep { limit: 100 });
    }
    let counts = world.tables.meta().counts;
    assert_eq!((counts.runs, counts.steps), (0, 0));
}

#[test]
fn a_run_is_deleted_only_when_it_is_over() {
    let (mut world, run_id, token) = with_claimed_run(1);
    for step in 0..250 {
        world.run(checkpoint(&run_id, step, claimant("a", token)));
    }
    let refused = moved(world.run(delete(&run_id)));
    assert!(!refused.ok, "{refused:?}");
    world.run(complete(&run_id, claimant("a", token)));
    assert!(moved(world.run(delete(&run_id))).ok);
    assert_eq!(world.last_event().action, Action::WorkflowDelete);
    assert!(crate::runs::found(&world, &run_id).is_none());
    assert!(matches!(world.run(delete(&run_id)), Reply::Refused(_)));
    for _ in 0..3 {
        world.run(Command::Sweep { limit: 100 });
    }
    assert_eq!(world.tables.meta().counts.steps, 0);
}

#[test]
fn a_session_is_forgotten_after_its_time() {
    let mut world = World::default();
    world.run(Command::SaveSession(SaveSession { ttl_ms: Some(1_000), ..save("s", "{}") }));
    world.advance_ms(1_000);
    let question = || Question::Session { session_id: "s".into() };
    assert_eq!(world.ask(question()), Answer::Session(None));
    sweep(&mut world);
    assert_eq!(world.last_event().action, Action::SessionExpire);
}

#[test]
fn an_exclusive_lease_tells_two_processes_of_one_name_apart() {
    let mut world = World::default();
    let exclusive = || {
        Command::Acquire(Acquire {
            resource_id: "r".into(),
            holder_id: "a".into(),
            ttl_ms: 1_000,
            exclusive: true,
            permits: 0,
        })
    };
    let Reply::Acquired(first) = world.run(exclusive()) else { panic!("no lease") };
    let Reply::Acquired(second) = world.run(exclusive()) else { panic!("no lease") };
    assert_eq!((first.acquired, second.acquired), (true, false));
    assert_eq!(second.retry_at, Some(ClusterMs(START_MS + 1_000)));
}
