//! Runs that wait for others: what blocks them, what releases them, and what a failure
//! means to them.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::dependency_failure::OnDependencyFailure;
use mcp_state_sidecar::machine::filter::RunFilter;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::runs::{reason, run};
use crate::world::World;

fn after_of(run_ids: &[&str], on_dependency_failure: OnDependencyFailure) -> Create {
    let depends_on = run_ids.iter().map(|run_id| Text::from(*run_id)).collect();
    Create { depends_on, on_dependency_failure, ..create_of("later") }
}

fn after(run_ids: &[&str]) -> Command {
    Command::Create(after_of(run_ids, OnDependencyFailure::Fail))
}

fn with(policy: OnDependencyFailure, run_ids: &[&str]) -> Command {
    Command::Create(after_of(run_ids, policy))
}

fn sweep(world: &mut World) -> (u32, bool) {
    match world.run(Command::Sweep { limit: 1_000 }) {
        Reply::Swept { removed, more } => (removed, more),
        other => panic!("{other:?}"),
    }
}

fn status(world: &World, run_id: &str) -> Status {
    run(world, run_id).status
}

fn retry(run_id: &str) -> Command {
    Command::Retry(Retry { runs: RetriedRuns::One(run_id.into()), agent_id: None })
}

fn fail_for_good(run_id: &str) -> Command {
    fail(run_id, false, claimant("", 0))
}

#[test]
fn a_run_waits_for_all_that_it_depends_on() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let second = created(world.run(create("w")));
    let later = created(world.run(after(&[&first, &second, &first])));
    assert_eq!(run(&world, &later).depends_on(), [&*first, &*second].map(Text::from));
    world.run(complete(&first, claimant("", 0)));
    assert_eq!(run(&world, &later).blocked_by(), [Text::from(&*second)]);
    let why = format!("Workflow is in status 'blocked' (by '{second}')");
    assert_eq!(reason(world.run(claim(&later, "a", 1_000))), why);
    for refused in [
        complete(&later, claimant("", 0)),
        fail_for_good(&later),
        checkpoint(&later, 1, claimant("", 0)),
    ] {
        assert_eq!(reason(world.run(refused)), why);
    }
    world.run(complete(&second, claimant("", 0)));
    let event = world.last_event();
    assert_eq!((event.action, event.actor), (Action::WorkflowUnblock, None));
    assert!(claimed(world.run(claim(&later, "a", 1_000))).claimed);
    assert!(!run(&world, &second).has_dependents);
}

#[test]
fn a_run_whose_prerequisites_are_done_waits_for_nothing() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    world.run(complete(&first, claimant("", 0)));
    let later = created(world.run(after(&[&first])));
    assert_eq!(status(&world, &later), Status::Created);
    let (code, message) = refusal(world.run(after(&["wf-none"])));
    assert_eq!(code, RefusalCode::NotFound);
    assert!(message.contains("wf-none"), "{message}");
}

#[test]
fn each_policy_says_what_a_failure_means_whenever_it_happens() {
    let policies = [
        (OnDependencyFailure::Fail, Status::Failed),
        (OnDependencyFailure::Cancel, Status::Cancelled),
        (OnDependencyFailure::Continue, Status::Created),
    ];
    for (policy, outcome) in policies {
        for end in [fail_for_good, cancel] {
            let mut world = World::default();
            let first = created(world.run(create("w")));
            let before = created(world.run(with(policy, &[&first])));
            assert_eq!(status(&world, &before), Status::Blocked);
            world.run(end(&first));
            let afterwards = created(world.run(with(policy, &[&first])));
            for later in [before, afterwards] {
                let run = run(&world, &later);
                assert_eq!(run.status, outcome, "{policy:?}");
                let named = run.error.is_some_and(|error| error.contains(&first));
                assert_eq!(named, outcome != Status::Created, "{policy:?}");
            }
        }
    }
}

