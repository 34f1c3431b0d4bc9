//! The SQLite tables compared with the memory store's: the same commands give the
//! same replies, and every question and search gives the same result. `tests/alike`
//! compares whole stores.

#[expect(dead_code, reason = "these tests draw commands and no questions")]
#[path = "../../../tests/support/src/draw/mod.rs"]
mod draw;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::{Connection, params};

use self::draw::{Draw, NAMES};
use super::table::each_row;
use super::view::TransactionView;
use super::{Options, SqliteStore, reclaim, schema};
use crate::machine::command::{Rank, StateLimits};
use crate::machine::index::{self, Index};
use crate::machine::page::{Page, Range};
use crate::machine::view::{HistoryView, View};
use crate::machine::{
    Action, Answer, ClusterMs, Command, Decision, Envelope, Question, Reply, Revision, Row, Rules,
    WallMs, decide, lookup,
};
use crate::store::clock::ManualClock;
use crate::store::memory::MemoryState;
use crate::store::{Consistency, Request, Store, tables};

/// Random choices, from `SEED` in the environment or from a new seed, which is
/// printed.
fn seeded(test: &str) -> Draw<'static> {
    let seed = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seed = seed.unwrap_or_else(rand::random);
    println!("{test}: SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    Draw::new(move || random.random())
}

#[test]
fn the_same_commands_give_the_same_rows() {
    let mut draw = seeded("rows");
    let conn = Connection::open_in_memory().unwrap();
    schema::create(&conn).unwrap();
    let mut ours = TransactionView::load(&conn).unwrap();
    let mut theirs = MemoryState::default();
    let mut clock_ms = 1_000_000_000;
    let mut acted = BTreeSet::new();
    for step in 0..6_000 {
        clock_ms += draw.pause_ms();
        let envelope = Envelope {
            origin: None,
            idempotency: None,
            actor: draw.maybe(NAMES),
            random: draw.chance(),
            wall: WallMs(clock_ms),
            clock: ClusterMs(clock_ms),
            limits: StateLimits {
                bytes_max: (step % 3 == 0).then_some(20_000),
                run_retention_ms: (step % 2 == 0).then_some(30_000),
            },
            rules: Rules::Attempts,
            command: Command::Reset,
        };
        let (command, idempotency) = draw.command(&theirs.tables);
        let envelope = Envelope { command, idempotency, ..envelope };
        let decision = decide(&envelope, &ours).unwrap();
        acted.extend(decision.events.iter().map(|event| event.action));
        ours.apply(&decision).unwrap();
        let reply = theirs.step(&envelope);
        assert_eq!(decision.reply, reply, "step {step}: {envelope:?}");
        assert_eq!(ours.meta, *theirs.tables.meta(), "step {step}: {envelope:?}");
        if step % 10 == 0 {
            super::write::meta(&conn, &ours.meta).unwrap();
            ours = TransactionView::load(&conn).unwrap();
            while reclaim::delete_piece(&conn).unwrap() {}
            compare(&mut draw, &ours, &theirs, ClusterMs(clock_ms), step);
        }
    }
    let all: BTreeSet<Action> = Action::ALL.iter().copied().collect();
    assert_eq!(acted, all, "some action never happened");
}

/// Tables from every row, so that all entries and counts are derived again.
fn restored(ours: &TransactionView<'_>) -> tables::Tables {
    let mut rows = Vec::new();
    each_row(ours.conn, &mut |row| {
        rows.push(row);
        Ok::<(), rusqlite::Error>(())
    })
    .unwrap();
    tables::Tables::restore(ours.meta.clone(), rows)
}

