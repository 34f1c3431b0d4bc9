//! Reclaiming the space of what a reset removed from the state. Deleting a large
//! state takes long, and everybody would have to wait. Therefore a reset renames
//! the tables and makes new ones in their place, and the writer deletes the old
//! ones in pieces, each in a transaction of its own.
//!
//! The history is treated likewise: events up to the anchor are leftovers. Every
//! process may delete leftovers, and each looks for them when it opens the file.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::schema;
use super::table::bound;
use super::view::TransactionView;
use crate::machine::meta::Counts;

/// A state up to this size is deleted immediately, which takes a few milliseconds.
/// Renaming the tables takes about as long and makes every process prepare its
/// statements again.
const IMMEDIATE_ROWS_MAX: u64 = 1_000;
const IMMEDIATE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long deleting one piece may take, without the commit. The commit takes
/// longer, so commands that wait behind it hardly notice.
const PIECE_TIME_MAX: Duration = Duration::from_millis(2);

/// How many rows are deleted before the time is checked again. Each may hold a
/// value of 1 MiB, and all of its pages are touched.
const DELETED_ROWS: u64 = 16;

impl TransactionView<'_> {
    /// Removes everything that does not outlive a reset.
    pub(super) fn clear(&self) -> Result<()> {
        let Counts { keys, runs, steps, leases, sessions, requests: _, cancellations, schedules } =
            self.meta.counts;
        let rows = keys + runs + steps + leases + sessions + cancellations + schedules;
        let small = rows <= IMMEDIATE_ROWS_MAX && self.meta.state_bytes <= IMMEDIATE_BYTES_MAX;
        schema::cleared().try_for_each(|(table, _)| match small {
            // Without a condition, SQLite empties a table without reading its rows.
            true => self.conn.execute_batch(&format!("DELETE FROM {table}")),
            false => self.set_aside(table),
        })
    }

    /// Renames a table and makes an empty one in its place.
    fn set_aside(&self, table: &str) -> Result<()> {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let create: String = self.conn.query_row(sql, [table], |row| row.get(0))?;
        // The name is unique, because every reset has a revision of its own.
        let aside = format!("gone_{}_{table}", self.meta.revision.0);
        self.conn.execute_batch(&format!("ALTER TABLE {table} RENAME TO {aside}; {create}"))
    }
}

/// Deletes some of what a reset left, within the caller's transaction. Returns
/// whether there is more.
pub(super) fn delete_piece(conn: &Connection) -> Result<bool> {
    let anchor = TransactionView::load(conn)?.meta.anchor.revision;
    let started = Instant::now();
    while started.elapsed() < PIECE_TIME_MAX {
        if let Some(table) = next_aside(conn)? {
            let origin = schema::cleared().find(|(name, _)| table.ends_with(&format!("_{name}")));
            let id = origin.map_or("rowid", |(_, id)| id);
            let sql = format!(
                "DELETE FROM {table} WHERE ({id}) IN (SELECT {id} FROM {table} LIMIT {DELETED_ROWS})"
            );
            if conn.prepare_cached(&sql)?.execute([])? == 0 {
                conn.execute_batch(&format!("DROP TABLE {table}"))?;
            }
            continue;
        }
        let sql = "DELETE FROM event WHERE revision IN \
             (SELECT revision FROM event WHERE revision <= ?1 ORDER BY revision LIMIT ?2)";
        let params = params![bound(anchor.0), bound(DELETED_ROWS)];
        if conn.prepare_cached(sql)?.execute(params)? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes everything that a reset left, for a caller that holds the write lock
/// and has no other callers waiting.
pub(super) fn delete_all(conn: &Connection) -> Result<()> {
    while let Some(table) = next_aside(conn)? {
        conn.execute_batch(&format!("DROP TABLE {table}"))?;
    }
    Ok(())
}

fn next_aside(conn: &Connection) -> Result<Option<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' \
         AND name GLOB 'gone_[0-9]*_*' LIMIT 1";
    conn.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
}
