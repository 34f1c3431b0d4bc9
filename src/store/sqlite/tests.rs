//! The tables here against the tables of the memory store: the same commands
//! give the same replies, and every look at either shows the same. Whole stores
//! are compared in `tests/alike`.

#[path = "../../../tests/support/draw/mod.rs"]
mod draw;

use std::collections::BTreeSet;
use std::fmt::Debug;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::Connection;

use self::draw::{Draw, NAMES};
use super::view::Tables;
use super::{Options, SqliteStore, schema};
use crate::machine::view::{HistoryView, View};
use crate::machine::{Action, Answer, ClusterMs, Command, Envelope, Question, WallMs, decide};
use crate::store::clock::Manual;
use crate::store::memory::State;
use crate::store::{Consistency, Request, Store};

/// Choices by the seed in the environment, or by a fresh one; printed.
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
    let mut ours = Tables::load(&conn).unwrap();
    let mut theirs = State::default();
    let mut clock_ms = 1_000_000_000;
    let mut acted = BTreeSet::new();
    for step in 0..6_000 {
        clock_ms += draw.pause_ms();
        let envelope = Envelope {
            origin: None,
            idempotency: None,
            actor: draw.maybe(NAMES),
            chance: draw.chance(),
            wall: WallMs(clock_ms),
            clock: ClusterMs(clock_ms),
            state_bytes_max: (step % 3 == 0).then_some(20_000),
            command: Command::Reset,
        };
        let (command, idempotency) = draw.command(&theirs.tables);
        let envelope = Envelope { command, idempotency, ..envelope };
        let decision = decide(&envelope, &ours).unwrap();
        acted.extend(decision.events.iter().map(|event| event.action));
        ours.apply(&decision).unwrap();
        let reply = theirs.step(&envelope);
        assert_eq!(decision.reply, reply, "step {step}: {envelope:?}");
        assert_eq!(ours.position.meta, *theirs.tables.meta(), "step {step}: {envelope:?}");
        if step % 10 == 0 {
            ours.save_position().unwrap();
            ours = Tables::load(&conn).unwrap();
            check_leftovers(&ours);
            compare(&mut draw, &ours, &theirs, ClusterMs(clock_ms), step);
        }
    }
    let all: BTreeSet<Action> = Action::ALL.iter().copied().collect();
    assert_eq!(acted, all, "some rule was never carried out");
}

/// Nothing is left of rows that are gone, and what is counted is there.
fn check_leftovers(tables: &Tables<'_>) {
    let sql = "SELECT (SELECT COUNT(*) FROM run_tag WHERE created_revision NOT IN \
             (SELECT created_revision FROM run)), \
         (SELECT COUNT(*) FROM step WHERE run_id NOT IN (SELECT run_id FROM run)), \
         (SELECT COUNT(*) FROM request)";
    let found: (u64, u64, u64) =
        tables.conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(found, (0, 0, tables.position.requests));
}

/// Asks both all that can be asked, with drawn arguments.
fn compare(draw: &mut Draw<'_>, ours: &Tables<'_>, theirs: &State, clock: ClusterMs, step: u32) {
    let (rows, history) = (&theirs.tables, &theirs.history);
    let now = ClusterMs(clock.0 + draw.pause_ms());
    let limit = [1, 2, 7, 10_000][draw.below(4) as usize];
    let scan = draw.scan();
    let same = Same { step };
    same.check("meta", ours.meta(), View::meta(rows));
    same.check("keys", ours.keys(&scan, now, limit), rows.keys(&scan, now, limit));
    same.check("leases", ours.leases(&scan, now, limit), rows.leases(&scan, now, limit));
    same.check("sessions", ours.sessions(&scan, limit), rows.sessions(&scan, limit));
    same.check("due", ours.due(now, limit), rows.due(now, limit));
    same.check("counts", ours.counts(now), rows.counts(now));
    same.check("requests", ours.oldest_request(), rows.oldest_request());
    for after in [ClusterMs(0), clock, now] {
        same.check("deadline", ours.next_deadline(after), rows.next_deadline(after));
    }
    let filter = draw.claim_filter();
    same.check("candidate", ours.candidate(&filter, now), rows.candidate(&filter, now));
    let filter = draw.run_filter();
    let before = draw.revision(ours.position.meta.revision);
    let Ok(found) = rows.runs(&filter, before, now, limit);
    same.check("runs", ours.runs(&filter, before, now, limit), Ok::<_, ()>(found.clone()));
    for run in found {
        let id = &run.run_id;
        same.check("run", ours.run(id), rows.run(id));
        same.check("steps", ours.steps(id), rows.steps(id));
        same.check("step", ours.step(id, 2), rows.step(id, 2));
        same.check("children", ours.children(id), rows.children(id));
    }
    for name in NAMES {
        same.check("key", ours.key(name), rows.key(name));
        same.check("lease", ours.lease(name), rows.lease(name));
        same.check("session", ours.session(name), rows.session(name));
        same.check("request", ours.request(name), rows.request(name));
    }
    let filter = draw.history_filter(rows);
    same.check(
        "history",
        ours.newest(&filter, before, limit),
        HistoryView::newest(history, &filter, before, limit),
    );
    let after = before.unwrap_or_default();
    let filter = draw.change_filter();
    same.check("changes", ours.since(&filter, after, limit), history.since(&filter, after, limit));
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

/// However many rows there are.
#[test]
fn the_next_deadline_is_a_look_up() {
    let conn = Connection::open_in_memory().unwrap();
    schema::create(&conn).unwrap();
    conn.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO run SELECT i, 'wf-' || i, 'n', iif(i % 2, 'created', 'claimed'), '{}', NULL,
             0, NULL, i, 0, 0, 0, 0, 1, i, NULL, i, 1, i, NULL, NULL FROM n;
         INSERT INTO kv SELECT run_id, '1', 1, created_revision FROM run;
         INSERT INTO lease SELECT run_id, 'h', 1, 1, created_revision FROM run;",
    )
    .unwrap();
    let mut statement = conn.prepare(super::view::NEXT_DEADLINE).unwrap();
    let next: u64 = statement.query_row([5_000], |row| row.get(0)).unwrap();
    assert_eq!(next, 5_001);
    let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
    assert!(steps < 200, "{steps} steps");
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(60)
}

/// After the file was closed and the machine's clock was set back.
#[tokio::test]
async fn a_key_seen_expired_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let key = || Question::Key { key: "k".into() };
    let clock = Manual::at(1_000_000);
    let store = SqliteStore::open(&path, Options::default(), clock.clone()).unwrap();
    let set = draw::set("k", Some(5_000));
    let request = Request { command: set, idempotency: None, actor: None, chance: 0 };
    store.submit(request, soon()).await.unwrap();
    clock.advance_ms(5_000);
    for consistency in [Consistency::Local, Consistency::Linearizable] {
        let seen = store.ask(key(), consistency, soon()).await.unwrap();
        assert_eq!(seen.answer, Answer::Key(None));
    }
    store.close().await;
    let earlier = Manual::at(1_000_000);
    let store = SqliteStore::open(&path, Options::default(), earlier).unwrap();
    for consistency in [Consistency::Local, Consistency::Linearizable] {
        let seen = store.ask(key(), consistency, soon()).await.unwrap();
        assert_eq!(seen.answer, Answer::Key(None), "it came back");
    }
    store.close().await;
}
