//! Exports of a Redis that is written to meanwhile belong to one instant, and imports
//! happen completely or not at all.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::command::{Operation, Transact};
use mcp_state_sidecar::machine::{Chain, Command, Event, Json, Meta, Reply, Row};
use mcp_state_sidecar::store::export::{Part, StoreImport};
use mcp_state_sidecar::store::redis::{Options, RedisImport, RedisImportError, RedisStore};
use mcp_state_sidecar::store::{Request, Store};
use tokio_util::sync::CancellationToken;

use crate::common::{all, get, open, set, soon};
use support::redis_server::{self, RedisServer};

/// Pairs of keys that every write changes together.
const PAIRS: u64 = 2_000;

/// Writes at a time.
const BUSY: u64 = 64;

/// Changes made while exports were under way: enough that some meet rows that
/// were read already.
const MEANWHILE: u64 = 5_000;

pub async fn whole(store: &RedisStore) -> (Meta, Vec<Row>, Vec<Event>) {
    all(store.export(soon()).await.expect("an export")).await
}

async fn write_pair(store: &RedisStore, pair: u64, value: u64) {
    let value = || Json::new(value.to_string());
    let set = |side: &str| Operation::Set {
        key: format!("{side}{pair}").into(),
        value: value(),
        ttl_ms: None,
    };
    let command = Command::Transact(Transact {
        compare: Vec::new(),
        then: vec![set("a"), set("b")],
        otherwise: Vec::new(),
        agent_id: None,
        fence: None,
    });
    let request = Request { command, idempotency: None, actor: None, random: 0, attempt: false };
    let reply = store.submit(request, soon()).await.expect("a write");
    assert!(matches!(&reply, Reply::Transacted(done) if done.succeeded), "{reply:?}");
}

pub fn chain_holds(meta: &Meta, events: &[Event]) {
    let mut chain = Chain::default();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.revision.0, at as u64 + 1, "a gap");
        assert!(event.follows(chain), "the chain breaks at {}", event.revision);
        chain = event.chain;
    }
    assert_eq!((chain, events.len() as u64), (meta.chain, meta.revision.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_of_one_instant_and_writes_go_on() {
    if !redis_server::is_installed("exports") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    for first in (0..PAIRS).step_by(100) {
        let writes = (first..first + 100).map(|pair| write_pair(&store, pair, 0));
        futures::future::join_all(writes).await;
    }
    let stop = CancellationToken::new();
    let writing = async {
        let mut written = 0;
        while !stop.is_cancelled() {
            let writes = (0..BUSY).map(|n| {
                let pair = (written * BUSY + n) * 131 % PAIRS;
                write_pair(&store, pair, written + 1)
            });
            futures::future::join_all(writes).await;
            written += 1;
        }
    };
    let exporting = async {
        let (mut meanwhile, mut exports) = (0, Vec::new());
        // As long as it takes for rows to change behind the reader's back.
        while meanwhile < MEANWHILE {
            let before = store.health().await.revision;
            let exported = whole(&store).await;
            assert!(exported.0.revision >= before, "it is of a moment before the call");
            meanwhile += exported.0.revision.0 - before.0;
            exports.push(exported);
        }
        stop.cancel();
        exports
    };
    let ((), exports) = tokio::join!(writing, exporting);
    for (meta, rows, events) in exports {
        is_of_one_instant(&meta, rows, &events);
    }
}

/// Every row is as the last event about it left it, up to the position.
fn is_of_one_instant(meta: &Meta, rows: Vec<Row>, events: &[Event]) {
    chain_holds(meta, events);
    let mut newest = BTreeMap::new();
    for event in events {
        newest.insert(event.subject.clone(), (event.revision, event.new.clone()));
    }
    assert_eq!(rows.len(), newest.len(), "rows are missing");
    for row in rows {
        let Row::Key(key, row) = row else { panic!("no key: {row:?}") };
        let (revision, value) = &newest[&key];
        assert_eq!((row.revision, Some(&row.value)), (*revision, value.as_ref()), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_all_or_nothing() {
    if !redis_server::is_installed("imports") {
        return;
    }
    let server = RedisServer::start();
    let source = open(&server, "source").await;
    for n in 0..10 {
        set(&source, &format!("k{n}"), n, soon()).await.unwrap();
    }
    let (meta, rows, events) = whole(&source).await;
    let parts = || {
        let rows = rows.iter().cloned().map(Part::Row);
        rows.chain(events.iter().cloned().map(Part::Event)).collect::<Vec<_>>()
    };
    let target = || Options { url: server.url(), prefix: "target".into(), ..Options::default() };
    let begin = |replace| RedisImport::begin(target(), meta.clone(), replace);
    // Given up half-way.
    let mut import = begin(false).await.unwrap();
    import.take(parts()).await.unwrap();
    drop(import);
    let store = open(&server, "target").await;
    assert_eq!(get(&store, "k1", soon()).await.unwrap(), None);
    // A name that comes twice.
    let mut import = begin(false).await.unwrap();
    import.take(parts()).await.unwrap();
    import.take(vec![Part::Row(rows[0].clone())]).await.unwrap();
    assert!(Box::new(import).finish().await.is_err());
    assert_eq!(get(&store, "k1", soon()).await.unwrap(), None);
    // Into an empty state that is served: all at once.
    let mut import = begin(false).await.unwrap();
    import.take(parts()).await.unwrap();
    Box::new(import).finish().await.unwrap();
    assert_eq!(get(&store, "k1", soon()).await.unwrap(), Some(1));
    set(&store, "k1", 100, soon()).await.unwrap();
    // Another state in its place only if told, and while nobody serves it.
    assert!(matches!(begin(false).await, Err(RedisImportError::NotEmpty { .. })));
    assert!(matches!(begin(true).await, Err(RedisImportError::InUse { .. })));
    store.close().await;
    drop(store);
    let mut import = loop {
        match begin(true).await {
            Ok(import) => break import,
            // The listener hangs up a moment after its store is gone.
            Err(RedisImportError::InUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    import.take(parts()).await.unwrap();
    Box::new(import).finish().await.unwrap();
    let store = open(&server, "target").await;
    assert_eq!(get(&store, "k1", soon()).await.unwrap(), Some(1));
    let (again_meta, again_rows, again_events) = whole(&store).await;
    assert_eq!((again_meta, again_rows, again_events), (meta, rows, events));
}
