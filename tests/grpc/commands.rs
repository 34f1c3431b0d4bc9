//! Every command once, and the options of a command: idempotency key, actor, wait.

use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::proto::state::command::Command as Form;
use mcp_state_sidecar::proto::state::reply::Reply;
use mcp_state_sidecar::proto::state::{self, *};

use crate::support::*;

macro_rules! expect {
    ($reply:expr, $kind:ident) => {
        match $reply {
            Ok(Reply::$kind(reply)) => reply,
            other => panic!("not {}: {other:?}", stringify!($kind)),
        }
    };
}

#[tokio::test]
async fn keys_are_set_removed_and_changed_together() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let written = expect!(client.submit(set("k", "[1.0]")).await, Set);
    assert_eq!((written.ok, written.revision, written.reason), (true, 1, None));
    let stale = Set { if_revision: Some(0), ..a_set("k", "2") };
    let refused = expect!(client.submit(Form::Set(stale)).await, Set);
    assert_eq!((refused.ok, refused.revision), (false, 1));
    assert!(refused.reason.is_some(), "a refusal is a reply, and says why");
    assert_eq!(client.value("k").await.as_deref(), Some("[1.0]"), "as it was sent");

    let condition = Some(compare::Condition::Value("[1.0]".into()));
    let transact = Transact {
        compare: vec![Compare { key: "k".into(), condition }],
        then: vec![
            operation(operation::Operation::Set(OperationSet {
                key: "l".into(),
                value: "true".into(),
                ttl_ms: None,
            })),
            operation(operation::Operation::Delete(OperationDelete { key: "k".into() })),
            operation(operation::Operation::Get(OperationGet { key: "l".into() })),
        ],
        otherwise: vec![],
        agent_id: None,
        fence: None,
    };
    let done = expect!(client.submit(Form::Transact(transact)).await, Transacted);
    assert!(done.succeeded && done.results.len() == 3 && done.revision == 3, "{done:?}");
    assert_eq!(client.value("k").await, None);
    let delete = Delete { key: "l".into(), ..Default::default() };
    assert!(expect!(client.submit(Form::Delete(delete.clone())).await, Deleted).ok);
    assert!(!expect!(client.submit(Form::Delete(delete)).await, Deleted).ok);
}

#[tokio::test]
async fn a_run_is_created_claimed_stepped_and_completed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let run_id = create(&mut client, "n").await;
    let claim = Claim { run_id: run_id.clone(), agent_id: "w1".into(), claim_ttl_ms: 0 };
    let claimed = expect!(client.submit(Form::Claim(claim)).await, Claimed);
    assert!(claimed.claimed);
    assert_eq!(claimed.claim_expires_at_ms, Some(START_MS + 300_000), "five minutes by default");
    let claim_token = claimed.claim_token.unwrap();
    let other = Claim { run_id: run_id.clone(), agent_id: "w2".into(), claim_ttl_ms: 1 };
    assert!(!expect!(client.submit(Form::Claim(other)).await, Claimed).claimed);

    let checkpoint = Checkpoint {
        run_id: run_id.clone(),
        step: 1,
        output: r#"{"a":1}"#.into(),
        agent_id: Some("w1".into()),
        claim_token: Some(claim_token),
        ask: None,
    };
    let stored = expect!(client.submit(Form::Checkpoint(checkpoint)).await, Checkpointed);
    assert!(stored.ok && stored.last_step == 1);
    let held = Held { run_id: run_id.clone(), agent_id: "w1".into(), claim_token };
    let moved = expect!(client.submit(Form::Heartbeat(held)).await, Moved);
    assert_eq!((moved.ok, moved.status()), (true, RunStatus::Running));
    let complete = Complete {
        run_id,
        result: Some("\"done\"".into()),
        agent_id: None,
        claim_token: Some(claim_token),
        ..Default::default()
    };
    let moved = expect!(client.submit(Form::Complete(complete)).await, Moved);
    assert_eq!((moved.ok, moved.status()), (true, RunStatus::Done));
}

