//! Calls that wait for work.

use std::time::Duration;

use mcp_state_sidecar::machine::command::{ClaimNext, Create, Pause};
use mcp_state_sidecar::machine::{Command, Reply};
use mcp_state_sidecar::service::{Code, Context};
use tokio_util::sync::CancellationToken;

use crate::stage::{
    LONG, Stage, any, create, ended, held, named, run, set, settle, tags, with_key,
};

#[tokio::test(start_paused = true)]
async fn the_first_caller_is_served_first() {
    let stage = Stage::new();
    let mut workers = Vec::new();
    for number in 0..5 {
        workers.push(stage.worker(named(&format!("w{number}"), "n"), Context::default()).await);
    }
    for (number, worker) in workers.into_iter().enumerate() {
        stage.submit(create("n")).await;
        assert_eq!(ended(worker).await.agent_id.as_deref(), Some(&*format!("w{number}")));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_caller_is_served_first_whatever_it_waits_for() {
    let stage = Stage::new();
    let choosy = stage.worker(named("choosy", "n"), Context::default()).await;
    let content = stage.worker(any("content"), Context::default()).await;
    stage.submit(create("n")).await;
    assert!(ended(choosy).await.claimed);
    stage.submit(create("n")).await;
    assert!(ended(content).await.claimed);
    let content = stage.worker(any("content"), Context::default()).await;
    let choosy = stage.worker(named("choosy", "n"), Context::default()).await;
    stage.submit(create("n")).await;
    assert!(ended(content).await.claimed);
    assert!(!choosy.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_run_wakes_one_caller_and_costs_nothing_for_those_that_wait_for_others() {
    let stage = Stage::new();
    let mut others = Vec::new();
    for number in 0..1_000 {
        others.push(stage.worker(named("w", &format!("other {number}")), Context::default()).await);
    }
    let tagged = |number: usize| ClaimNext {
        tags: tags(&[("team", "a"), ("number", &number.to_string())]),
        ..any("w")
    };
    for number in 0..1_000 {
        others.push(stage.worker(tagged(number), Context::default()).await);
    }
    let first = stage.worker(named("first", "mine"), Context::default()).await;
    let second = stage.worker(named("second", "mine"), Context::default()).await;
    assert_eq!(stage.submitted(), 0, "a wait writes nothing");
    let (looks, runs) = (stage.asked("candidate"), stage.asked("run"));
    for number in 0..100 {
        stage.submit(set(&number.to_string())).await;
    }
    settle().await;
    assert_eq!(
        (stage.submitted(), stage.asked("candidate")),
        (100, looks),
        "writes that concern none of the callers"
    );
    stage.submit(create("mine")).await;
    assert!(ended(first).await.claimed);
    assert!(!second.is_finished());
    assert_eq!(stage.submitted(), 102, "the run and the claim");
    assert_eq!(stage.asked("run") - runs, 2, "as it was created, and as it was claimed");
    let looks = stage.asked("candidate") - looks;
    assert!(looks <= 1, "{looks} searches, of which one may look for the next caller's run");
    assert!(others.iter().all(|other| !other.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn many_runs_at_once_serve_many_callers() {
    let stage = Stage::new();
    let mut workers = Vec::new();
    for number in 0..40 {
        let claim = if number % 2 == 0 { any("w") } else { named("w", "n") };
        workers.push(stage.worker(claim, Context::default()).await);
    }
    for _ in 0..40 {
        stage.submit(create("n")).await;
    }
    for worker in workers {
        assert!(ended(worker).await.claimed);
    }
    assert!(stage.submitted() < 100, "{} commands for 40 claims", stage.submitted());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_offered_and_not_taken_is_offered_again() {
    let stage = Stage::new();
    let content = stage.worker(any("content"), Context::default()).await;
    let choosy = stage.worker(named("choosy", "x"), Context::default()).await;
    stage.hold_replies();
    // The first caller is woken for x, and takes y, which has a higher priority.
    let create = |name: &str, priority| Command::Create(Create { priority, ..run(name) });
    let service = stage.service.clone();
    for (name, priority) in [("x", 0), ("y", 9)] {
        let (service, command) = (service.clone(), create(name, priority));
        tokio::spawn(async move { service.submit(command, Context::default()).await });
    }
    settle().await;
    stage.let_replies_go();
    assert!(ended(content).await.claimed);
    assert!(ended(choosy).await.claimed, "x was not taken and is offered to the second caller");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_run_wakes_a_caller_when_its_time_comes() {
    let stage = Stage::new();
    let delayed = || Command::Create(Create { delay_ms: Some(60_000), ..run("n") });
    let before = stage.worker(named("before", "n"), Context::default()).await;
    stage.submit(delayed()).await;
    let after = stage.worker(named("after", "n"), Context::default()).await;
    stage.submit(delayed()).await;
    stage.pass(59_000).await;
    assert_eq!(stage.submitted(), 2, "nothing is tried too early");
    stage.pass(1_000).await;
    assert!(ended(before).await.claimed);
    assert!(ended(after).await.claimed);
}

#[tokio::test(start_paused = true)]
async fn many_delayed_runs_serve_many_callers() {
    let stage = Stage::new();
    let mut workers = Vec::new();
    for _ in 0..20 {
        stage.submit(Command::Create(Create { delay_ms: Some(5_000), ..run("n") })).await;
        workers.push(stage.worker(named("w", "n"), Context::default()).await);
        workers.push(stage.worker(any("w"), Context::default()).await);
    }
    stage.pass(5_000).await;
    let claimed = workers.iter().filter(|worker| worker.is_finished()).count();
    assert_eq!(claimed, 20);
    assert_eq!(stage.submitted(), 40, "one command for each claim");
}

#[tokio::test(start_paused = true)]
async fn a_claim_wakes_a_caller_when_it_expires_and_not_while_it_is_renewed() {
    let stage = Stage::new();
    stage.submit(create("n")).await;
    let Reply::Claimed(claimed) = stage.submit(Command::ClaimNext(any("a"))).await else {
        panic!("another reply")
    };
    let worker = stage.worker(named("w", "n"), Context::default()).await;
    stage.pass(20_000).await;
    stage.submit(Command::Heartbeat(held(&claimed))).await;
    stage.pass(20_000).await;
    assert!(!worker.is_finished(), "the heartbeat came in time");
    assert_eq!(stage.submitted(), 3);
    stage.pass(10_000).await;
    assert!(ended(worker).await.claimed);
}

#[tokio::test(start_paused = true)]
async fn a_released_run_wakes_a_caller() {
    let stage = Stage::new();
    stage.submit(create("n")).await;
    let Reply::Claimed(claimed) = stage.submit(Command::ClaimNext(any("a"))).await else {
        panic!("another reply")
    };
    let worker = stage.worker(named("w", "n"), Context::default()).await;
    stage.submit(Command::Release(held(&claimed))).await;
    assert!(ended(worker).await.claimed);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_without_a_grant_has_written_nothing() {
    let stage = Stage::new();
    stage.submit(Command::Create(Create { delay_ms: Some(600_000), ..run("n") })).await;
    let claim = stage.service.claim_next(named("w", "n"), with_key("k"), LONG);
    let nothing = claim.await.expect("an answer");
    assert!(!nothing.claimed);
    assert_eq!(nothing.reason.as_deref(), Some("No workflow is claimable"));
    assert_eq!(nothing.retry_at.map(|at| at.0), Some(crate::stage::BEGIN_MS + 600_000));
    assert_eq!(stage.submitted(), 1);
    let known = stage.probe.inner.state().tables.meta().counts.requests;
    assert_eq!(known, 0, "that there was nothing is not remembered");
}

#[tokio::test(start_paused = true)]
async fn with_a_key_a_call_waits_and_its_claim_is_remembered() {
    let stage = Stage::new();
    let first = stage.worker(named("w", "n"), with_key("k")).await;
    let again = stage.worker(named("w", "n"), with_key("k")).await;
    stage.submit(create("n")).await;
    let first = ended(first).await;
    assert!(first.claimed);
    tokio::time::sleep(LONG).await;
    assert_eq!(ended(again).await, first);
    assert_eq!(ended(stage.worker(named("w", "n"), with_key("k")).await).await, first);
    let other = stage.service.claim_next(named("w", "other"), with_key("k"), LONG).await;
    assert_eq!(other.unwrap_err().code, Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_ends_its_waits() {
    let stop = CancellationToken::new();
    let stage = Stage::set(|options| options.stop = stop.clone());
    let worker = stage.worker(any("w"), Context::default()).await;
    stop.cancel();
    assert!(!ended(worker).await.claimed);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_fails_leaves_the_run_to_the_next() {
    let stage = Stage::new();
    let first = stage.worker(any("first"), Context::default()).await;
    let second = stage.worker(any("second"), Context::default()).await;
    stage.probe.fail_claims(1);
    stage.submit(create("n")).await;
    settle().await;
    assert_eq!(first.await.expect("no panic").unwrap_err().code, Code::Unavailable);
    assert!(ended(second).await.claimed);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_was_ended_early_goes_on() {
    let stage = Stage::new();
    let both = || tags(&[("a", "1"), ("b", "1")]);
    for number in 0..2_400 {
        let tag = if number % 2 == 0 { "a" } else { "b" };
        stage.submit(Command::Create(Create { tags: tags(&[(tag, "1")]), ..run("n") })).await;
    }
    let last = Command::Create(Create { tags: both(), ..run("n") });
    let claim = || ClaimNext { tags: both(), ..any("w") };
    stage.submit(last.clone()).await;
    let before = stage.submitted();
    let Reply::Claimed(claimed) = stage.submit(Command::ClaimNext(claim())).await else {
        panic!("another reply")
    };
    assert!(claimed.claimed && claimed.searched.is_none(), "{claimed:?}");
    assert!(stage.submitted() - before > 1, "it was too far for one command");
    let waiting = stage.worker(claim(), Context::default()).await;
    stage.submit(last.clone()).await;
    assert!(ended(waiting).await.claimed);
    stage.submit(last).await;
    let at_once = stage.service.claim_next(claim(), with_key("k"), Duration::ZERO).await;
    assert!(at_once.expect("an answer").claimed);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_takes_little_memory() {
    let stage = Stage::new();
    let call = stage.service.claim_next(named("w", "n"), Context::default(), LONG);
    let bytes = size_of_val(&call);
    assert!(bytes < 2_048, "{bytes} bytes for one waiting call");
}

#[tokio::test(start_paused = true)]
async fn a_run_of_any_of_the_names_wakes_a_caller() {
    let stage = Stage::new();
    let names = || ["a".into(), "b".into()].into();
    for name in ["a", "b"] {
        let claim = ClaimNext { names: names(), ..any("w") };
        let worker = stage.worker(claim, Context::default()).await;
        stage.submit(create("other")).await;
        assert!(!worker.is_finished(), "it waits for other names");
        stage.submit(create(name)).await;
        assert!(ended(worker).await.claimed, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_there_as_soon_as_one_run_is() {
    let stage = Stage::new();
    let claim = || ClaimNext { limit: Some(3), ..any("w") };
    let first = stage.worker(claim(), Context::default()).await;
    stage.submit(create("n")).await;
    assert_eq!(ended(first).await.further, []);
    for _ in 0..4 {
        stage.submit(create("n")).await;
    }
    let worker = stage.worker(claim(), Context::default()).await;
    assert_eq!(ended(worker).await.further.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_pause_wakes_those_who_wait() {
    let stage = Stage::new();
    let pause = |resume| Command::Pause(Pause { name: "n".into(), resume, agent_id: None });
    stage.submit(pause(false)).await;
    let (any, named) = (any("any"), named("named", "n"));
    let workers = [
        stage.worker(any, Context::default()).await,
        stage.worker(named, Context::default()).await,
    ];
    stage.submit(create("n")).await;
    stage.submit(create("n")).await;
    stage.pass(2_000).await;
    assert!(workers.iter().all(|worker| !worker.is_finished()), "it is paused");
    stage.submit(pause(true)).await;
    for worker in workers {
        assert!(ended(worker).await.claimed);
    }
}
