//! A file that the previous release wrote is upgraded completely or not at all, even if
//! the process is killed or another one is in the way.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::TryStreamExt;
use mcp_state_sidecar::machine::filter::RunFilter;
use mcp_state_sidecar::machine::meta::Counts;
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::{Answer, Question, Reply, Row, index};
use mcp_state_sidecar::store::export::Part;
use mcp_state_sidecar::store::sqlite::{Options, SqliteOpenError, SqliteStore, export_file};
use mcp_state_sidecar::store::{Store, clock};
use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::Value as Json;

use crate::child::{program, start};
use crate::common::{PATIENCE, ask, check_chain, claim_next, get, history, open, soon, submit};
use crate::files::{contents, refused};

const RECORDED: &[u8] = include_bytes!("../recorded/release-0.1.0/sqlite/state.db");
const ANSWERS: &str = include_str!("../recorded/release-0.1.0/sqlite/answers.json");

/// The columns that the previous release knew.
const KNOWN: [(&str, &str); 8] = [
    (
        "meta",
        "revision, chain, clock_ms, wall_ms, anchor_revision, anchor_chain, sets, requests, \
         state_bytes",
    ),
    ("kv", "key, value, revision, expires_at_ms"),
    ("lease", "resource_id, holder_id, token, revision, expires_at_ms"),
    (
        "run",
        "created_revision, run_id, name, status, tags, input, priority, parent_run_id, revision, \
         created_at_ms, updated_at_ms, last_step, attempts, max_attempts, ready_at_ms, agent_id, \
         claim_token, claim_ttl_ms, claim_expires_at_ms, result, error",
    ),
    ("step", "run_id, step, output, revision"),
    ("session", "session_id, context, revision, saved_at_ms, updated_at_ms"),
    ("request", "key, digest, reply, at_ms"),
    ("event", "revision, at_ms, actor, action, subject, new_value, previous_value, chain"),
];

/// The file that the previous release wrote, in a folder of its own.
fn recorded() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    std::fs::write(&file, RECORDED).unwrap();
    (folder, file)
}

/// All that the previous release could read, as text.
fn dump(file: &Path) -> Vec<String> {
    let conn = Connection::open(file).unwrap();
    let mut all = Vec::new();
    for (table, columns) in KNOWN {
        let sql = format!("SELECT {columns} FROM {table} ORDER BY 1, 2");
        let mut statement = conn.prepare(&sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells = (0..columns).map(|n| row.get::<_, Value>(n));
            Ok(format!("{table}: {:?}", cells.collect::<Result<Vec<_>, _>>()?))
        });
        all.extend(rows.unwrap().map(Result::unwrap));
    }
    all
}

fn format_of(file: &Path) -> i64 {
    let conn = Connection::open(file).unwrap();
    conn.busy_timeout(PATIENCE).unwrap();
    conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// What the previous release answered to such calls.
fn answers(tool: &str) -> Vec<(Json, Json)> {
    let answers: Vec<Json> = serde_json::from_str(ANSWERS).unwrap();
    let answers = answers.into_iter().filter(|answer| answer["tool"] == tool);
    answers.map(|answer| (answer["args"].clone(), answer["result"].clone())).collect()
}

/// Entries and counts are those of the rows.
async fn check_entries(store: &SqliteStore, file: &Path) {
    let export = store.export(soon()).await.unwrap();
    let parts: Vec<Part> = export.parts.try_collect::<Vec<_>>().await.unwrap().concat();
    let rows = parts.into_iter().filter_map(|part| match part {
        Part::Row(row) => Some(row),
        Part::Event(_) => None,
    });
    let rows: Vec<Row> = rows.collect();
    let mut derived: Vec<Vec<u8>> =
        rows.iter().flat_map(index::entries).map(|entry| entry.to_vec()).collect();
    derived.sort();
    let conn = Connection::open(file).unwrap();
    let sql = "SELECT entry FROM entry UNION ALL SELECT entry FROM entry_remembered ORDER BY 1";
    let mut statement = conn.prepare(sql).unwrap();
    let found: Vec<Vec<u8>> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!found.is_empty() && found == derived, "{} entries", found.len());
    let mut counted = export.meta.clone();
    counted.uncount_all();
    rows.iter().for_each(|row| counted.count(row));
    assert_eq!(export.meta, counted);
}