#[tokio::test]
async fn a_run_is_released_failed_tried_again_and_cancelled() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let run_id = create(&mut client, "n").await;
    let next = ClaimNext { agent_id: "w1".into(), ..Default::default() };
    let claimed = expect!(client.submit(Form::ClaimNext(next.clone())).await, Claimed);
    assert_eq!(claimed.run_id.as_deref(), Some(&*run_id));
    let held = Held {
        run_id: run_id.clone(),
        agent_id: "w1".into(),
        claim_token: claimed.claim_token.unwrap(),
    };
    let moved = expect!(client.submit(Form::Release(held)).await, Moved);
    assert_eq!((moved.ok, moved.status()), (true, RunStatus::Created));
    assert!(expect!(client.submit(Form::ClaimNext(next)).await, Claimed).claimed);
    let fail = Fail {
        run_id: run_id.clone(),
        error: "no luck".into(),
        agent_id: Some("w1".into()),
        ..Default::default()
    };
    let moved = expect!(client.submit(Form::Fail(fail)).await, Moved);
    assert_eq!((moved.ok, moved.status()), (true, RunStatus::Created), "three attempts in all");
    let cancel = Cancel { run_id, reason: Some("enough".into()), agent_id: None };
    let moved = expect!(client.submit(Form::Cancel(cancel)).await, Moved);
    assert_eq!((moved.ok, moved.status()), (true, RunStatus::Cancelled));
}

#[tokio::test]
async fn leases_are_taken_renewed_and_given_back() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let acquire = |holder: &str| {
        Form::Acquire(Acquire {
            resource_id: "r".into(),
            holder_id: holder.into(),
            ttl_ms: 5000,
            ..Default::default()
        })
    };
    let acquired = expect!(client.submit(acquire("a")).await, Acquired);
    assert!(acquired.acquired);
    let fencing_token = acquired.fencing_token;
    let refused = expect!(client.submit(acquire("b")).await, Acquired);
    assert_eq!((refused.acquired, refused.holder.as_deref()), (false, Some("a")));
    server.clock.advance_ms(1000);
    let renew =
        Renew { resource_id: "r".into(), holder_id: "a".into(), ttl_ms: 9000, fencing_token };
    let renewed = expect!(client.submit(Form::Renew(renew)).await, Renewed);
    assert_eq!((renewed.renewed, renewed.expires_at_ms), (true, Some(START_MS + 10_000)));
    let fence = Some(Fence { resource_id: "r".into(), token: fencing_token.unwrap() + 1 });
    let fenced = Form::Set(Set { fence, ..a_set("k", "1") });
    assert!(!expect!(client.submit(fenced).await, Set).ok, "another token's holder");
    let release = ReleaseLease { resource_id: "r".into(), holder_id: "a".into(), fencing_token };
    assert!(expect!(client.submit(Form::ReleaseLease(release)).await, LeaseReleased).released);
}

#[tokio::test]
async fn sessions_are_saved_and_deleted_and_everything_is_reset() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let save = SaveSession {
        session_id: "s".into(),
        context: r#" {"n": 1}"#.into(),
        ..Default::default()
    };
    assert!(expect!(client.submit(Form::SaveSession(save)).await, SessionSaved).ok);
    let delete = DeleteSession { session_id: "s".into(), agent_id: None };
    assert!(expect!(client.submit(Form::DeleteSession(delete)).await, SessionDeleted).ok);
    client.submit(set("k", "1")).await.unwrap();
    let reset = expect!(client.submit(Form::Reset(Reset {})).await, Reset);
    assert!(reset.cleared > 0);
    assert_eq!(client.value("k").await, None);
}

/// The first firing follows from the service's clock, also where a program has set it, and
/// a request that is repeated later is the same request.
#[tokio::test]
async fn schedules_are_set_listed_and_deleted() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let cron = Cron { expression: "0 0 1 1 *".into(), time_zone: "UTC".into() };
    let set = |first_at_ms| {
        let form = Form::SetSchedule(SetSchedule {
            name: "s".into(),
            timetable: Some(Timetable {
                timetable: Some(timetable::Timetable::Cron(cron.clone())),
            }),
            template: Some(Create { name: "w".into(), ..Default::default() }),
            overlap: Overlap::Replace.into(),
            first_at_ms,
            agent_id: Some("a".into()),
        });
        api::SubmitRequest { idempotency_key: Some("i".into()), ..request(form) }
    };
    let first = expect!(client.send(set(None)).await, ScheduleSet);
    assert!(first.next_at_ms > Some(1_700_000_000_000), "{first:?}");
    assert_eq!(expect!(client.send(set(None)).await, ScheduleSet), first);
    let scan = ScanQuestion { limit: 9, ..Default::default() };
    let listed = client.ask(question::Question::Schedules(scan)).await;
    let Ok(answer::Answer::Schedules(listed)) = listed else { panic!("{listed:?}") };
    let row = listed.rows[0].row.as_ref().expect("a row");
    assert_eq!((row.overlap(), row.next_at_ms), (Overlap::Replace, first.next_at_ms));
    for ok in [true, false] {
        let delete = DeleteSchedule { name: "s".into(), agent_id: None };
        let deleted = client.submit(Form::DeleteSchedule(delete)).await;
        assert_eq!(expect!(deleted, ScheduleDeleted).ok, ok);
    }
    let wrong = SetSchedule {
        timetable: Some(Timetable { timetable: Some(timetable::Timetable::Cron(Cron::default())) }),
        template: Some(Create { name: "w".into(), ..Default::default() }),
        name: "s".into(),
        ..Default::default()
    };
    let status = client.submit(Form::SetSchedule(wrong)).await.unwrap_err();
    assert_eq!(code_of(&status).1, "invalid_argument");
}

