//! Every question once, pages, and the state from which an answer is read.

use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::proto::state::answer::Answer;
use mcp_state_sidecar::proto::state::command::Command as Form;
use mcp_state_sidecar::proto::state::question::Question;
use mcp_state_sidecar::proto::state::*;

use crate::support::*;

macro_rules! expect {
    ($answer:expr, $kind:ident) => {
        match $answer {
            Ok(Answer::$kind(answer)) => answer,
            other => panic!("not {}: {other:?}", stringify!($kind)),
        }
    };
}

fn scan(prefix: &str, after: Option<&str>, limit: u64) -> ScanQuestion {
    ScanQuestion { prefix: prefix.into(), after: after.map(Into::into), limit, bytes: None }
}

#[tokio::test]
async fn keys_and_their_pages() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for key in ["a:1", "a:2", "a:3", "b"] {
        client.submit(set(key, "1")).await.unwrap();
    }
    let key = Question::Key(KeyQuestion { key: "b".into() });
    let row = expect!(client.ask(key).await, Key).row.unwrap();
    assert_eq!((row.value.as_str(), row.revision, row.expires_at_ms), ("1", 4, None));
    let absent = Question::Key(KeyQuestion { key: "c".into() });
    assert_eq!(expect!(client.ask(absent).await, Key).row, None);

    let page = expect!(client.ask(Question::Keys(scan("a:", None, 2))).await, Keys);
    let names: Vec<_> = page.rows.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!((names, page.more), (vec!["a:1", "a:2"], true));
    let page = expect!(client.ask(Question::Keys(scan("a:", Some("a:2"), 2))).await, Keys);
    assert_eq!((page.rows.len(), page.more), (1, false));
    let all = expect!(client.ask(Question::Keys(scan("", None, 0))).await, Keys);
    assert_eq!(all.rows.len(), 4, "no limit is the largest page");
    let all = expect!(client.ask(Question::Keys(scan("", None, u64::MAX))).await, Keys);
    assert_eq!(all.rows.len(), 4);
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large_for_a_client() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let value = format!("\"{}\"", "v".repeat(900_000));
    for key in ["a", "b", "c", "d", "e"] {
        client.submit(set(key, &value)).await.unwrap();
    }
    // A client with default settings accepts 4 MB.
    let mut plain = api::sidecar_client::SidecarClient::new(server.channel().await);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let question = Some(Question::Keys(scan("", after.as_deref(), 0)));
        let question = Some(mcp_state_sidecar::proto::state::Question { question });
        let request = api::AskRequest { question, ..Default::default() };
        let reply = plain.ask(request).await.unwrap().into_inner();
        let Some(Answer::Keys(page)) = reply.answer.unwrap().answer else { panic!() };
        seen.extend(page.rows.iter().map(|entry| entry.key.clone()));
        after = seen.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn runs_and_their_steps() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let tag = |value: &str| Tag { name: "team".into(), value: value.into() };
    for value in ["x", "y"] {
        let create = Create { name: "n".into(), tags: vec![tag(value)], ..Default::default() };
        client.submit(Form::Create(create)).await.unwrap();
    }
    let runs = Question::Runs(RunsQuestion {
        tags: vec![tag("y")],
        status: Some(RunStatus::Created.into()),
        claimable: Some(true),
        ..Default::default()
    });
    let runs = expect!(client.ask(runs).await, Runs);
    assert_eq!((runs.rows.len(), runs.more), (1, false));
    let run_id = runs.rows[0].run_id.clone();
    let checkpoint =
        Checkpoint { run_id: run_id.clone(), step: 2, output: "7".into(), ..Default::default() };
    client.submit(Form::Checkpoint(checkpoint)).await.unwrap();
    let run = Question::Run(RunQuestion { run_id: run_id.clone(), ..Default::default() });
    let run = expect!(client.ask(run).await, Run).row.unwrap();
    assert_eq!((run.status(), run.last_step, run.tags), (RunStatus::Running, 2, vec![tag("y")]));
    let resume = Question::Resume(RunQuestion { run_id, ..Default::default() });
    let resumed = expect!(client.ask(resume).await, Resume);
    assert_eq!(resumed.run.unwrap().last_step, 2);
    assert_eq!(resumed.steps[0].row.as_ref().unwrap().output, "7");
    let unknown = Question::Resume(RunQuestion { run_id: "wf-none".into(), ..Default::default() });
    assert_eq!(expect!(client.ask(unknown).await, Resume), ResumeAnswer::default());
}

