//! Migrating a file: what the Python reference wrote becomes ours in one
//! transaction, and a copy of the file is kept beside it.
//!
//! The file stays locked against everybody during these steps:
//!
//! 1. All of it is read and converted.
//! 2. The copy is made. It has a temporary name until it is complete and synced.
//! 3. One transaction drops the old tables, makes ours and fills them.
//!
//! A process that dies in the middle leaves either the reference's file or ours.
//! Another process that opens the file meanwhile waits and then finds ours.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::backup::Backup;
use super::tables::{self, ReadTablesError};
use crate::machine::ClusterMs;
use crate::store::migration::convert::convert;
use crate::store::migration::model::{Converted, Reference};
use crate::store::sqlite::connect::{checkpoint_on_close, open_exclusive};
use crate::store::sqlite::error::SqliteOpenError;
use crate::store::sqlite::schema::{self, Contents};
use crate::store::sqlite::view::TransactionView;
use crate::store::sqlite::write;

/// Converts the file at `path`, unless another process was faster.
///
/// # Errors
/// See [`SqliteOpenError`]. The file is still the reference's. The error is SQLite's
/// busy error if another process has the file open.
pub(in crate::store) fn migrate(path: &Path, now: ClusterMs) -> Result<(), SqliteOpenError> {
    let fail = |error| SqliteOpenError::of(path, error);
    let mut conn = open_exclusive(path).map_err(fail)?;
    if schema::contents(&conn).map_err(fail)? != Contents::Reference {
        return Ok(());
    }
    if let Some(reason) = schema::damage(&conn).map_err(fail)? {
        return Err(SqliteOpenError::Damaged { path: path.to_owned(), reason });
    }
    let found = tables::all(&conn).map_err(|error| match error {
        ReadTablesError::Sqlite(error) => fail(error),
        ReadTablesError::ForeignData(found) => {
            SqliteOpenError::ForeignData { path: path.to_owned(), found }
        }
    })?;
    let converted = convert(&found, now);
    let backup = Backup::keep(&conn, path)?;
    if let Err(error) = replace_tables(&mut conn, &converted) {
        // If the file is ours in spite of the error, the backup is all that is
        // left of the reference's data.
        if schema::contents(&conn).is_ok_and(|contents| contents == Contents::Reference) {
            backup.discard();
        }
        return Err(fail(error));
    }
    checkpoint_on_close(&conn).map_err(fail)?;
    log_success(path, backup.path(), &found, &converted);
    Ok(())
}

/// Replaces the reference's tables with ours in one transaction.
fn replace_tables(conn: &mut Connection, converted: &Converted) -> rusqlite::Result<()> {
    let all = Transaction::new(conn, TransactionBehavior::Immediate)?;
    tables::drop_tables(&all)?;
    schema::create(&all)?;
    let mut tables = TransactionView { conn: &all, meta: converted.meta.clone() };
    // Adding the rows counts them again.
    tables.meta.uncount_all();
    converted.rows.iter().try_for_each(|row| tables.add(row))?;
    converted.events.iter().try_for_each(|event| write::event(&all, event))?;
    write::meta(&all, &tables.meta)?;
    all.commit()
}

fn log_success(path: &Path, copy: &Path, found: &Reference, converted: &Converted) {
    tracing::info!(
        path = %path.display(),
        copy = %copy.display(),
        keys = found.keys.len(),
        workflows = found.runs.len(),
        steps = found.steps.len(),
        leases = found.leases.len(),
        sessions = found.sessions.len(),
        history = found.history.len(),
        revision = converted.meta.revision.0,
        "converted the Python reference's file; the copy is as it was"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another process may convert the file after this one has recognised it and
    /// before this one gets the lock.
    #[test]
    fn a_second_migration_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        let recorded = include_bytes!("../../../../tests/recorded/state_sidecar.db");
        std::fs::write(&file, recorded).unwrap();
        migrate(&file, ClusterMs(1_800_000_000_000)).unwrap();
        let ours = std::fs::read(&file).unwrap();
        assert_ne!(ours, recorded);
        migrate(&file, ClusterMs(1_800_000_000_000)).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), ours);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the file and its copy");
    }
}