#[tokio::test]
async fn the_same_key_gives_the_first_answer_and_another_command_is_refused() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let keyed = |form| api::SubmitRequest { idempotency_key: Some("i".into()), ..request(form) };
    let form = || Form::Create(Create { name: "n".into(), ..Default::default() });
    let first = expect!(client.send(keyed(form())).await, Created);
    let again = expect!(client.send(keyed(form())).await, Created);
    assert_eq!(first, again);
    let status = client.send(keyed(set("k", "1"))).await.unwrap_err();
    assert_eq!(code_of(&status).1, "invalid_argument");
    assert!(status.message().contains("idempotency_key"), "{status}");
    assert_eq!(client.value("k").await, None);
}

#[tokio::test]
async fn who_asked_is_in_the_history_where_the_command_names_no_agent() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let by =
        |agent: &str, form| api::SubmitRequest { agent_id: Some(agent.into()), ..request(form) };
    client.send(by("asker", set("k", "1"))).await.unwrap();
    let named = Form::Set(Set { agent_id: Some("named".into()), ..a_set("k", "2") });
    client.send(by("asker", named)).await.unwrap();
    let question = question::Question::History(HistoryQuestion { limit: 2, ..Default::default() });
    let answer::Answer::History(history) = client.ask(question).await.unwrap() else { panic!() };
    let actors: Vec<_> = history.events.iter().map(|event| event.actor.as_deref()).collect();
    assert_eq!(actors, [Some("named"), Some("asker")]);
}

#[tokio::test]
async fn a_claim_and_a_lease_are_waited_for() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let mut other = server.client().await;
    let next = Form::ClaimNext(ClaimNext { agent_id: "w".into(), ..Default::default() });
    let waiting = api::SubmitRequest { wait_ms: Some(30_000), ..request(next) };
    let waiting = tokio::spawn(async move { other.send(waiting).await });
    until("the claim waits", || server.service.load().1 == 1).await;
    let run_id = create(&mut client, "n").await;
    let claimed = expect!(waiting.await.unwrap(), Claimed);
    assert_eq!(claimed.run_id, Some(run_id));

    let acquire = |holder: &str| {
        Form::Acquire(Acquire {
            resource_id: "r".into(),
            holder_id: holder.into(),
            ttl_ms: 60_000,
            ..Default::default()
        })
    };
    client.submit(acquire("a")).await.unwrap();
    let waiting = api::SubmitRequest { wait_ms: Some(30_000), ..request(acquire("b")) };
    let mut other = server.client().await;
    let waiting = tokio::spawn(async move { other.send(waiting).await });
    until("the lease is waited for", || server.service.load().1 == 1).await;
    let release =
        ReleaseLease { resource_id: "r".into(), holder_id: "a".into(), fencing_token: None };
    client.submit(Form::ReleaseLease(release)).await.unwrap();
    assert!(expect!(waiting.await.unwrap(), Acquired).acquired);
}

fn a_set(key: &str, value: &str) -> state::Set {
    state::Set { key: key.into(), value: value.into(), ..Default::default() }
}

fn operation(operation: operation::Operation) -> Operation {
    Operation { operation: Some(operation) }
}

async fn create(client: &mut Client, name: &str) -> String {
    let form = Create { name: name.into(), max_attempts: 3, ..Default::default() };
    expect!(client.submit(Form::Create(form)).await, Created).run_id
}
