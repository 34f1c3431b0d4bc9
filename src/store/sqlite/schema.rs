//! The file: its format number, how its tables are made, and how a connection to
//! it is set up. What the tables hold is `table`'s; whether a file is ours is
//! `open`'s.

use rusqlite::{Connection, OptionalExtension};

use super::{table, write};
use crate::machine::Meta;
use crate::store::migration::sqlite::move_in;

/// `MSSC` in the file's header: tells our files from everybody else's.
pub(super) const APPLICATION_ID: i32 = 0x4D53_5343;

/// The file's format, in `user_version`. A program refuses what is newer than
/// it knows.
pub(super) const FORMAT: i32 = 3;

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

/// What stands beside the tables in `table`. Names are singular, which keeps them
/// apart from the tables of the reference (`leases`, `sessions`, ...): a
/// conversion can read the old and write the new in one transaction.
///
/// - Times are milliseconds since 1970, JSON is the text that was received,
///   chain values are hexadecimal.
/// - Columns compare bytes (`BINARY`, the default): the order of the rules.
/// - No foreign keys: the rules decide what belongs to what, a reset empties
///   all tables, and a second judge could only disagree.
/// - All indexes of rows are entries, ordered bytes, which
///   [`crate::machine::index`] alone can read: what a reset removes, and what
///   outlives it.
const ENTRIES: &str = "
CREATE TABLE entry (entry BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE entry_remembered (entry BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
";
const HISTORY: &str = "
CREATE INDEX event_by_subject ON event (subject);
CREATE INDEX event_by_actor ON event (actor) WHERE actor IS NOT NULL;
CREATE INDEX event_by_action ON event (action);
";

/// The tables that a reset empties, each with the columns that tell rows apart.
pub(super) fn cleared() -> impl Iterator<Item = (&'static str, &'static str)> {
    let tables = table::ALL.iter().filter(|table| table.name != "request");
    tables.map(|table| (table.name, &*table.id)).chain([("entry", "entry")])
}

/// Every table but `meta`.
pub(super) fn table_names() -> impl Iterator<Item = &'static str> {
    cleared().map(|(table, _)| table).chain(["request", "entry_remembered", "event"])
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Write,
    Read,
}

/// What a file that can be opened turned out to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// No table at all.
    Empty,
    /// Our tables, in this format.
    Ours(i32),
    /// The Python reference's tables and nothing else.
    Reference,
    /// TransactionView of somebody else.
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
pub(crate) fn contents(conn: &Connection) -> rusqlite::Result<Contents> {
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
pub(crate) fn create(conn: &Connection) -> rusqlite::Result<()> {
    let tables = table::ALL.iter().map(|table| &table.create);
    tables
        .chain([&table::META.create, &table::EVENT.create])
        .try_for_each(|sql| conn.execute_batch(sql))?;
    conn.execute_batch(HISTORY)?;
    conn.execute_batch(ENTRIES)?;
    write::meta(conn, &Meta::default())?;
    set(conn, "application_id", i64::from(APPLICATION_ID))?;
    set(conn, "user_version", i64::from(FORMAT))
}

/// Brings the tables of an older format to this one, within the caller's
/// transaction. How rows are counted and listed is left to the caller.
pub(super) fn bring_up(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("DROP TABLE run_tag")?;
    for table in table::ALL {
        rebuild(conn, table.name, &table.create)?;
    }
    rebuild(conn, "meta", &table::META.create)?;
    conn.execute_batch(ENTRIES)?;
    set(conn, "user_version", i64::from(FORMAT))
}

/// Makes a table anew, with the columns that it has now and without the indexes
/// that it had, and keeps its rows.
fn rebuild(conn: &Connection, name: &str, create: &str) -> rusqlite::Result<()> {
    let mut columns = conn.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let columns = columns.query_map([name], |row| row.get(0))?;
    let columns = columns.collect::<rusqlite::Result<Vec<String>>>()?.join(", ");
    if columns.is_empty() {
        return conn.execute_batch(create);
    }
    conn.execute_batch(&format!(
        "ALTER TABLE {name} RENAME TO old_{name}; {create}; \
         INSERT INTO {name} ({columns}) SELECT {columns} FROM old_{name}; DROP TABLE old_{name}"
    ))
}

/// What is wrong with the file's pages, if anything: reads all of them.
pub(crate) fn damage(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((verdict != "ok").then(|| verdict.replace('\n', " ")))
}

/// Whether the tables are all there and hang together: what a quick look can
/// tell. Gives what is wrong.
pub(super) fn inspect(conn: &Connection, thorough: bool) -> rusqlite::Result<Option<String>> {
    if thorough && let Some(reason) = damage(conn)? {
        return Ok(Some(reason));
    }
    for table in table_names() {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if conn.query_row(sql, [table], |_| Ok(())).optional()?.is_none() {
            return Ok(Some(format!("table '{table}' is missing")));
        }
    }
    let (revision, chain, anchor): (i64, String, i64) =
        conn.query_row("SELECT revision, chain, anchor_revision FROM meta", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    // Up to the anchor are leftovers of a reset.
    let sql =
        "SELECT revision, chain FROM event WHERE revision > ?1 ORDER BY revision DESC LIMIT 1";
    let newest: Option<(i64, String)> =
        conn.query_row(sql, [anchor], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
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
