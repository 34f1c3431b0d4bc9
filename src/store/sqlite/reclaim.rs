//! Leftovers: what a reset took out of the state and nobody has deleted yet. To
//! delete a large state takes the longer the larger it is, and all would wait; so
//! a reset renames the tables and makes new ones in their place, and the writer
//! deletes the old ones in pieces, each in a transaction of its own.
//!
//! The same goes for the history: events up to the anchor are left over. Any
//! process may delete what is left, and whoever opens the file looks for it.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::schema;
use super::table::bound;
use super::view::TransactionView;
use crate::machine::row::Counts;

/// A state with so few rows and bytes is deleted at once, which takes a few
/// milliseconds. Renaming takes about as long, and every process has to prepare
/// its statements anew.
const AT_ONCE_ROWS_MAX: u64 = 1_000;
const AT_ONCE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long a piece takes at most, the commit aside, which takes longer: who
/// waits behind it hardly notices.
const PIECE_TIME_MAX: Duration = Duration::from_millis(2);

/// Rows deleted between two looks at the time. Each may hold a value of 1 MiB,
/// whose pages are all touched.
const ROWS_AT_ONCE: u64 = 16;

impl TransactionView<'_> {
    /// Empties the tables of all that does not outlive a reset.
    pub(super) fn clear(&self) -> Result<()> {
        let Counts { keys, runs, steps, leases, sessions, requests: _, cancellations } =
            self.meta.counts;
        let rows = keys + runs + steps + leases + sessions + cancellations;
        let few = rows <= AT_ONCE_ROWS_MAX && self.meta.state_bytes <= AT_ONCE_BYTES_MAX;
        schema::cleared().try_for_each(|(table, _)| match few {
            // Without a condition SQLite empties a table without reading its rows.
            true => self.conn.execute_batch(&format!("DELETE FROM {table}")),
            false => self.set_aside(table),
        })
    }

    /// Puts an empty table in the place of a full one.
    fn set_aside(&self, table: &str) -> Result<()> {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let anew: String = self.conn.query_row(sql, [table], |row| row.get(0))?;
        // Each reset has a revision of its own.
        let aside = format!("gone_{}_{table}", self.meta.revision.0);
        self.conn.execute_batch(&format!("ALTER TABLE {table} RENAME TO {aside}; {anew}"))
    }
}

/// Deletes some of what is left, within the caller's transaction. Says whether
/// there is more.
pub(super) fn delete_piece(conn: &Connection) -> Result<bool> {
    let anchor = TransactionView::load(conn)?.meta.anchor.revision;
    let started = Instant::now();
    while started.elapsed() < PIECE_TIME_MAX {
        if let Some(table) = next_aside(conn)? {
            let of = schema::cleared().find(|(name, _)| table.ends_with(&format!("_{name}")));
            let id = of.map_or("rowid", |(_, id)| id);
            let sql = format!(
                "DELETE FROM {table} WHERE ({id}) IN (SELECT {id} FROM {table} LIMIT {ROWS_AT_ONCE})"
            );
            if conn.prepare_cached(&sql)?.execute([])? == 0 {
                conn.execute_batch(&format!("DROP TABLE {table}"))?;
            }
            continue;
        }
        let sql = "DELETE FROM event WHERE revision IN \
             (SELECT revision FROM event WHERE revision <= ?1 ORDER BY revision LIMIT ?2)";
        let params = params![bound(anchor.0), bound(ROWS_AT_ONCE)];
        if conn.prepare_cached(sql)?.execute(params)? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes all that is left, for somebody who has the file alone.
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
