//! The file's format: its number, how its tables are made, and how to tell whose
//! file it is. The columns of the tables are in `table`; whether a file is accepted
//! is decided in `open`.

use rusqlite::{Connection, OptionalExtension};

use super::connect::set;
use super::{table, write};
use crate::machine::Meta;
use crate::store::migration::sqlite::tables as reference;

/// `MSSC` in the file's header tells our files from those of other programs.
const APPLICATION_ID: i32 = 0x4D53_5343;

/// The file's format, in `user_version`. A program refuses a format that is newer
/// than the one it knows.
pub(super) const FORMAT: i32 = 4;

/// The tables of index entries, beside the tables in `table`. All names are
/// singular and therefore differ from the reference's (`leases`, `sessions`, ...),
/// so that a migration can read the old tables and write ours in one transaction.
///
/// - Times are milliseconds since 1970, JSON is the text that was received, and
///   chain values are hexadecimal.
/// - Columns compare bytes (`BINARY`, the default), which is the rules' order.
/// - There are no foreign keys. The rules decide what belongs together, a reset
///   empties all tables, and a second authority could only disagree.
/// - Rows are indexed only by entries: ordered bytes that only
///   [`crate::machine::index`] understands. One table has those that a reset
///   removes, and the other those that outlive it.
const ENTRIES: &str = "
CREATE TABLE entry (entry BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE entry_remembered (entry BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
";
const HISTORY: &str = "
CREATE INDEX event_by_subject ON event (subject);
CREATE INDEX event_by_actor ON event (actor) WHERE actor IS NOT NULL;
CREATE INDEX event_by_action ON event (action);
";

/// The tables that a reset empties, each with its primary key.
pub(super) fn cleared() -> impl Iterator<Item = (&'static str, &'static str)> {
    let tables = table::ALL.iter().filter(|table| table.name != "request");
    tables.map(|table| (table.name, &*table.id)).chain([("entry", "entry")])
}

/// Every table except `meta`.
pub(super) fn table_names() -> impl Iterator<Item = &'static str> {
    cleared().map(|(table, _)| table).chain(["request", "entry_remembered", "event"])
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Contents {
    /// No tables.
    Empty,
    /// Our tables, in this format.
    Ours(i32),
    /// The Python reference's tables and nothing else.
    Reference,
    /// Another program's tables.
    Foreign,
}

/// What the file holds. This only reads.
pub(in crate::store) fn contents(conn: &Connection) -> rusqlite::Result<Contents> {
    let application: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let format: i32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let objects: i64 =
        conn.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, objects) {
        (APPLICATION_ID, _) => Contents::Ours(format),
        (0, 0) => Contents::Empty,
        (0, _) if format == 0 && reference::are_the_references(conn)? => Contents::Reference,
        (_, _) => Contents::Foreign,
    })
}

/// Makes our tables within the caller's transaction, so that the file either is
/// ours as a whole or stays empty.
pub(in crate::store) fn create(conn: &Connection) -> rusqlite::Result<()> {
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

/// Upgrades the tables of an older format within the caller's transaction. The
/// caller must count the rows and make their index entries.
pub(super) fn upgrade_tables(conn: &Connection) -> rusqlite::Result<()> {
    let found: i32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    conn.execute_batch(match found {
        ..3 => "DROP TABLE run_tag",
        3.. => "DROP TABLE entry; DROP TABLE entry_remembered",
    })?;
    for table in table::ALL {
        rebuild(conn, table.name, &table.create)?;
    }
    rebuild(conn, "meta", &table::META.create)?;
    conn.execute_batch(ENTRIES)?;
    set(conn, "user_version", i64::from(FORMAT))
}

/// Makes a table again with its current columns and without its old indexes. It
/// keeps its rows.
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

/// What is wrong with the file's pages, if anything. This reads all of them.
pub(in crate::store) fn damage(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((verdict != "ok").then(|| verdict.replace('\n', " ")))
}

/// What is wrong with the tables, if anything: one is missing, or the history does
/// not end where the state is. Unless `thorough`, this is quick.
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
    // Events up to the anchor are leftovers of a reset.
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
