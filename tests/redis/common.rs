//! What the tests share: stores on a server, short forms of calls, and complete
//! exports.

use std::time::Duration;

use futures::StreamExt;
use mcp_state_sidecar::machine::command::Set;
use mcp_state_sidecar::machine::{Answer, Command, Event, Json, Meta, Question, Reply, Row};
use mcp_state_sidecar::store::export::{Export, Part};
use mcp_state_sidecar::store::redis::{Options, RedisClock, RedisStore};
use mcp_state_sidecar::store::{Consistency, Request, Store, StoreError};
use tokio::time::Instant;

use support::redis_server::RedisServer;

/// Far longer than anything here takes: who meets it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// One more store on the state under `prefix`, by Redis's own clock.
pub async fn open(server: &RedisServer, prefix: &str) -> RedisStore {
    let options = Options { url: server.url(), prefix: prefix.to_owned(), ..Options::default() };
    RedisStore::open(options, RedisClock::Server).await.expect("a server of our own")
}

pub async fn set(
    store: &RedisStore,
    key: &str,
    value: u64,
    deadline: Instant,
) -> Result<Reply, StoreError> {
    let set = Set {
        key: key.into(),
        value: Json::new(value.to_string()),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    };
    let (command, random) = (Command::Set(set), rand::random());
    store
        .submit(
            Request { command, idempotency: None, actor: None, random, attempt: false },
            deadline,
        )
        .await
}

/// The key's value; none where it is not there.
pub async fn get(
    store: &RedisStore,
    key: &str,
    deadline: Instant,
) -> Result<Option<u64>, StoreError> {
    let question = Question::Key { key: key.into() };
    match store.ask(question, Consistency::Linearizable, deadline).await?.answer {
        Answer::Key(row) => Ok(row.map(|row| row.value.as_str().parse().expect("a number"))),
        other => panic!("not about a key: {other:?}"),
    }
}

/// An export to its end: its position, rows and events.
pub async fn all(export: Export) -> (Meta, Vec<Row>, Vec<Event>) {
    let (mut rows, mut events) = (Vec::new(), Vec::new());
    let mut parts = export.parts;
    while let Some(some) = parts.next().await {
        for part in some.expect("parts") {
            match part {
                Part::Row(row) => rows.push(row),
                Part::Event(event) => events.push(event),
            }
        }
    }
    (export.meta, rows, events)
}