#[tokio::test]
async fn the_recorded_file_opens_as_it_is() {
    let (folder, file) = recorded();
    let before = dump(&file);
    let store = open(&file);
    assert!(before == dump(&file), "a row is another");
    check_chain(&store).await;
    check_entries(&store, &file).await;
    let (_, health) = answers("sidecar_health").remove(0);
    let state = store.health().await;
    assert_eq!(state.chain.to_string(), health["chain"]);
    assert_eq!(
        (state.revision.0, state.state_bytes),
        (130, health["state_bytes"].as_u64().unwrap())
    );
    let Answer::Counts(counts) = ask(&store, Question::Counts).await else { panic!("no counts") };
    let Counts { keys, runs, steps, leases, sessions, .. } = counts;
    let names = ["key", "workflow", "step", "lease", "session"];
    for (name, count) in names.into_iter().zip([keys, runs, steps, leases, sessions]) {
        assert_eq!(health[format!("{name}_count")], count, "{name}");
    }
    compare_lists(&store).await;
    let claimed = submit(&store, claim_next("agent")).await.unwrap();
    let Reply::Claimed(claimed) = claimed else { panic!("{claimed:?}") };
    let claimable = answers("workflow_discover")
        .into_iter()
        .filter(|(args, _)| *args == serde_json::json!({ "claimable": true }));
    let runs = claimable.flat_map(|(_, result)| result["runs"].as_array().unwrap().clone());
    let best = runs.max_by_key(|run| (run["priority"].as_i64(), -created(run)));
    let best = best.expect("the recorded state has claimable runs");
    assert_eq!(claimed.run_id.as_deref(), best["run_id"].as_str());
    assert_eq!(claimed.claim_token.unwrap().0, 131);
    check_entries(&store, &file).await;
    store.close().await;
    assert_eq!(contents(folder.path()).len(), 1, "the log was folded in");
}

fn created(run: &Json) -> i64 {
    (run["created_at"].as_f64().unwrap() * 1_000.0) as i64
}

async fn compare_lists(store: &SqliteStore) {
    let page = Page::of_rows(1_000);
    let Answer::Keys { rows, .. } =
        ask(store, Question::Keys { scan: Scan::default(), page }).await
    else {
        panic!("no keys")
    };
    let (_, listed) = answers("state_list").remove(0);
    let keys: Vec<Json> = rows.iter().map(|(key, _)| Json::from(&**key)).collect();
    assert_eq!(listed["keys"], Json::from(keys));
    let mut compared = 0;
    for (args, listed) in answers("workflow_discover") {
        let args = args.as_object().unwrap();
        let known = ["status", "tags", "claimable"];
        if args.keys().any(|name| !known.contains(&&**name)) || !listed["next_cursor"].is_null() {
            continue;
        }
        let tags = args.get("tags").and_then(|tags| tags.as_object()).into_iter().flatten();
        let filter = RunFilter {
            tags: tags
                .map(|(tag, value)| ((&**tag).into(), value.as_str().unwrap().into()))
                .collect(),
            status: args.get("status").map(|status| status.as_str().unwrap().parse().unwrap()),
            claimable: args.get("claimable").and_then(Json::as_bool),
            ..Default::default()
        };
        let question = Question::Runs { filter, before: None, page };
        let Answer::Runs { rows, next } = ask(store, question).await else { panic!("no runs") };
        assert_eq!(next, None);
        let found: Vec<Json> = rows.iter().map(|run| Json::from(&*run.run_id)).collect();
        let runs = listed["runs"].as_array().unwrap().iter().map(|run| run["run_id"].clone());
        assert_eq!(found, runs.collect::<Vec<_>>(), "{args:?}");
        compared += 1;
    }
    assert!(compared > 10, "{compared} lists were compared");
}

/// A file of format 1 did not say how large its state is.
#[tokio::test]
async fn a_file_of_the_first_format_is_brought_up_too() {
    let (_folder, file) = recorded();
    let older = Connection::open(&file).unwrap();
    older
        .execute_batch("ALTER TABLE meta DROP COLUMN state_bytes; PRAGMA user_version = 1")
        .unwrap();
    older.close().unwrap();
    let store = open(&file);
    check_entries(&store, &file).await;
    assert_eq!(store.health().await.state_bytes, 7_802);
    store.close().await;
    let (_new_folder, new) = recorded();
    open(&new).close().await;
    assert_eq!(dump(&file), dump(&new));
}

/// Reading it out must not change it.
#[tokio::test]
async fn an_older_file_is_not_exported() {
    let (folder, file) = recorded();
    let refused = export_file(&file, soon()).await.err().expect("an older file is not exported");
    assert!(refused.to_string().contains("serve it once with this program"), "{refused}");
    assert_eq!(contents(folder.path()).len(), 1);
    assert_eq!(std::fs::read(&file).unwrap(), RECORDED);
}

