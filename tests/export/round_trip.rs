//! Out of one store and into another, and back: nothing is lost or changed.

use mcp_state_sidecar::codec;
use mcp_state_sidecar::machine::Row;
use mcp_state_sidecar::machine::{Command, Event, Reply};
use mcp_state_sidecar::store::export::Part;
use mcp_state_sidecar::store::{Request, Store};

use crate::state::*;

#[tokio::test]
async fn memory_and_sqlite_give_the_same_stream_of_the_same_state() {
    let memory = Memory::filled().await;
    let out = export(&memory.store).await;
    let (header, tally, _) = read(&out).unwrap();
    let counts =
        [tally.keys, tally.leases, tally.runs, tally.steps, tally.sessions, tally.schedules];
    assert!(counts.iter().all(|count| *count > 1), "something is of no kind: {tally:?}");
    assert!(tally.requests > 1 && tally.events == header.meta.revision.0, "{tally:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    import(&file, &out, false).await.unwrap();
    let back = export_of(&file).await;
    assert_eq!(essence(&back), essence(&out));
    // And from file to file, everything.
    let other = folder.path().join("other.db");
    import(&other, &back, false).await.unwrap();
    assert_eq!(export_of(&other).await, back);
}

#[tokio::test]
async fn text_arrives_as_it_left() {
    let memory = Memory::filled().await;
    let (_, _, parts) = read(&export(&memory.store).await).unwrap();
    let value = |wanted: &str| {
        parts.iter().find_map(|part| match part {
            Part::Row(Row::Key(key, row)) if **key == *wanted => Some(row.value.as_str()),
            _ => None,
        })
    };
    for (at, odd) in ODD_VALUES.iter().enumerate() {
        assert_eq!(value(&format!("odd/{at}")), Some(*odd));
    }
    assert_eq!(value(ODD), Some("2"));
    let actors: Vec<&Event> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Event(event) if event.actor.as_deref() == Some(ODD) => Some(event),
            Part::Event(_) | Part::Row(_) => None,
        })
        .collect();
    assert!(!actors.is_empty());
}

#[tokio::test]
async fn a_state_after_a_reset_goes_on_from_its_anchor() {
    let memory = Memory::filled().await;
    submit(&memory.store, Command::Reset).await;
    submit(&memory.store, set("after", "1")).await;
    let out = export(&memory.store).await;
    let (header, tally, _) = read(&out).unwrap();
    assert!(header.meta.anchor.revision.0 > 0, "{header:?}");
    assert!(tally.events < header.meta.revision.0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    import(&file, &out, false).await.unwrap();
    assert_eq!(essence(&export_of(&file).await), essence(&out));
}

#[tokio::test]
async fn an_empty_state_is_one_too() {
    let out = export(&Memory::new().store).await;
    assert_eq!(read(&out).unwrap().1.rows(), 0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    // Which leaves the target empty, so it can be done again.
    for _ in 0..2 {
        import(&file, &out, false).await.unwrap();
    }
    assert_eq!(essence(&export_of(&file).await), essence(&out));
}

/// The state goes on as if it had never moved: the same commands get the same
/// replies in both places and leave the same state, what is remembered
/// included.
#[tokio::test]
async fn a_state_goes_on_where_it_was() {
    let memory = Memory::filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    import(&file, &export(&memory.store).await, false).await.unwrap();
    let clock = memory.clock.clone();
    let moved = mcp_state_sidecar::store::sqlite::SqliteStore::open(
        &file,
        Default::default(),
        clock.clone(),
    );
    let moved = moved.unwrap();
    let again = set("", "1");
    let remembered = Request {
        idempotency: Some(mcp_state_sidecar::machine::command::Idempotency {
            key: ODD.into(),
            digest: codec::digest(&again),
        }),
        command: again,
        actor: None,
        random: 0,
        attempt: false,
    };
    let first = memory.store.submit(remembered.clone(), soon()).await.unwrap();
    assert!(matches!(&first, Reply::Set(written) if written.ok), "{first:?}");
    assert_eq!(moved.submit(remembered, soon()).await.unwrap(), first);
    clock.advance_ms(20_000);
    for command in [set("new", "1"), Command::Sweep { limit: 100 }, set("new", "2")] {
        let here = submit(&memory.store, command.clone()).await;
        assert_eq!(submit(&moved, command).await, here);
    }
    assert_eq!(essence(&export(&moved).await), essence(&export(&memory.store).await));
    moved.close().await;
}
