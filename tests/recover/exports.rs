//! Exports of a running node: each shows one moment, while writes go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use mcp_state_sidecar::machine::Row;
use mcp_state_sidecar::machine::{Chain, Command, Json};
use mcp_state_sidecar::store::export::{Export, Part};
use mcp_state_sidecar::store::{Store, StoreError};

use crate::survivor::{request, sets, soon, start, submit};

/// Commands of 128 events: more than a node keeps in memory, 10,000.
const BULK: u64 = 100;

/// How many exports are begun while writes go on.
const EXPORTS: usize = 100;

async fn drain(export: Export) -> Result<Vec<Part>, StoreError> {
    let mut parts = Vec::new();
    let mut pages = export.parts;
    while let Some(page) = pages.next().await {
        parts.extend(page?);
    }
    Ok(parts)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_shows_one_moment_while_writes_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(dir.path()).await;
    for n in 0..BULK {
        submit(&*store, sets(n)).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let mut written = BULK;
            while !stop.load(Ordering::Relaxed) {
                let write = store.submit(request(sets(written)), soon()).await;
                write.expect("an export does not stop writes");
                written += 1;
            }
            written - BULK
        }
    });
    for _ in 0..3 {
        let acknowledged = store.health().await.revision;
        let export = store.export(soon()).await.unwrap();
        let meta = export.meta.clone();
        assert!(acknowledged <= meta.revision, "the state is older than the call");
        let parts = drain(export).await.unwrap();
        let events: Vec<_> = parts
            .iter()
            .filter_map(|p| if let Part::Event(e) = p { Some(e) } else { None })
            .collect();
        let mut chain = Chain::default();
        for (event, revision) in events.iter().zip(1..) {
            assert!(event.revision.0 == revision && event.follows(chain), "at {revision}");
            chain = event.chain;
        }
        assert_eq!((events.len() as u64, chain), (meta.revision.0, meta.chain));
        // Each command sets all keys, so they are equal in every state between two
        // commands.
        let last = events.last().and_then(|event| event.new.clone()).expect("a value");
        let values: Vec<&Json> = parts
            .iter()
            .filter_map(|part| match part {
                Part::Row(Row::Key(_, row)) => Some(&row.value),
                Part::Row(_) | Part::Event(_) => None,
            })
            .collect();
        assert!(values.len() == 128 && values.iter().all(|value| **value == last), "{last:?}");
        let is_internal = |part: &Part| {
            let internal = |row: &Row| matches!(row, Row::Origin(..) | Row::Answer(..));
            matches!(part, Part::Row(row) if internal(row))
        };
        assert!(!parts.iter().any(is_internal), "the export holds rows for the node alone");
    }
    for _ in 0..EXPORTS {
        let mut export = store.export(soon()).await.unwrap();
        // The rows come first, and command n produced the revisions up to 128 (n + 1).
        let wanted = (export.meta.revision.0 / 128 - 1).to_string();
        let page = export.parts.next().await.unwrap().unwrap();
        let Part::Row(Row::Key(_, row)) = &page[0] else { panic!("{:?}", page[0]) };
        assert_eq!(row.value.as_str(), wanted, "rows of another moment");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_an_export_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(dir.path()).await;
    for n in 0..BULK {
        submit(&*store, sets(n)).await;
    }
    let export = store.export(soon()).await.unwrap();
    submit(&*store, Command::Reset).await;
    let error = drain(export).await.expect_err("the reset has dropped the history");
    assert!(error.to_string().contains("reset"), "{error}");
    let after = store.export(soon()).await.unwrap();
    assert_eq!(after.meta.anchor.revision, after.meta.revision);
    assert!(drain(after).await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_ends_an_export_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(dir.path()).await;
    for n in 0..BULK {
        submit(&*store, sets(n)).await;
    }
    let export = store.export(soon()).await.unwrap();
    store.close().await;
    assert!(matches!(drain(export).await, Err(StoreError::Unavailable(_))));
}
