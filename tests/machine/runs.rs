//! Stories of workflow runs: made, worked on, ended.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::row::RunRow;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::world::{START_MS, World};

pub fn found(world: &World, run_id: &str) -> Option<RunRow> {
    match world.ask(Question::Run { run_id: run_id.into() }) {
        Answer::Run { run, .. } => run.map(|run| *run),
        other => panic!("{other:?}"),
    }
}

pub fn run(world: &World, run_id: &str) -> RunRow {
    found(world, run_id).unwrap_or_else(|| panic!("no run '{run_id}'"))
}

pub fn reason(reply: Reply) -> String {
    match reply {
        Reply::Claimed(Claimed { reason: Some(reason), .. })
        | Reply::Moved(Moved { reason: Some(reason), .. })
        | Reply::Checkpointed(Checkpointed { reason: Some(reason), .. }) => reason.to_string(),
        other => panic!("no reason: {other:?}"),
    }
}

/// A run, claimed by `a` for a second; with its token.
pub fn with_claimed_run(max_attempts: u32) -> (World, String, u64) {
    let mut world = World::default();
    let run_id = created(world.run(Command::Create(Create { max_attempts, ..create_of("w") })));
    let token = claim_token(world.run(claim(&run_id, "a", 1_000)));
    (world, run_id, token)
}

