//! Stories of approvals: a run that waits for a person keeps its claim, and the answer is
//! to the question that was read.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::row::{ApprovalDecision, OnLapse, RunRow};
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::runs::{reason, run, with_claimed_run};
use crate::world::World;

fn ask(run_id: &str, token: u64, expires_ms: Option<u64>) -> Command {
    let options = ["yes", "no"].map(Into::into).to_vec();
    Command::Checkpoint(Checkpoint {
        run_id: run_id.into(),
        step: 0,
        output: Json::new("1"),
        claimant: claimant("a", token),
        ask: Some(Ask { question: "Deploy?".into(), options, expires_ms }),
    })
}

fn decide(run_id: &str, answer: &str, digest: Option<&str>) -> Command {
    Command::Decide(Decide {
        run_id: run_id.into(),
        answer: answer.into(),
        comment: None,
        digest: digest.map(Into::into),
        agent_id: Some("boss".into()),
    })
}

fn digest(world: &World, run_id: &str) -> String {
    let run = run(world, run_id);
    run.approval.map(|approval| approval.digest(run_id)).unwrap_or_default()
}

fn decision(run: &RunRow) -> Option<ApprovalDecision> {
    run.approval.as_ref().and_then(|approval| approval.decision.clone())
}

#[test]
fn a_run_that_waits_for_a_person_keeps_its_claim() {
    let (mut world, run_id, token) = with_claimed_run(1);
    world.run(ask(&run_id, token, None));
    assert_eq!(world.last_event().action, Action::WorkflowAsk);
    world.advance_ms(3_600_000);
    world.run(Command::Sweep { limit: 100 });
    let waiting = run(&world, &run_id);
    assert_eq!(
        (waiting.status, waiting.agent_id.as_deref()),
        (Status::AwaitingApproval, Some("a"))
    );
    assert!(!claimed(world.run(claim(&run_id, "b", 1_000))).claimed, "not even after an hour");
    assert!(!claimed(world.run(claim(&run_id, "a", 1_000))).claimed);
    // The holder can show that it is alive, and nothing else until somebody decides.
    let events = world.revision();
    assert!(moved(world.run(Command::Heartbeat(held(&run_id, "a", token)))).ok);
    for command in
        [complete(&run_id, claimant("a", token)), Command::Release(held(&run_id, "a", token))]
    {
        assert!(!moved(world.run(command)).ok);
    }
    assert_eq!(world.revision(), events, "none of this has changed anything");
    assert!(moved(world.run(decide(&run_id, "yes", None))).ok);
    let event = world.last_event();
    assert_eq!((event.action, event.actor.as_deref()), (Action::WorkflowDecide, Some("boss")));
    let digest = digest(&world, &run_id);
    assert!(event.new.is_some_and(|new| new.as_str().contains(&digest)), "the answer is bound");
    assert!(moved(world.run(complete(&run_id, claimant("a", token)))).ok, "the token still counts");
}

#[test]
fn an_answer_is_to_the_question_that_was_read() {
    let (mut world, run_id, token) = with_claimed_run(1);
    assert!(!moved(world.run(decide(&run_id, "yes", None))).ok, "nothing is asked");
    world.run(ask(&run_id, token, None));
    let read = digest(&world, &run_id);
    let (code, _) = refusal(world.run(decide(&run_id, "maybe", None)));
    assert_eq!(code, RefusalCode::InvalidArgument);
    assert!(moved(world.run(decide(&run_id, "no", Some(&read)))).ok);
    assert!(moved(world.run(decide(&run_id, "no", Some(&read)))).ok, "said again");
    let other = moved(world.run(decide(&run_id, "yes", Some(&read))));
    assert!(!other.ok, "decided already");
    // The same question a second time is another one.
    world.run(ask(&run_id, token, None));
    let late = reason(world.run(decide(&run_id, "yes", Some(&read))));
    assert!(late.contains("digest"), "{late}");
}

#[test]
fn a_question_that_expires_is_decided_and_the_run_goes_on() {
    let (mut world, run_id, token) = with_claimed_run(1);
    world.run(ask(&run_id, token, Some(5_000)));
    world.advance_ms(5_000);
    // It reads as decided at once; the sweep records it.
    let seen = run(&world, &run_id);
    assert_eq!(
        (seen.status, decision(&seen)),
        (Status::Running, Some(ApprovalDecision::default()))
    );
    world.run(Command::Sweep { limit: 100 });
    let event = world.last_event();
    assert_eq!((event.action, &event.actor), (Action::WorkflowDecide, &None));
    assert!(event.new.is_some_and(|new| new.as_str().contains("expired")));
    assert!(!moved(world.run(decide(&run_id, "yes", None))).ok, "too late");
    assert!(moved(world.run(Command::Heartbeat(held(&run_id, "a", token)))).ok);
}

#[test]
fn whoever_has_gone_while_it_waited_has_not_failed() {
    // The only attempt that there is.
    let (mut world, run_id, token) = with_claimed_run(1);
    world.run(ask(&run_id, token, None));
    world.advance_ms(3_600_000);
    world.run(decide(&run_id, "yes", None));
    assert!(!claimed(world.run(claim(&run_id, "b", 1_000))).claimed, "the holder comes first");
    world.advance_ms(1_000);
    world.run(Command::Sweep { limit: 100 });
    assert_eq!(run(&world, &run_id).status, Status::Running);
    assert!(claimed(world.run(claim(&run_id, "b", 1_000))).claimed, "and then anybody");
    assert_eq!(decision(&run(&world, &run_id)).and_then(|it| it.answer).as_deref(), Some("yes"));
}

#[test]
fn silence_counts_again_once_the_holder_is_back() {
    let (mut world, run_id, token) = with_claimed_run(1);
    world.run(ask(&run_id, token, None));
    world.run(decide(&run_id, "yes", None));
    world.run(Command::Heartbeat(held(&run_id, "a", token)));
    let on_lapse = run(&world, &run_id).claim.map(|claim| claim.on_lapse);
    assert_eq!(on_lapse, Some(OnLapse::Fail));
    world.advance_ms(1_000);
    assert_eq!(run(&world, &run_id).status, Status::Failed);
}

#[test]
fn only_a_claimed_run_can_wait_for_a_person() {
    let mut world = World::default();
    let run_id = created(world.run(create("w")));
    let Command::Checkpoint(asking) = ask(&run_id, 0, None) else { panic!() };
    let asking = Checkpoint { claimant: Claimant::default(), ..asking };
    assert!(!checkpointed(world.run(Command::Checkpoint(asking))).ok);
    assert_eq!(run(&world, &run_id).status, Status::Created);
}
