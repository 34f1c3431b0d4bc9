//! What the tests share: short forms of requests, deadlines, and the whole history.

use std::path::Path;
use std::time::Duration;

use mcp_state_sidecar::machine::command::{Acquire, ClaimNext, Create, Set};
use mcp_state_sidecar::machine::filter::HistoryFilter;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::{Answer, Chain, Command, Event, Json, Question, Reply, Revision};
use mcp_state_sidecar::store::sqlite::{Options, SqliteStore};
use mcp_state_sidecar::store::{Consistency, Request, Store, StoreError, clock};
use tokio::time::Instant;

/// Far longer than anything here takes: who meets it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

pub fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default(), clock::system()).expect("the file opens")
}

pub fn request(command: Command) -> Request {
    Request { command, idempotency: None, actor: None, random: seed_now(), attempt: false }
}

pub fn set(key: &str, value: impl ToString) -> Command {
    Command::Set(Set {
        key: key.into(),
        value: Json::new(value.to_string()),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    })
}

pub fn set_if(key: &str, value: impl ToString, revision: Revision) -> Command {
    match set(key, value) {
        Command::Set(set) => Command::Set(Set { if_revision: Some(revision), ..set }),
        other => other,
    }
}

pub fn create(name: &str) -> Command {
    Command::Create(Create {
        name: name.into(),
        tags: Default::default(),
        input: None,
        priority: 0,
        delay_ms: None,
        max_attempts: 1,
        parent_run_id: None,
        ..Default::default()
    })
}

pub fn claim_next(agent_id: &str) -> Command {
    Command::ClaimNext(ClaimNext {
        agent_id: agent_id.into(),
        claim_ttl_ms: 600_000,
        ..Default::default()
    })
}

pub fn acquire(resource_id: &str, holder_id: &str) -> Command {
    Command::Acquire(Acquire {
        resource_id: resource_id.into(),
        holder_id: holder_id.into(),
        ttl_ms: 600_000,
        ..Default::default()
    })
}

pub async fn submit(store: &SqliteStore, command: Command) -> Result<Reply, StoreError> {
    store.submit(request(command), soon()).await
}

pub async fn ask(store: &SqliteStore, question: Question) -> Answer {
    store.ask(question, Consistency::Linearizable, soon()).await.expect("an answer").answer
}

/// A key's value as text, and its revision; zero where it is not there.
pub async fn get(store: &SqliteStore, key: &str) -> (Option<String>, Revision) {
    match ask(store, Question::Key { key: key.into() }).await {
        Answer::Key(Some(row)) => (Some(row.value.as_str().to_owned()), row.revision),
        Answer::Key(None) => (None, Revision::ZERO),
        other => panic!("not about a key: {other:?}"),
    }
}

/// The whole history, oldest first.
pub async fn history(store: &SqliteStore) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let before = events.last().map(|event| event.revision);
        let question = Question::History {
            filter: HistoryFilter::default(),
            before,
            page: Page::of_rows(10_000),
        };
        match ask(store, question).await {
            Answer::History { events: page, more } => {
                events.extend(page);
                if !more {
                    events.reverse();
                    return events;
                }
            }
            other => panic!("not about the history: {other:?}"),
        }
    }
}

/// The history of a file that was never reset follows from nothing, step by
/// step, up to where the store says it is.
pub async fn check_chain(store: &SqliteStore) {
    let events = history(store).await;
    let mut chain = Chain::default();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.revision.0, at as u64 + 1, "a revision is missing");
        assert!(event.follows(chain), "the chain breaks at revision {}", event.revision);
        chain = event.chain;
    }
    let health = store.health().await;
    assert_eq!((health.revision.0, health.chain), (events.len() as u64, chain));
    assert_eq!(health.fault, None);
}

/// The seed of this run: from the environment, or anew; printed.
pub fn seed(test: &str) -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => seed_now(),
    };
    println!("{test}: SEED={seed}");
    seed
}

pub fn seed_now() -> u64 {
    rand::random()
}
