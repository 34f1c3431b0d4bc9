//! Bringing up: a file that an older version of this program wrote gets the
//! present format, in one transaction, while nobody else has it open. An older
//! version that served it meanwhile would not know the tables any longer.
//!
//! Whoever dies in the middle leaves the older file. Another process that opens
//! it meanwhile waits, and finds the new one.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::OpenError;
use super::export::each_row;
use super::open::{fold_log, open_alone};
use super::schema::{self, Contents};
use super::view::TransactionView;
use super::write;
use crate::machine::Meta;

/// Brings up the file at `path`, unless another process was faster.
///
/// # Errors
/// See [`OpenError`]; the file is as it was. Busy where another process has it
/// open.
pub(super) fn bring_up(path: &Path) -> Result<(), OpenError> {
    let fail = |error| OpenError::of(path, error);
    let mut conn = open_alone(path).map_err(fail)?;
    let found = match schema::contents(&conn).map_err(fail)? {
        Contents::Ours(found) if (1..schema::FORMAT).contains(&found) => found,
        Contents::Ours(_) | Contents::Empty | Contents::Reference | Contents::Foreign => {
            return Ok(());
        }
    };
    if let Some(reason) = schema::damage(&conn).map_err(fail)? {
        return Err(OpenError::Damaged { path: path.to_owned(), reason });
    }
    let Meta { revision, counts, .. } = write(&mut conn).map_err(fail)?;
    fold_log(&conn).map_err(fail)?;
    tracing::info!(
        path = %path.display(),
        from = found,
        to = schema::FORMAT,
        keys = counts.keys,
        workflows = counts.runs,
        revision = revision.0,
        "brought up the file of an older version"
    );
    Ok(())
}

/// The one transaction.
fn write(conn: &mut Connection) -> rusqlite::Result<Meta> {
    let all = Transaction::new(conn, TransactionBehavior::Immediate)?;
    schema::bring_up(&all)?;
    let mut tables = TransactionView::load(&all)?;
    tables.meta.uncount_all();
    each_row(&all, &mut |row| tables.count_in(&row))?;
    write::meta(&all, &tables.meta)?;
    let meta = tables.meta;
    all.commit()?;
    Ok(meta)
}