#[test]
fn an_older_version_that_runs_is_left_alone() {
    let (_folder, file) = recorded();
    // It has the file open and does nothing.
    let older = Connection::open(&file).unwrap();
    older.query_row("SELECT COUNT(*) FROM kv", [], |_| Ok(())).unwrap();
    let error = SqliteStore::open(&file, Options::default(), clock::system()).err().unwrap();
    assert!(matches!(error, SqliteOpenError::OlderRuns(_)), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
    assert_eq!(std::fs::read(&file).unwrap(), RECORDED);
    older.close().unwrap();
    drop(open(&file));
    assert_eq!(format_of(&file), 4);
}

/// A fault at the very end of it: one name is taken.
#[test]
fn what_fails_in_the_middle_leaves_the_older_file() {
    let (_folder, file) = recorded();
    let hand = Connection::open(&file).unwrap();
    hand.execute_batch("CREATE TABLE entry_remembered (notes TEXT)").unwrap();
    hand.close().unwrap();
    refused(&file);
    assert_eq!(format_of(&file), 2);
    let hand = Connection::open(&file).unwrap();
    hand.execute_batch("DROP TABLE entry_remembered").unwrap();
    hand.close().unwrap();
    drop(open(&file));
    assert_eq!(format_of(&file), 4);
}

/// Enough for the commit to take its time.
const KEYS: u64 = 20_000;

#[tokio::test]
async fn kill_9_leaves_the_older_file_or_the_new_one() {
    let (folder, original) = recorded();
    let conn = Connection::open(&original).unwrap();
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
         INSERT INTO kv SELECT 'many-' || i, '\"' || hex(zeroblob(50)) || '\"', 1, \
         4000000000000 + i FROM n";
    conn.execute(sql, [KEYS]).unwrap();
    conn.close().unwrap();
    let wanted = dump(&original);
    let mut older = 0;
    for round in 0..6 {
        let file = folder.path().join(format!("state-{round}.db"));
        std::fs::copy(&original, &file).unwrap();
        let (mut child, _said) = start(program("open", &file, "killed"));
        let log = file.with_extension("db-wal");
        let began = Instant::now();
        let enough = 100_000 + round * 400_000;
        while std::fs::metadata(&log).map_or(0, |log| log.len()) < enough && !child.has_ended() {
            assert!(began.elapsed() < PATIENCE, "the moment does not come");
        }
        child.kill();
        match format_of(&file) {
            2 => {
                older += 1;
                assert!(dump(&file) == wanted, "round {round}");
            }
            format => assert_eq!(format, 3),
        }
        let store = open(&file);
        check_chain(&store).await;
        check_entries(&store, &file).await;
        assert!(get(&store, &format!("many-{KEYS}")).await.0.is_some());
        assert_eq!(history(&store).await.len(), 130);
        store.close().await;
        // But for the size, which the rows by hand have changed.
        assert!(dump(&file)[1..] == wanted[1..], "round {round}");
    }
    println!("killed before the commit: {older} of 6");
    assert!(older > 0, "nobody was killed in time");
}

/// A file of format 3, whose claims were granted by rules that counted no lapses.
const FORMAT_3: &[u8] = include_bytes!("../recorded/sqlite-format-3/state.db");

#[tokio::test]
async fn a_claim_of_the_format_before_is_taken_over_and_counted_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    std::fs::write(&file, FORMAT_3).unwrap();
    let store = open(&file);
    assert_eq!(format_of(&file), 4);
    // Its claim has lapsed long ago, and nothing was counted.
    let filter = RunFilter { name: Some("n".into()), ..RunFilter::default() };
    let question =
        || Question::Runs { filter: filter.clone(), before: None, page: Page::of_rows(9) };
    let Answer::Runs { rows, .. } = ask(&store, question()).await else { panic!("no list") };
    assert_eq!((rows.len(), rows[0].attempts, rows[0].claims), (1, 1, 0));
    let Reply::Claimed(claimed) = submit(&store, claim_next("b")).await.unwrap() else {
        panic!("another reply")
    };
    assert!(claimed.claimed, "{claimed:?}");
    let Answer::Runs { rows, .. } = ask(&store, question()).await else { panic!("no list") };
    assert_eq!((rows[0].attempts, rows[0].claims), (2, 1));
    check_chain(&store).await;
    store.close().await;
}
