//! Group commit: each command of a transaction succeeds or fails on its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::machine::command::{Operation, Transact};
use mcp_state_sidecar::machine::{Command, Json, Reply};
use mcp_state_sidecar::store::sqlite::SqliteStore;
use mcp_state_sidecar::store::{Store, StoreError};
use tokio::time::Instant;

use crate::common::{check_chain, get, history, open, request, set, soon, submit};

/// Keeps the file locked while `commands` come, so that they share a batch.
/// The replies are in the order of the commands.
async fn together(
    store: &Arc<SqliteStore>,
    file: &Path,
    commands: Vec<Command>,
) -> Vec<Result<Reply, StoreError>> {
    let lock = rusqlite::Connection::open(file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut callers = Vec::new();
    for command in commands {
        let mut submitted = Box::pin({
            let store = store.clone();
            async move { store.submit(request(command), soon()).await }
        });
        // Polled once, it is in the queue.
        assert!(futures::poll!(&mut submitted).is_pending());
        callers.push(submitted);
    }
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);
    futures::future::join_all(callers).await
}

/// A file in which events of the subject `bad` cannot be written, as if the
/// disk had a hole there: the key has been written by then.
async fn with_fault(file: &Path, raise: &str) -> Arc<SqliteStore> {
    let store = Arc::new(open(file));
    submit(&store, set("first", 1)).await.unwrap();
    let fault = rusqlite::Connection::open(file).unwrap();
    fault
        .execute_batch(&format!(
            "CREATE TRIGGER hole BEFORE INSERT ON event WHEN NEW.subject = 'bad' \
             BEGIN SELECT RAISE({raise}, 'a hole in the disk'); END"
        ))
        .unwrap();
    store
}

fn pair(a: &str, b: &str) -> Command {
    let set = |key: &str| Operation::Set { key: key.into(), value: Json::new("2"), ttl_ms: None };
    Command::Transact(Transact {
        compare: Vec::new(),
        then: vec![set(a), set(b)],
        otherwise: Vec::new(),
        agent_id: None,
        fence: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_leaves_no_trace_and_the_others_intact() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = with_fault(&file, "ABORT").await;
    let commands = vec![set("a", 1), pair("half", "bad"), set("b", 1), set("bad", 1), set("c", 1)];
    let replies = together(&store, &file, commands).await;
    for at in [0, 2, 4] {
        assert!(matches!(&replies[at], Ok(Reply::Set(written)) if written.ok), "{replies:?}");
    }
    for at in [1, 3] {
        let fault = replies[at].as_ref().expect_err("a fault");
        assert!(matches!(fault, StoreError::Storage(why) if why.contains("a hole")), "{fault}");
    }
    for key in ["a", "b", "c"] {
        assert_eq!(get(&store, key).await.0.as_deref(), Some("1"), "{key}");
    }
    for key in ["half", "bad"] {
        assert_eq!(get(&store, key).await.0, None, "{key} was half written");
    }
    assert_eq!(history(&store).await.len(), 4);
    check_chain(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_ends_the_transaction_fails_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = with_fault(&file, "ROLLBACK").await;
    let replies = together(&store, &file, vec![set("a", 1), set("bad", 1), set("b", 1)]).await;
    let storage = |reply: &Result<Reply, StoreError>| matches!(reply, Err(StoreError::Storage(_)));
    assert!(replies[..2].iter().all(storage), "{replies:?}");
    // Not begun when the transaction ended, it got the next one.
    assert!(replies[2].is_ok(), "{replies:?}");
    assert_eq!(get(&store, "a").await.0, None, "written, but reported as not");
    // It goes on.
    submit(&store, set("later", 1)).await.unwrap();
    check_chain(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_stays_is_waited_for_until_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = open(&file);
    let lock = rusqlite::Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let deadline = Instant::now() + Duration::from_millis(200);
    let refused = store.submit(request(set("k", 1)), deadline).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(Instant::now() >= deadline, "gave up early");
    // Reading goes on beside the lock.
    assert_eq!(get(&store, "k").await.0, None);
    let waits = submit(&store, set("l", 1));
    let frees = async {
        tokio::task::yield_now().await;
        lock.execute_batch("ROLLBACK").unwrap();
    };
    let (written, ()) = tokio::join!(waits, frees);
    written.unwrap();
    assert_eq!(get(&store, "k").await.0, None, "what was refused was written later");
}
