//! The file: its tables, its format number, and how a connection to it is set
//! up. What the rows hold is `rows`'s; whether a file is ours is `open`'s.

use rusqlite::{Connection, OptionalExtension};

use super::{export, move_in};
use crate::store::row_record;

/// `MSSC` in the file's header: tells our files from everybody else's.
pub(super) const APPLICATION_ID: i32 = 0x4D53_5343;

/// The file's format, in `user_version`. A program refuses what is newer than
/// it knows.
pub(super) const FORMAT: i32 = 2;

/// Pages that a writer keeps in memory, in KiB: the inner pages of some
/// millions of rows, so that a commit does not read before it writes.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// The same for each reader. There are several, and the kernel's own cache
/// stands behind them.
const READER_CACHE_KIB: i64 = 4 * 1024;

/// Pages in the log after which a commit copies them into the file. A copy
/// costs two syncs, so rarer is faster; the log is read at the next start
/// after a crash, so not too rare.
const CHECKPOINT_PAGES: i64 = 4_000;

/// The log is cut back to this once it is copied, after some burst.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// Statements that a connection keeps prepared: more than there are, so that
/// each is parsed once.
const STATEMENTS_MAX: usize = 256;

/// Every table and index. Names are singular, which keeps them apart from the
/// tables of the reference (`leases`, `sessions`, ...): a conversion can read
/// the old and write the new in one transaction.
///
/// - Times are milliseconds since 1970, JSON is the text that was received,
///   chain values are hexadecimal.
/// - Columns compare bytes (`BINARY`, the default): the order of the rules.
/// - STRICT: a column holds what it says, whoever else edits the file.
/// - No foreign keys: the rules decide what belongs to what, a reset empties
///   all tables, and a second judge could only disagree.
/// - No origins: nothing between a caller and this store asks again by itself,
///   so no command carries one.
const TABLES: &str = "
CREATE TABLE meta (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    revision        INTEGER NOT NULL,
    chain           TEXT    NOT NULL,
    clock_ms        INTEGER NOT NULL,
    wall_ms         INTEGER NOT NULL,
    anchor_revision INTEGER NOT NULL,
    anchor_chain    TEXT    NOT NULL,
    sets            INTEGER NOT NULL,
    requests        INTEGER NOT NULL,
    state_bytes     INTEGER NOT NULL
) STRICT;

CREATE TABLE kv (
    key           TEXT    NOT NULL PRIMARY KEY,
    value         TEXT    NOT NULL,
    revision      INTEGER NOT NULL,
    expires_at_ms INTEGER
) STRICT;
CREATE INDEX kv_by_expiry ON kv (expires_at_ms, key) WHERE expires_at_ms IS NOT NULL;