/// All entries, in order.
fn entries(conn: &Connection) -> Vec<Vec<u8>> {
    let sql = "SELECT entry FROM entry UNION ALL SELECT entry FROM entry_remembered ORDER BY 1";
    let mut statement = conn.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Compares all rows and entries, and asks both stores every kind of question with
/// random arguments.
fn compare(
    draw: &mut Draw<'_>,
    ours: &TransactionView<'_>,
    theirs: &MemoryState,
    clock: ClusterMs,
    step: u32,
) {
    let (rows, history) = (&theirs.tables, &theirs.history);
    assert_eq!(restored(ours), *rows, "rows at step {step}");
    let derived = rows.rows().flat_map(|row| index::entries(row));
    let derived: BTreeSet<Vec<u8>> = derived.map(|entry| entry.to_vec()).collect();
    assert!(entries(ours.conn).into_iter().eq(derived), "entries at step {step}");
    let now = ClusterMs(clock.0 + draw.pause_ms());
    let limit = [1, 2, 7, 10_000][draw.below(4) as usize];
    let page = Page { rows: limit, bytes: [200, 1_000, usize::MAX][draw.below(3) as usize] };
    let same = Same { step };
    for row in rows.rows() {
        same.check("row", ours.row(&row.id()), View::row(rows, &row.id()));
        if let Row::Run(run) = &**row {
            let range = Range::Steps(run.run_id.clone(), draw.below(4));
            same.check("steps", ours.rows(&range, page), View::rows(rows, &range, page));
        }
    }
    for range in [Range::Keys, Range::Leases, Range::Sessions, Range::Schedules, Range::Pauses] {
        let range = range(draw.scan());
        same.check("rows", ours.rows(&range, page), View::rows(rows, &range, page));
    }
    let before = draw.revision(ours.meta.revision);
    let (claims, runs) = (draw.claim_filter(), draw.run_filter(rows));
    let filter = claims.searches()[0];
    let after = before.map(|place| Rank { priority: 0, place });
    let searches = [
        index::expired(Index::Deadline, now, limit),
        index::expired(Index::Request, now, limit),
        index::ready(Index::Ready, filter, after, limit),
        index::ready(Index::Limited, filter, after, limit),
        index::last_ready(Index::Ready, filter),
        index::longest_queued("etl"),
        index::waiting(filter, Some(clock), None, limit),
        index::waiting(filter, None, Some(now), limit),
        index::runs(&runs, false, before, limit),
        index::runs(&runs, true, before, limit),
        index::remembered(limit),
        index::cancelling(limit),
    ];
    for search in searches.iter().chain(&index::deadlines(clock)) {
        same.check("search", ours.search(search), rows.search(search));
    }
    let wall = WallMs(now.0);
    same.check("due", lookup::due(ours, now, wall), lookup::due(rows, now, wall));
    let filter = draw.history_filter(rows);
    same.check(
        "history",
        ours.newest(&filter, before, page),
        HistoryView::newest(history, &filter, before, page),
    );
    let (after, filter) = (before.unwrap_or_default(), draw.change_filter());
    same.check("changes", ours.since(&filter, after, page), history.since(&filter, after, page));
}

struct Same {
    step: u32,
}

impl Same {
    fn check<T: Debug + PartialEq, E: Debug, F: Debug>(
        &self,
        what: &str,
        ours: Result<T, E>,
        theirs: Result<T, F>,
    ) {
        assert_eq!(ours.unwrap(), theirs.unwrap(), "{what} at step {}", self.step);
    }
}

/// A database with `rows` keys, each with an event.
fn filled(rows: u64) -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    schema::create(&conn).unwrap();
    conn.execute_batch("BEGIN").unwrap();
    let mut state = TransactionView::load(&conn).unwrap();
    for _ in 0..rows {
        let command = draw::set(&format!("key-{}", state.meta.revision), Some(5_000));
        commit(&mut state, command);
    }
    super::write::meta(&conn, &state.meta).unwrap();
    conn.execute_batch("COMMIT").unwrap();
    conn
}

fn commit(state: &mut TransactionView<'_>, command: Command) -> Reply {
    let envelope = Envelope {
        origin: None,
        idempotency: None,
        actor: None,
        random: 0,
        wall: WallMs(1),
        clock: ClusterMs(state.meta.revision.0),
        limits: StateLimits::default(),
        rules: Rules::Attempts,
        command,
    };
    let decision: Decision = decide(&envelope, state).unwrap();
    state.apply(&decision).unwrap();
    decision.reply
}