#[test]
fn every_way_of_ending_releases_dependents() {
    let create_first = |create: Create| Command::Create(Create { max_attempts: 1, ..create });
    let deadline = Some(RunDeadline { ms: 500, from_claim: false });
    let cases: [(&str, Create); 5] = [
        ("lapse", create_of("w")),
        ("deadline", Create { deadline, ..create_of("w") }),
        ("unclaimed", Create { start_within_ms: Some(500), ..create_of("w") }),
        ("tree", create_of("w")),
        ("complete", create_of("w")),
    ];
    for (end, first) in cases {
        let mut world = World::default();
        let root = created(world.run(create("root")));
        let parent_run_id = Some(Text::from(&*root));
        let first = created(world.run(create_first(Create { parent_run_id, ..first })));
        let later = created(world.run(with(OnDependencyFailure::Continue, &[&first])));
        match end {
            "lapse" => drop(world.run(claim(&first, "a", 500))),
            "tree" => drop(world.run(cancel(&root))),
            "complete" => drop(world.run(complete(&first, claimant("", 0)))),
            _ => {}
        }
        world.advance_ms(500);
        sweep(&mut world);
        assert_eq!(status(&world, &later), Status::Created, "{end}");
    }
}

#[test]
fn a_failure_cascades() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let second = created(world.run(after(&[&first])));
    let third = created(world.run(with(OnDependencyFailure::Cancel, &[&second])));
    let child = Create { parent_run_id: Some(Text::from(&*third)), ..create_of("child") };
    let child = created(world.run(Command::Create(child)));
    let fourth = created(world.run(with(OnDependencyFailure::Continue, &[&third])));
    world.run(fail_for_good(&first));
    let seen = [&second, &third, &child, &fourth].map(|run_id| status(&world, run_id));
    assert_eq!(seen, [Status::Failed, Status::Cancelled, Status::Cancelled, Status::Created]);
    while sweep(&mut world).1 {}
    assert_eq!(status(&world, &child), Status::Cancelled);
}

#[test]
fn dependents_are_released_in_bounded_steps() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    for _ in 0..250 {
        world.run(after(&[&first]));
    }
    let blocked = |world: &World| {
        let filter = RunFilter { status: Some(Status::Blocked), ..RunFilter::default() };
        let question = Question::Runs { filter, before: None, page: Page::of_rows(1_000) };
        let Answer::Runs { rows, .. } = world.ask(question) else { panic!("no list") };
        rows.len()
    };
    world.run(complete(&first, claimant("", 0)));
    assert_eq!(blocked(&world), 150);
    // It is not removed before all have been told.
    let delete = DeleteRun { run_id: Text::from(&*first), agent_id: None };
    assert!(!moved(world.run(Command::DeleteRun(delete.clone()))).ok);
    assert_eq!(blocked(&world), 50);
    let Reply::Swept { more, .. } = world.run(Command::Sweep { limit: 20 }) else { panic!() };
    assert_eq!((blocked(&world), more), (31, true));
    assert!(!sweep(&mut world).1);
    assert_eq!(blocked(&world), 0);
    assert!(moved(world.run(Command::DeleteRun(delete))).ok);
}

#[test]
fn a_run_that_is_tried_again_waits_for_its_prerequisites_again() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let later = created(world.run(after(&[&first])));
    world.run(fail_for_good(&first));
    assert!(reason(world.run(retry(&later))).contains(&*first));
    assert!(moved(world.run(retry(&first))).ok);
    assert!(moved(world.run(retry(&later))).ok);
    assert_eq!(run(&world, &later).blocked_by(), [Text::from(&*first)]);
    world.run(fail_for_good(&first));
    assert_eq!(status(&world, &later), Status::Failed);
    // All at once: the oldest first.
    let (name, tags) = (None, Default::default());
    let many = RetriedRuns::Many { name, tags, before: None };
    world.run(Command::Retry(Retry { runs: many, agent_id: None }));
    assert_eq!(status(&world, &later), Status::Blocked);
    world.run(complete(&first, claimant("", 0)));
    assert_eq!(status(&world, &later), Status::Created);
}

#[test]
fn a_blocked_run_ends_by_its_own_times_and_by_hand() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let deadline = Some(RunDeadline { ms: 500, from_claim: false });
    let base = after_of(&[&first], OnDependencyFailure::Fail);
    let by_deadline = created(world.run(Command::Create(Create { deadline, ..base.clone() })));
    let by_start = Create { start_within_ms: Some(500), ..base.clone() };
    let by_start = created(world.run(Command::Create(by_start)));
    let by_hand = created(world.run(Command::Create(base.clone())));
    assert!(moved(world.run(cancel(&by_hand))).ok);
    world.advance_ms(500);
    let seen = [&by_deadline, &by_start, &by_hand].map(|run_id| status(&world, run_id));
    assert_eq!(seen, [Status::Failed, Status::Failed, Status::Cancelled]);
    world.run(complete(&first, claimant("", 0)));
    let seen = [&by_deadline, &by_start, &by_hand].map(|run_id| status(&world, run_id));
    assert_eq!(seen, [Status::Failed, Status::Failed, Status::Cancelled]);
}

