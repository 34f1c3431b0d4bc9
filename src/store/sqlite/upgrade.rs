//! Upgrading: a file that an older version of this program wrote gets the current
//! format in one transaction, while no other process has it open. An older version
//! that served the file meanwhile would not find its tables any more.
//!
//! A process that dies in the middle leaves the older file. Another process that
//! opens the file meanwhile waits and then finds the new one.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::connect::{checkpoint_on_close, open_exclusive};
use super::error::SqliteOpenError;
use super::schema::{self, Contents};
use super::table::each_row;
use super::view::TransactionView;
use super::write;
use crate::machine::Meta;

/// Upgrades the file at `path`, unless another process was faster.
///
/// # Errors
/// See [`SqliteOpenError`]. The file stays as it was. The error is SQLite's busy
/// error if another process has the file open.
pub(super) fn upgrade(path: &Path) -> Result<(), SqliteOpenError> {
    let fail = |error| SqliteOpenError::of(path, error);
    let mut conn = open_exclusive(path).map_err(fail)?;
    let found = match schema::contents(&conn).map_err(fail)? {
        Contents::Ours(found) if (1..schema::FORMAT).contains(&found) => found,
        Contents::Ours(_) | Contents::Empty | Contents::Reference | Contents::Foreign => {
            return Ok(());
        }
    };
    if let Some(reason) = schema::damage(&conn).map_err(fail)? {
        return Err(SqliteOpenError::Damaged { path: path.to_owned(), reason });
    }
    let Meta { revision, counts, .. } = rewrite(&mut conn).map_err(fail)?;
    checkpoint_on_close(&conn).map_err(fail)?;
    tracing::info!(
        path = %path.display(),
        from = found,
        to = schema::FORMAT,
        keys = counts.keys,
        workflows = counts.runs,
        revision = revision.0,
        "upgraded the file of an older version"
    );
    Ok(())
}

/// Rewrites the tables in one transaction.
fn rewrite(conn: &mut Connection) -> rusqlite::Result<Meta> {
    let all = Transaction::new(conn, TransactionBehavior::Immediate)?;
    schema::upgrade_tables(&all)?;
    let mut tables = TransactionView::load(&all)?;
    tables.meta.uncount_all();
    each_row(&all, &mut |row| tables.index(&row))?;
    write::meta(&all, &tables.meta)?;
    let meta = tables.meta;
    all.commit()?;
    Ok(meta)
}
