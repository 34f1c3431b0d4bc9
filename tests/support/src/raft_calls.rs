//! The commands and questions of these tests.

use std::time::Duration;

use mcp_state_sidecar::machine::command::{
    Acquire, Checkpoint, Claim, Claimant, Complete, Create, Delete, Idempotency, SaveSession, Set,
};
use mcp_state_sidecar::machine::filter::HistoryFilter;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::{
    Answer, Chain, Command, Event, Json, Question, Reply, Revision, Text,
};
use mcp_state_sidecar::store::{Consistency, Request, Store};
use tokio::time::{Instant, sleep};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often an awaited condition is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// Small, so that a short history has several pages.
const PAGE_ROWS: usize = 100;

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub fn request(command: Command) -> Request {
    Request { command, idempotency: None, actor: None, random: 7, attempt: false }
}

pub fn set(key: &str, value: &str) -> Request {
    request(Command::Set(Set {
        key: key.into(),
        value: Json::new(value),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    }))
}

/// A write with the idempotency key `name`.
pub fn named(name: &str, digest: u8, request: Request) -> Request {
    let idempotency = Idempotency { key: name.into(), digest: [digest; 32] };
    Request { idempotency: Some(idempotency), ..request }
}

/// The `n`th command of a load that fills every table.
pub fn mixed(n: u64) -> Request {
    let id = |kind: &str| -> Text { format!("{kind}/{}", n % 17).into() };
    let output = Json::new(format!("{{\"n\":{n}}}"));
    let command = match n % 8 {
        0 | 1 => return named(&format!("request/{n}"), 1, set(&id("key"), &n.to_string())),
        2 => Command::Delete(Delete {
            key: id("key"),
            agent_id: Some("agent".into()),
            if_revision: None,
            fence: None,
        }),
        3 => Command::Acquire(Acquire {
            resource_id: id("lease"),
            holder_id: "agent".into(),
            ttl_ms: 3_600_000,
            ..Default::default()
        }),
        4 => Command::SaveSession(SaveSession {
            session_id: id("session"),
            context: output,
            agent_id: None,
            fence: None,
            ttl_ms: None,
        }),
        5 => Command::Create(Create {
            name: id("run"),
            tags: [("n".into(), n.to_string().into())].into(),
            input: Some(output),
            priority: (n % 3) as i64,
            delay_ms: None,
            max_attempts: 2,
            parent_run_id: None,
            ..Default::default()
        }),
        6 | 7 => return set(&id("other"), &n.to_string()),
        _ => unreachable!("a remainder modulo eight"),
    };
    Request { random: n, ..request(command) }
}

/// Creates a run that is claimed and has one step; if `done`, it is complete.
pub async fn work(store: &dyn Store, random: u64, done: bool) {
    let create = Command::Create(Create {
        name: "worked".into(),
        tags: Default::default(),
        input: None,
        priority: 0,
        delay_ms: None,
        max_attempts: 1,
        parent_run_id: None,
        ..Default::default()
    });
    let reply = store.submit(Request { random, ..request(create) }, soon()).await.unwrap();
    let Reply::Created { run_id, .. } = reply else { panic!("{reply:?}") };
    let agent_id: Text = "worker".into();
    let claim = Claim { run_id: run_id.clone(), agent_id, claim_ttl_ms: 3_600_000 };
    let claimant = Claimant::default;
    let step = Command::Checkpoint(Checkpoint {
        run_id: run_id.clone(),
        step: 1,
        output: Json::new("[1]"),
        claimant: claimant(),
        ask: None,
    });
    let end = Command::Complete(Complete {
        run_id,
        result: None,
        claimant: claimant(),
        ..Complete::default()
    });
    let commands = [Command::Claim(claim), step].into_iter().chain(done.then_some(end));
    for command in commands {
        store.submit(request(command), soon()).await.unwrap();
    }
}

pub async fn ask(store: &dyn Store, question: Question, consistency: Consistency) -> Answer {
    store.ask(question, consistency, soon()).await.unwrap().answer
}

pub async fn get(store: &dyn Store, key: &str) -> Option<String> {
    let question = Question::Key { key: key.into() };
    match ask(store, question, Consistency::Linearizable).await {
        Answer::Key(row) => row.map(|row| row.value.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Everything that questions can show of one node's own state.
pub async fn everything(store: &dyn Store) -> Vec<Answer> {
    let limit = 10_000;
    let mut questions = vec![
        Question::Counts,
        Question::Keys { scan: Default::default(), page: Page::of_rows(limit) },
        Question::Leases { scan: Default::default(), page: Page::of_rows(limit) },
        Question::Sessions { scan: Default::default(), page: Page::of_rows(limit) },
        Question::Runs { filter: Default::default(), before: None, page: Page::of_rows(limit) },
    ];
    let runs = ask(store, questions[4].clone(), Consistency::Local).await;
    let Answer::Runs { rows, next: None } = runs else { panic!("{runs:?}") };
    questions.extend(rows.into_iter().map(|run| Question::Resume {
        run_id: run.run_id,
        from_step: 0,
        page: Page::of_rows(1_000),
    }));
    let mut answers = Vec::new();
    for question in questions {
        answers.push(ask(store, question, Consistency::Local).await);
    }
    answers
}

/// The whole history of a node, oldest first, checked by its chain from the first
/// event to the chain head that the node reports. The error says why the node does
/// not have all of it.
pub async fn history(store: &dyn Store) -> Result<Vec<Event>, String> {
    let health = store.health().await;
    let mut events: Vec<Event> = Vec::new();
    loop {
        let before = events.last().map(|event| event.revision);
        let question = Question::History {
            filter: HistoryFilter::default(),
            before,
            page: Page::of_rows(PAGE_ROWS),
        };
        let deadline = Instant::now() + Duration::from_secs(1);
        let answered = store.ask(question, Consistency::Local, deadline).await;
        match answered.map_err(|error| error.to_string())?.answer {
            Answer::History { events: page, more } => {
                events.extend(page);
                if !more {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    events.reverse();
    let mut chain = Chain::default();
    for (event, revision) in events.iter().zip(1..) {
        assert_eq!(event.revision, Revision(revision), "an event is missing");
        assert!(event.follows(chain), "the chain breaks at {revision}");
        chain = event.chain;
    }
    let last = events.iter().find(|event| event.revision == health.revision);
    let head = last.map_or(Chain::default(), |event| event.chain);
    assert_eq!(head, health.chain, "at {}", health.revision);
    Ok(events)
}

/// The whole history, once the node has all of it.
pub async fn whole_history(store: &dyn Store) -> Vec<Event> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match history(store).await {
            Ok(events) => return events,
            Err(why) => assert!(Instant::now() < deadline, "the history stays incomplete: {why}"),
        }
        sleep(CHECK_INTERVAL).await;
    }
}

/// Waits until `holds` returns true.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(CHECK_INTERVAL).await;
    }
}