#[test]
fn a_delay_counts_from_the_creation() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let delayed = |delay_ms| {
        let base = after_of(&[&first], OnDependencyFailure::Fail);
        Command::Create(Create { delay_ms: Some(delay_ms), ..base })
    };
    let (short, long) = (delayed(100), delayed(1_000));
    let (short, long) = (created(world.run(short)), created(world.run(long)));
    world.advance_ms(500);
    world.run(complete(&first, claimant("", 0)));
    assert!(claimed(world.run(claim(&short, "a", 1_000))).claimed);
    assert!(!claimed(world.run(claim(&long, "a", 1_000))).claimed);
    world.advance_ms(500);
    assert!(claimed(world.run(claim(&long, "a", 1_000))).claimed);
}

fn last_step(run_id: &str, step: u64, successors: Vec<Create>) -> Complete {
    let last_step = Some(LastStep { step, output: Json::new("7") });
    Complete { run_id: run_id.into(), last_step, successors, ..Complete::default() }
}

#[test]
fn an_end_stores_its_last_step_and_creates_what_follows() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let later = after_of(&[&first], OnDependencyFailure::Fail);
    let end = last_step(&first, 3, vec![create_of("next"), later]);
    let ended = moved(world.run(Command::Complete(end.clone())));
    assert!(ended.ok && ended.status == Status::Done);
    let [next, later] = &ended.successors[..] else { panic!("{ended:?}") };
    assert_eq!((&*run(&world, next).name, status(&world, next)), ("next", Status::Created));
    // The run that it depends on is over in the same moment.
    assert_eq!(status(&world, later), Status::Created);
    assert_eq!(run(&world, &first).last_step, 3);
    let actions = [
        Action::WorkflowCheckpoint,
        Action::WorkflowComplete,
        Action::WorkflowCreate,
        Action::WorkflowCreate,
    ];
    assert_eq!(world.newest_actions(actions.len()), actions);
    // Whoever repeats it because the reply was lost creates nothing again.
    let again = moved(world.run(Command::Complete(Complete { last_step: None, ..end })));
    assert!(again.ok && again.successors.is_empty());
    assert_eq!(world.rows().runs.len(), 3);
}

#[test]
fn an_end_whose_successor_is_refused_changes_nothing() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let orphan = after_of(&["wf-none"], OnDependencyFailure::Fail);
    let end = last_step(&first, 1, vec![create_of("next"), orphan]);
    let before = world.rows().runs.clone();
    let (code, message) = refusal(world.run(Command::Complete(end)));
    assert_eq!(code, RefusalCode::NotFound);
    assert_eq!(&*message, "successors[1].depends_on: Workflow 'wf-none' not found");
    assert_eq!(world.rows().runs, before);
    assert_eq!(status(&world, &first), Status::Created);
}

fn prerequisites(world: &World, run_id: &str, page: Page) -> Vec<(String, Status)> {
    match world.ask(Question::Prerequisites { run_id: run_id.into(), page }) {
        Answer::Runs { rows, .. } => {
            rows.iter().map(|run| (run.run_id.to_string(), run.status)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_claims_a_run_learns_how_its_prerequisites_ended() {
    let mut world = World::default();
    let first = created(world.run(create("w")));
    let second = created(world.run(create("w")));
    let later = created(world.run(with(OnDependencyFailure::Continue, &[&first, &second])));
    world.run(Command::Complete(Complete {
        run_id: (&*first).into(),
        result: Some(Json::new("1")),
        ..Complete::default()
    }));
    world.run(fail_for_good(&second));
    assert!(claimed(world.run(claim(&later, "a", 1_000))).has_prerequisites);
    let all = [(first.clone(), Status::Done), (second.clone(), Status::Failed)];
    assert_eq!(prerequisites(&world, &later, Page::of_rows(10)), all);
    assert_eq!(prerequisites(&world, &later, Page { rows: 10, bytes: 1 }), all[..1]);
    // One that was removed is not told of any more.
    world.run(Command::DeleteRun(DeleteRun { run_id: (&*first).into(), agent_id: None }));
    assert_eq!(prerequisites(&world, &later, Page::of_rows(10)), all[1..]);
}