CREATE TABLE lease (
    resource_id   TEXT    NOT NULL PRIMARY KEY,
    holder_id     TEXT    NOT NULL,
    token         INTEGER NOT NULL,
    revision      INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_by_expiry ON lease (expires_at_ms);

CREATE TABLE run (
    created_revision    INTEGER PRIMARY KEY,
    run_id              TEXT    NOT NULL UNIQUE,
    name                TEXT    NOT NULL,
    status              TEXT    NOT NULL,
    tags                TEXT    NOT NULL,
    input               TEXT,
    priority            INTEGER NOT NULL,
    parent_run_id       TEXT,
    revision            INTEGER NOT NULL,
    created_at_ms       INTEGER NOT NULL,
    updated_at_ms       INTEGER NOT NULL,
    last_step           INTEGER NOT NULL,
    attempts            INTEGER NOT NULL,
    max_attempts        INTEGER NOT NULL,
    ready_at_ms         INTEGER,
    agent_id            TEXT,
    claim_token         INTEGER,
    claim_ttl_ms        INTEGER,
    claim_expires_at_ms INTEGER,
    result              TEXT,
    error               TEXT
) STRICT;
-- Lists come newest first: within a status by the row's number, which every index ends with.
CREATE INDEX run_by_status ON run (status);
CREATE INDEX run_by_parent ON run (parent_run_id) WHERE parent_run_id IS NOT NULL;
-- The best run that waits is the first entry that is ready.
CREATE INDEX run_waiting ON run (priority DESC, created_revision, name, ready_at_ms)
    WHERE status = 'created';
CREATE INDEX run_waiting_by_name ON run (name, priority DESC, created_revision, ready_at_ms)
    WHERE status = 'created';
CREATE INDEX run_by_ready ON run (ready_at_ms)
    WHERE status = 'created' AND ready_at_ms IS NOT NULL;
CREATE INDEX run_by_claim_end ON run (claim_expires_at_ms)
    WHERE status IN ('claimed', 'running');

-- The tags again, one a row, to be found by: tags never change.
CREATE TABLE run_tag (
    created_revision INTEGER NOT NULL,
    name             TEXT    NOT NULL,
    value            TEXT    NOT NULL,
    PRIMARY KEY (created_revision, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_tag_by_value ON run_tag (name, value, created_revision);

CREATE TABLE step (
    run_id   TEXT    NOT NULL,
    step     INTEGER NOT NULL,
    output   TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (run_id, step)
) STRICT;

CREATE TABLE session (
    session_id    TEXT    NOT NULL PRIMARY KEY,
    context       TEXT    NOT NULL,
    revision      INTEGER NOT NULL,
    saved_at_ms   INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE event (
    revision       INTEGER PRIMARY KEY,
    at_ms          INTEGER NOT NULL,
    actor          TEXT,
    action         TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    new_value      TEXT,
    previous_value TEXT,
    chain          TEXT    NOT NULL
) STRICT;
CREATE INDEX event_by_subject ON event (subject);
CREATE INDEX event_by_actor ON event (actor) WHERE actor IS NOT NULL;
CREATE INDEX event_by_action ON event (action);

-- Answers to requests with an idempotency key.
CREATE TABLE request (
    key    TEXT    NOT NULL PRIMARY KEY,
    digest BLOB    NOT NULL,
    reply  BLOB    NOT NULL,
    at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX request_by_age ON request (at_ms, key);
";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Write,
    Read,
}

/// What a file that can be opened turned out to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// No table at all.
    Empty,
    /// Our tables, in this format.
    Ours(i32),
    /// The Python reference's tables and nothing else.
    Reference,
    /// Tables of somebody else.
    Foreign,
}

/// Settings that hold as long as the connection does.
pub(super) fn configure(conn: &Connection, purpose: Purpose) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Busy is waited for in our own loops: they know the callers' deadlines,
    // and SQLite's waits grow to 100 ms where a commit takes one.
    conn.busy_timeout(std::time::Duration::ZERO)?;
    // A file comes from anywhere: views and triggers in it get no functions.
    set(conn, "trusted_schema", "OFF")?;
    // A damaged page is noticed when it is read, not when it is followed.
    set(conn, "cell_size_check", "ON")?;
    // What a savepoint may have to put back is bounded by the batch; without
    // this it would be a file in /tmp.
    set(conn, "temp_store", "MEMORY")?;
    match purpose {
        Purpose::Write => {
            // An answered commit is on the disk: the log is synced in each.
            // NORMAL would sync at checkpoints only and lose commits.
            set(conn, "synchronous", "FULL")?;
            // macOS: its fsync leaves data in the drive's cache.
            set(conn, "fullfsync", "ON")?;
            set(conn, "cache_size", -WRITER_CACHE_KIB)?;
            set(conn, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            set(conn, "journal_size_limit", LOG_BYTES_KEPT)?;
        }
        Purpose::Read => {
            // Opened for writing nevertheless: the first to come after a crash
            // has to rebuild the log's index, and that may be a reader.
            set(conn, "query_only", "ON")?;
            set(conn, "cache_size", -READER_CACHE_KIB)?;
        }
    }
    Ok(())
}

/// Readers beside a writer, and one sync a commit: the write-ahead log. Kept
/// in the file's header; SQLite answers with the mode that holds afterwards.
pub(super) fn use_log(conn: &Connection) -> rusqlite::Result<bool> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

/// Whose file this is. Reads only.
pub(super) fn contents(conn: &Connection) -> rusqlite::Result<Contents> {
    let application: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let format: i32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let things: i64 = conn.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, things) {
        (APPLICATION_ID, _) => Contents::Ours(format),
        (0, 0) => Contents::Empty,
        (0, _) if format == 0 && move_in::is_the_references(conn)? => Contents::Reference,
        (_, _) => Contents::Foreign,
    })
}

/// Makes our tables, within the caller's transaction: so a file is ours as a
/// whole, or still empty.
pub(super) fn create(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(TABLES)?;
    let no_chain = "0".repeat(64);
    conn.execute(
        "INSERT INTO meta VALUES (1, 0, ?1, 0, 0, 0, ?1, 0, 0, 0)",
        rusqlite::params![no_chain],
    )?;
    set(conn, "application_id", i64::from(APPLICATION_ID))?;
    set(conn, "user_version", i64::from(FORMAT))
}

/// Brings a file of format 1 to this one, within the caller's transaction: it
/// did not say how large the state is, so its rows are counted.
pub(super) fn bring_up(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("ALTER TABLE meta ADD COLUMN state_bytes INTEGER NOT NULL DEFAULT 0")?;
    let mut bytes = 0;
    export::each_row(conn, &mut |row| {
        bytes += row_record::bytes(&row);
        Ok::<(), rusqlite::Error>(())
    })?;
    conn.execute("UPDATE meta SET state_bytes = ?1", [bytes])?;
    set(conn, "user_version", i64::from(FORMAT))
}

/// What is wrong with the file's pages, if anything: reads all of them.
pub(super) fn damage(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((verdict != "ok").then(|| verdict.replace('\n', " ")))
}

/// Whether the tables are all there and hang together: what a quick look can
/// tell. Gives what is wrong.
pub(super) fn inspect(conn: &Connection, thorough: bool) -> rusqlite::Result<Option<String>> {
    if thorough && let Some(reason) = damage(conn)? {
        return Ok(Some(reason));
    }
    for table in ["kv", "lease", "run", "run_tag", "step", "session", "event", "request"] {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if conn.query_row(sql, [table], |_| Ok(())).optional()?.is_none() {
            return Ok(Some(format!("table '{table}' is missing")));
        }
    }
    let (revision, chain, anchor): (i64, String, i64) =
        conn.query_row("SELECT revision, chain, anchor_revision FROM meta", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let newest: Option<(i64, String)> = conn
        .query_row("SELECT revision, chain FROM event ORDER BY revision DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(match newest {
        Some(newest) if newest != (revision, chain) => {
            Some(format!("the history ends at revision {}, the state is at {revision}", newest.0))
        }
        None if revision != anchor => {
            Some(format!("the history is empty, the state is at revision {revision}"))
        }
        Some(_) | None => None,
    })
}

fn set(conn: &Connection, name: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    conn.pragma_update(None, name, value)
}