/// Every statement finds its rows by an index, however many rows there are.
#[test]
fn no_statement_scans_a_table() {
    let conn = Connection::open_in_memory().unwrap();
    schema::create(&conn).unwrap();
    let mut plans = Vec::new();
    for table in super::table::ALL {
        plans.extend([&table.one, &table.from, &table.drop].map(String::clone));
    }
    plans.extend(super::view::ENTRIES.map(String::from));
    for sql in plans {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let given = vec![1; statement.parameter_count()];
        let mut plan = statement.query(rusqlite::params_from_iter(given)).unwrap();
        while let Some(step) = plan.next().unwrap() {
            let step: String = step.get(3).unwrap();
            assert!(step.starts_with("SEARCH"), "{sql}: {step}");
        }
    }
}

/// The old rows disappear at once, and they are deleted in pieces later.
#[test]
fn a_reset_of_a_large_state_leaves_tables_to_be_deleted() {
    let conn = filled(3_000);
    let mut state = TransactionView::load(&conn).unwrap();
    let request = "INSERT INTO entry_remembered VALUES (?1)";
    conn.execute(request, params![[Index::Request as u8, 0]]).unwrap();
    commit(&mut state, Command::Reset);
    super::write::meta(&conn, &state.meta).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    let aside = "SELECT COUNT(*) FROM sqlite_schema WHERE name GLOB 'gone_*' AND type = 'table'";
    assert_eq!(count(aside), schema::cleared().count() as u64);
    assert_eq!(count("SELECT (SELECT COUNT(*) FROM kv) + (SELECT COUNT(*) FROM entry)"), 0);
    assert_eq!(count("SELECT COUNT(*) FROM entry_remembered"), 1);
    assert!(schema::inspect(&conn, true).unwrap().is_none());
    let nothing = state.newest(&Default::default(), None, Page::of_rows(9)).unwrap();
    assert_eq!(nothing, [], "history from before the reset");
    commit(&mut state, draw::set("key-0", Some(1)));
    super::write::meta(&conn, &state.meta).unwrap();
    let mut longest = Duration::ZERO;
    loop {
        let began = Instant::now();
        let more = reclaim::delete_piece(&conn).unwrap();
        longest = longest.max(began.elapsed());
        if !more {
            break;
        }
    }
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    assert_eq!(count(aside), 0);
    assert_eq!(count("SELECT COUNT(*) FROM kv"), 1);
    let kept = state.newest(&Default::default(), None, Page::of_rows(9)).unwrap();
    assert_eq!(kept.len() as u64, count("SELECT COUNT(*) FROM event"));
    assert_eq!(kept.first().map(|event| event.revision), Some(Revision(3_002)));
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(60)
}

/// Even after the file was closed and the machine's clock was set back.
#[tokio::test]
async fn a_key_seen_expired_stays_expired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let key = || Question::Key { key: "k".into() };
    let clock = ManualClock::at(1_000_000);
    let store = SqliteStore::open(&path, Options::default(), clock.clone()).unwrap();
    let set = draw::set("k", Some(5_000));
    store.submit(Request::own(set), soon()).await.unwrap();
    clock.advance_ms(5_000);
    for consistency in [Consistency::Local, Consistency::Linearizable] {
        let seen = store.ask(key(), consistency, soon()).await.unwrap();
        assert_eq!(seen.answer, Answer::Key(None));
    }
    store.close().await;
    let earlier = ManualClock::at(1_000_000);
    let store = SqliteStore::open(&path, Options::default(), earlier).unwrap();
    for consistency in [Consistency::Local, Consistency::Linearizable] {
        let seen = store.ask(key(), consistency, soon()).await.unwrap();
        assert_eq!(seen.answer, Answer::Key(None), "the key came back");
    }
    store.close().await;
}