#[test]
fn a_run_goes_from_created_to_done() {
    let (mut world, run_id, token) = with_claimed_run(1);
    assert_eq!((&*run_id, token), ("wf-000000000001", 2));
    assert_eq!(
        world.last_event().new,
        Some(Json::new(
            r#"{"status":"claimed","agent_id":"a","claim_token":2,"claim_expires_at":1795356001.000}"#
        ))
    );
    assert_eq!(world.last_event().previous, Some(Json::new(r#"{"status":"created"}"#)));
    let stored = checkpointed(world.run(checkpoint(&run_id, 2, claimant("a", token))));
    assert_eq!((stored.ok, stored.last_step), (true, 2));
    assert_eq!(world.last_event().new, Some(Json::new(r#"{"step":2,"output":"output 2"}"#)));
    let stored = checkpointed(world.run(checkpoint(&run_id, 1, claimant("a", token))));
    assert_eq!((stored.step, stored.last_step), (1, 2), "an earlier step lowers nothing");
    assert_eq!(run(&world, &run_id).status, Status::Running);
    let done = moved(world.run(complete(&run_id, claimant("a", token))));
    assert_eq!((done.ok, done.status, done.claim_expires_at), (true, Status::Done, None));
    assert_eq!(run(&world, &run_id).result, Some(Json::new("\"well\"")));
    let Answer::Resume(Some(resumed)) = world.ask(Question::Resume {
        run_id: run_id.into(),
        from_step: 0,
        page: Page::of_rows(100),
    }) else {
        panic!("nothing to resume")
    };
    assert_eq!(resumed.steps.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_new_run_says_all_that_it_was_given() {
    let mut world = World::default();
    let parent = created(world.run(create("p")));
    world.run(Command::Create(Create {
        tags: [("t".into(), "1".into())].into(),
        input: Some(Json::new("[1]")),
        priority: -3,
        delay_ms: Some(1_500),
        max_attempts: 4,
        parent_run_id: Some(parent.into()),
        ..create_of("w \"q\"")
    }));
    assert_eq!(
        world.last_event().new.unwrap().as_str(),
        r#"{"status":"created","name":"w \"q\"","tags":{"t":"1"},"input":[1],"priority":-3,"ready_at":1795356001.500,"max_attempts":4,"parent_run_id":"wf-000000000001"}"#
    );
}

#[test]
fn a_checkpoint_without_claim_is_as_in_the_reference() {
    let mut world = World::default();
    let run_id = created(world.run(create("w")));
    assert!(checkpointed(world.run(checkpoint(&run_id, 5, claimant("", 0)))).ok);
    let running = run(&world, &run_id);
    assert_eq!((running.status, running.agent_id), (Status::Running, None));
    let lost = claimed(world.run(claim(&run_id, "late", 1)));
    assert_eq!(lost.reason.as_deref(), Some("Workflow is in status 'running' (agent: None)"));
    let silent_from = ClusterMs(START_MS + CLAIM_TTL_MS_DEFAULT);
    assert_eq!(lost.retry_at, Some(silent_from), "until then somebody works on it");
    world.advance_ms(CLAIM_TTL_MS_DEFAULT);
    assert!(claimed(world.run(claim(&run_id, "late", 1))).claimed);
}

#[test]
fn what_is_over_is_over_but_completing_twice_is_well() {
    let (mut world, run_id, token) = with_claimed_run(1);
    world.run(complete(&run_id, claimant("a", token)));
    let revision = world.revision();
    assert!(moved(world.run(complete(&run_id, claimant("a", token)))).ok);
    assert!(moved(world.run(complete(&run_id, claimant("", 0)))).ok);
    let other = Some(Json::new("\"badly\""));
    let lost = Complete {
        run_id: (&*run_id).into(),
        result: other,
        claimant: claimant("a", token),
        ..Complete::default()
    };
    let lost = moved(world.run(Command::Complete(lost)));
    assert_eq!((lost.ok, lost.result), (false, Some(Json::new("\"well\""))));
    assert!(!moved(world.run(complete(&run_id, claimant("", 1)))).ok);
    let over = "Workflow is in status 'done' (agent: a)";
    assert_eq!(reason(world.run(complete(&run_id, claimant("b", 0)))), over);
    assert_eq!(reason(world.run(fail(&run_id, true, claimant("a", token)))), over);
    assert_eq!(reason(world.run(checkpoint(&run_id, 1, claimant("a", token)))), over);
    assert_eq!(reason(world.run(Command::Heartbeat(held(&run_id, "a", token)))), over);
    assert_eq!(reason(world.run(claim(&run_id, "b", 1))), over);
    assert_eq!(reason(world.run(cancel(&run_id))), over);
    assert_eq!(world.revision(), revision);
}

#[test]
fn a_failed_attempt_waits_longer_each_time_until_none_remain() {
    let (mut world, run_id, mut token) = with_claimed_run(3);
    for (attempt, pause_ms) in [(1, 1_000), (2, 2_000)] {
        let failed = moved(world.run(fail(&run_id, true, claimant("a", token))));
        assert_eq!((failed.ok, failed.status), (true, Status::Created), "attempt {attempt}");
        assert_eq!(world.last_event().action, Action::WorkflowRetry);
        let lost = claimed(world.run(claim(&run_id, "a", 1_000)));
        let ready_ms = lost.retry_at.expect("it waits").0;
        let half_ms = pause_ms / 2;
        let paused_ms = ready_ms - world.now_ms;
        assert!((half_ms..=pause_ms).contains(&paused_ms), "{paused_ms} of {pause_ms}");
        let until = format!("{}.{:03}", ready_ms / 1_000, ready_ms % 1_000);
        let not_yet = format!("Workflow is not ready before {until}");
        assert_eq!(lost.reason.as_deref(), Some(&*not_yet));
        world.advance_ms(paused_ms);
        token = claim_token(world.run(claim(&run_id, "a", 1_000)));
    }
    let failed = moved(world.run(fail(&run_id, true, claimant("a", token))));
    assert_eq!((failed.ok, failed.status), (true, Status::Failed));
    assert_eq!(world.last_event().action, Action::WorkflowFail);
    assert_eq!(run(&world, &run_id).error.as_deref(), Some("broken"));
}

#[test]
fn a_failure_is_final_without_retry_or_claim() {
    let (mut world, run_id, token) = with_claimed_run(3);
    assert_eq!(moved(world.run(fail(&run_id, false, claimant("a", token)))).status, Status::Failed);
    let unclaimed = created(world.run(create("w")));
    let failed = moved(world.run(fail(&unclaimed, true, claimant("", 0))));
    assert_eq!(failed.status, Status::Failed, "work that nobody claimed was its one attempt");
}

#[test]
fn a_cancel_reaches_all_descendants_that_are_not_over() {
    let mut world = World::default();
    let child_of = |world: &mut World, parent: &str| {
        let parent_run_id = Some(parent.into());
        created(world.run(Command::Create(Create { parent_run_id, ..create_of("c") })))
    };
    let root = created(world.run(create("root")));
    let done = child_of(&mut world, &root);
    let below_done = child_of(&mut world, &done);
    let open = child_of(&mut world, &root);
    let stranger = created(world.run(create("stranger")));
    world.run(complete(&done, claimant("", 0)));
    let token = claim_token(world.run(claim(&below_done, "a", 1_000)));
    let revision = world.revision();
    assert!(moved(world.run(cancel(&root))).ok);
    assert_eq!(world.revision(), revision + 3, "an event for each");
    for (run_id, status) in [
        (&root, Status::Cancelled),
        (&done, Status::Done),
        (&below_done, Status::Cancelled),
        (&open, Status::Cancelled),
        (&stranger, Status::Created),
    ] {
        assert_eq!(run(&world, run_id).status, status, "{run_id}");
    }
    assert_eq!(run(&world, &open).error.as_deref(), Some("enough"));
    let over = "Workflow is in status 'cancelled' (agent: a)";
    assert_eq!(reason(world.run(checkpoint(&below_done, 1, claimant("a", token)))), over);
    let parent_run_id = Some(Text::from(&*root));
    let late = world.run(Command::Create(Create { parent_run_id, ..create_of("late") }));
    let message = format!("parent_run_id: workflow '{root}' is cancelled");
    assert_eq!(refusal(late), (RefusalCode::InvalidArgument, message));
}

#[test]
fn unknown_runs_are_not_found() {
    let mut world = World::default();
    let parent_run_id = Some("wf-none".into());
    for command in [
        checkpoint("wf-none", 1, claimant("", 0)),
        complete("wf-none", claimant("", 0)),
        fail("wf-none", true, claimant("", 0)),
        cancel("wf-none"),
        Command::Heartbeat(held("wf-none", "a", 1)),
        Command::Release(held("wf-none", "a", 1)),
        Command::Create(Create { parent_run_id, ..create_of("w") }),
    ] {
        let message = "Workflow 'wf-none' not found".to_string();
        assert_eq!(refusal(world.run(command)), (RefusalCode::NotFound, message));
    }
    assert_eq!(world.revision(), 0);
}

#[test]
fn an_id_in_use_is_passed_over() {
    let mut world = World::default();
    let envelope = world.envelope(create("w"));
    let ids: std::collections::BTreeSet<_> =
        (0..3).map(|_| created(world.step(&envelope))).collect();
    assert_eq!(ids.len(), 3);
    let (code, message) = refusal(world.step(&envelope));
    assert_eq!(code, RefusalCode::Internal, "{message}");
}