#[tokio::test]
async fn counts_of_runs_by_name_and_of_children() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let of = |name: &str| Create { name: name.into(), ..Default::default() };
    client.submit(Form::Create(of("whole"))).await.unwrap();
    let page = expect!(client.ask(Question::Runs(RunsQuestion::default())).await, Runs);
    let parent_run_id = page.rows[0].run_id.clone();
    for _ in 0..2 {
        let child = Create { parent_run_id: Some(parent_run_id.clone()), ..of("part") };
        client.submit(Form::Create(child)).await.unwrap();
    }
    let run = Question::Run(RunQuestion { run_id: parent_run_id, ..Default::default() });
    assert_eq!(expect!(client.ask(run).await, Run).children, [2]);

    let page = expect!(client.ask(Question::Stats(scan("", None, 1))).await, Stats);
    assert_eq!((page.more, page.next.as_deref()), (true, Some("part")));
    let part = &page.rows[0];
    assert_eq!((part.name.as_str(), &part.counts[..]), ("part", &[2][..]));
    assert!(part.oldest_run_id.is_some() && part.oldest_since_ms.is_some(), "{part:?}");
    assert_eq!(part.last_five_minutes.unwrap().created, 2);
    let page = expect!(client.ask(Question::Stats(scan("", Some("part"), 1))).await, Stats);
    assert_eq!((page.rows[0].name.as_str(), page.more, page.next), ("whole", false, None));
}

#[tokio::test]
async fn leases_sessions_and_counts() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let acquire = Acquire {
        resource_id: "r".into(),
        holder_id: "a".into(),
        ttl_ms: 1000,
        ..Default::default()
    };
    client.submit(Form::Acquire(acquire)).await.unwrap();
    let save = SaveSession { session_id: "s".into(), context: "{}".into(), ..Default::default() };
    client.submit(Form::SaveSession(save)).await.unwrap();
    let leases = expect!(client.ask(Question::Leases(scan("", None, 9))).await, Leases);
    assert_eq!(leases.rows[0].row.as_ref().unwrap().holder_id, "a");
    let session = Question::Session(SessionQuestion { session_id: "s".into() });
    assert_eq!(expect!(client.ask(session).await, Session).row.unwrap().context, "{}");
    let sessions = expect!(client.ask(Question::Sessions(scan("s", None, 9))).await, Sessions);
    assert_eq!(sessions.rows[0].session_id, "s");
    let counts = expect!(client.ask(Question::Counts(CountsQuestion {})).await, Counts);
    assert_eq!((counts.leases, counts.sessions, counts.keys), (1, 1, 0));
    server.clock.advance_ms(1000);
    let leases = expect!(client.ask(Question::Leases(scan("", None, 9))).await, Leases);
    assert!(leases.rows.is_empty(), "its time is over");
}

#[tokio::test]
async fn the_history_and_what_changed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for value in ["1", "2", "3"] {
        client.submit(set("k", value)).await.unwrap();
    }
    client.submit(set("l", "1")).await.unwrap();
    let history = Question::History(HistoryQuestion {
        subject: Some("k".into()),
        action: Some(Action::StateSet.into()),
        before: Some(3),
        limit: 1,
        ..Default::default()
    });
    let history = expect!(client.ask(history).await, History);
    assert!(history.more);
    let event = &history.events[0];
    assert_eq!((event.revision, event.new.as_deref()), (2, Some("2")));
    assert_eq!((event.previous.as_deref(), event.chain.len()), (Some("1"), 32));
    let filter = Some(ChangeFilter { filter: Some(change_filter::Filter::Prefix("k".into())) });
    let changes = Question::Changes(ChangesQuestion { filter, after: 1, limit: 10, bytes: None });
    let changes = expect!(client.ask(changes).await, Changes);
    let revisions: Vec<_> = changes.events.iter().map(|event| event.revision).collect();
    assert_eq!((revisions, changes.complete), (vec![2, 3], true));
}

#[tokio::test]
async fn an_answer_names_the_state_it_was_read_from() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.submit(set("k", "1")).await.unwrap();
    for consistency in [api::Consistency::Linearizable, api::Consistency::Local] {
        let request = api::AskRequest {
            question: Some(mcp_state_sidecar::proto::state::Question {
                question: Some(Question::Counts(CountsQuestion {})),
            }),
            consistency: consistency.into(),
            timeout_ms: Some(5000),
        };
        let reply = client.0.ask(request).await.unwrap().into_inner();
        assert_eq!(reply.revision, 1, "{consistency:?}");
    }
}

#[tokio::test]
async fn a_local_answer_says_how_old_it_may_be() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let question = Question::Key(KeyQuestion { key: "k".into() });
    let question = Some(mcp_state_sidecar::proto::state::Question { question: Some(question) });
    for (consistency, age_ms) in
        [(api::Consistency::Linearizable, None), (api::Consistency::Local, Some(0))]
    {
        let consistency = consistency.into();
        let request =
            api::AskRequest { question: question.clone(), consistency, ..Default::default() };
        let reply = client.0.ask(request).await.unwrap().into_inner();
        assert_eq!(reply.age_ms, age_ms);
    }
}
