//! Bad input of every kind gets a clear error, changes nothing, and leaves the
//! server serving.

use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::proto::state::command::Command as Form;
use mcp_state_sidecar::proto::state::*;

use crate::support::*;

/// Sends each request, and checks that it is refused with this code and with a
/// message that contains this text.
async fn refuses(cases: Vec<(api::SubmitRequest, &str, &str)>) {
    let server = Server::start().await;
    let mut client = server.client().await;
    for (request, code, text) in cases {
        let shown: String = format!("{request:?}").chars().take(200).collect();
        let status = client.send(request).await.expect_err(&shown);
        assert_eq!(code_of(&status).1, code, "{shown}: {status}");
        assert!(status.message().contains(text), "{shown}: {}", status.message());
    }
    let status = client.0.status(api::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.revision, 0, "nothing has changed");
    client.submit(set("k", "1")).await.expect("serves on");
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn values_that_are_malformed_too_deep_or_too_large() {
    let bad = "invalid_argument";
    let mut cases = Vec::new();
    for value in ["", "{", "nul", "1 2", "{'a':1}", "[1,]", "\"\u{1}\"", "NaN"] {
        cases.push((request(set("k", value)), bad, "value must be one JSON value"));
    }
    let deep = nested(129);
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    let id = || "i".to_owned();
    let forms = |value: &str| {
        [
            set("k", value),
            Form::Create(Create { name: id(), input: Some(value.into()), ..Default::default() }),
            Form::Checkpoint(Checkpoint {
                run_id: id(),
                output: value.into(),
                ..Default::default()
            }),
            Form::Complete(Complete {
                run_id: id(),
                result: Some(value.into()),
                ..Default::default()
            }),
            Form::SaveSession(SaveSession {
                session_id: id(),
                context: value.into(),
                ..Default::default()
            }),
        ]
    };
    cases.extend(forms(&deep).map(|form| (request(form), bad, "may nest 128 deep, got 129")));
    cases.extend(forms(&large).map(|form| (request(form), "too_large", "takes up to 1048576")));
    cases.extend(forms("?").map(|form| (request(form), bad, "must be one JSON value")));
    for context in ["[]", "1", "null", "\"{}\""] {
        let save = SaveSession { session_id: id(), context: context.into(), ..Default::default() };
        cases.push((request(Form::SaveSession(save)), bad, "context must be a JSON object"));
    }
    refuses(cases).await;
}

#[tokio::test]
async fn names_that_are_empty_or_too_long() {
    let long = "n".repeat(1025);
    let (bad, large) = ("invalid_argument", "too_large");
    let held = |run_id: &str, agent_id: &str| Held {
        run_id: run_id.into(),
        agent_id: agent_id.into(),
        claim_token: 1,
    };
    let acquire = |resource_id: &str, holder_id: &str| {
        Form::Acquire(Acquire {
            resource_id: resource_id.into(),
            holder_id: holder_id.into(),
            ttl_ms: 1,
            ..Default::default()
        })
    };
    let agent = |agent_id: &str| Delete { agent_id: Some(agent_id.into()), ..Default::default() };
    let fence = Some(Fence { resource_id: String::new(), token: 1 });
    let note = "n".repeat(65 * 1024);
    let fail = Fail { run_id: "r".into(), error: note.clone(), ..Default::default() };
    let cancel = Cancel { run_id: "r".into(), reason: Some(note), ..Default::default() };
    refuses(vec![
        (request(set(&long, "1")), large, "key takes up to 1024 bytes, got 1025"),
        (request(Form::Heartbeat(held("", "a"))), bad, "run_id must not be empty"),
        (request(Form::Release(held("r", ""))), bad, "agent_id must not be empty"),
        (request(acquire("", "a")), bad, "resource_id must not be empty"),
        (request(acquire("r", &long)), large, "holder_id takes up to 1024"),
        (request(Form::Delete(agent(""))), bad, "agent_id must not be empty"),
        (request(Form::Delete(agent(&long))), large, "agent_id takes up to 1024"),
        (
            request(Form::Delete(Delete { fence, ..Default::default() })),
            bad,
            "fence.resource_id must not be empty",
        ),
        (request(Form::Create(Create::default())), bad, "name must not be empty"),
        (request(Form::DeleteSession(DeleteSession::default())), bad, "session_id must not"),
        (request(Form::Fail(fail)), large, "error takes up to 65536 bytes"),
        (request(Form::Cancel(cancel)), large, "reason takes up to 65536 bytes"),
        (
            api::SubmitRequest { agent_id: Some(String::new()), ..request(set("k", "1")) },
            bad,
            "agent_id must not be empty",
        ),
        (
            api::SubmitRequest { idempotency_key: Some(String::new()), ..request(set("k", "1")) },
            bad,
            "idempotency_key must not be empty",
        ),
        (
            api::SubmitRequest { idempotency_key: Some("i".repeat(129)), ..request(set("k", "1")) },
            large,
            "idempotency_key takes up to 128 bytes, got 129",
        ),
    ])
    .await;
}

#[tokio::test]
async fn numbers_and_lists_out_of_range() {
    let bad = "invalid_argument";
    let ttl = |ttl_ms| {
        Form::Set(Set {
            key: "k".into(),
            value: "1".into(),
            ttl_ms: Some(ttl_ms),
            ..Default::default()
        })
    };
    let tags = (0..257).map(|n| Tag { name: n.to_string(), value: String::new() }).collect();
    let twice = || vec![Tag { name: "n".into(), value: String::new() }; 2];
    let next =
        |tags| Form::ClaimNext(ClaimNext { agent_id: "w".into(), tags, ..Default::default() });
    let create = |max_attempts, delay_ms| {
        Form::Create(Create { name: "n".into(), max_attempts, delay_ms, ..Default::default() })
    };
    let get = || Operation {
        operation: Some(operation::Operation::Get(OperationGet { key: "k".into() })),
    };
    let many = Transact { then: vec![get(); 129], ..Default::default() };
    let acquire =
        Acquire { resource_id: "r".into(), holder_id: "h".into(), ttl_ms: 0, ..Default::default() };
    refuses(vec![
        (request(ttl(0)), bad, "ttl_ms must be >= 1, got 0"),
        (request(ttl(u64::MAX)), bad, "ttl_ms must be <="),
        (request(Form::Acquire(acquire)), bad, "ttl_ms must be >= 1, got 0"),
        (request(next(tags)), bad, "tags takes up to 256, got 257"),
        (request(next(twice())), bad, "'n' occurs twice"),
        (request(create(2_000_000, None)), bad, "max_attempts must be <="),
        (request(create(1, Some(u64::MAX))), bad, "delay_ms must be <="),
        (request(Form::Transact(many)), bad, "then takes up to 128, got 129"),
        (
            api::SubmitRequest { timeout_ms: Some(0), ..request(set("k", "1")) },
            bad,
            "timeout_ms must be >= 1",
        ),
        (
            api::SubmitRequest { wait_ms: Some(1), ..request(set("k", "1")) },
            bad,
            "wait_ms is for acquire and claim_next",
        ),
    ])
    .await;
}

#[tokio::test]
async fn commands_that_are_missing_incomplete_or_only_for_nodes() {
    let bad = "invalid_argument";
    let compare = Compare { key: "k".into(), condition: None };
    let value = Compare { key: "k".into(), condition: Some(compare::Condition::Value("?".into())) };
    let schedule = |template: Option<&str>, every_ms| {
        let template = template.map(|name| Create { name: name.into(), ..Default::default() });
        let timetable = Some(timetable::Timetable::EveryMs(every_ms));
        let timetable = Some(Timetable { timetable });
        Form::SetSchedule(SetSchedule {
            name: "s".into(),
            timetable,
            template,
            ..Default::default()
        })
    };
    let transact = |compare, then| Form::Transact(Transact { compare, then, ..Default::default() });
    let set = |value: &str, ttl_ms| Operation {
        operation: Some(operation::Operation::Set(OperationSet {
            key: "k".into(),
            value: value.into(),
            ttl_ms,
        })),
    };
    refuses(vec![
        (api::SubmitRequest::default(), bad, "command is required"),
        (
            api::SubmitRequest { command: Some(Command { command: None }), ..Default::default() },
            bad,
            "Command.command is missing",
        ),
        (request(transact(vec![compare], vec![])), bad, "Compare.condition is missing"),
        (request(transact(vec![value], vec![])), bad, "compare[0].value must be one JSON value"),
        (
            request(transact(vec![], vec![Operation { operation: None }])),
            bad,
            "Operation.operation is missing",
        ),
        (
            request(transact(vec![], vec![set("1", None), set("?", None)])),
            bad,
            "then[1].value must be one JSON value",
        ),
        (request(transact(vec![], vec![set("1", Some(0))])), bad, "then[0].ttl_ms must be >= 1"),
        (request(Form::Sweep(Sweep { limit: 10 })), "forbidden", "sweep"),
        (request(Form::FireSchedule(FireSchedule::default())), "forbidden", "firings"),
        (request(schedule(None, 1_000)), bad, "SetSchedule.template is missing"),
        (request(schedule(Some("w"), 999)), bad, "every_ms must be >= 1000, got 999"),
        (request(schedule(Some(""), 1_000)), bad, "template.name must not be empty"),
    ])
    .await;
}

#[tokio::test]
async fn malformed_questions() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let long = || "n".repeat(1025);
    let question = |question| Some(Question { question: Some(question) });
    let runs = |status, tags| {
        question::Question::Runs(RunsQuestion { status, tags, ..Default::default() })
    };
    let history = HistoryQuestion { action: Some(99), ..Default::default() };
    let scan = ScanQuestion { prefix: long(), ..Default::default() };
    for (asked, code) in [
        (None, "invalid_argument"),
        (Some(Question { question: None }), "invalid_argument"),
        (question(question::Question::Key(KeyQuestion { key: long() })), "too_large"),
        (question(question::Question::Keys(scan)), "too_large"),
        (question(question::Question::Run(RunQuestion::default())), "invalid_argument"),
        (question(question::Question::Session(SessionQuestion::default())), "invalid_argument"),
        (question(runs(Some(9), vec![])), "invalid_argument"),
        (question(runs(Some(0), vec![])), "invalid_argument"),
        (question(runs(None, vec![Tag::default(); 2])), "invalid_argument"),
        (question(question::Question::History(history)), "invalid_argument"),
        (question(question::Question::Changes(ChangesQuestion::default())), "invalid_argument"),
    ] {
        let request = api::AskRequest { question: asked, ..Default::default() };
        let shown = format!("{request:?}");
        let status = client.0.ask(request).await.expect_err(&shown);
        assert_eq!(code_of(&status).1, code, "{shown}: {status}");
    }
    let request = api::AskRequest {
        question: question(question::Question::Counts(CountsQuestion {})),
        consistency: 2,
        timeout_ms: None,
    };
    let status = client.0.ask(request).await.unwrap_err();
    assert_eq!(status.message(), "consistency must be 0 or 1, got 2");
}
