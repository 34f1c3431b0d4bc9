//! Moving in: a file that the Python reference wrote becomes ours, in one
//! transaction, with a copy of it kept beside.
//!
//! In order, with the file locked against everybody all the while:
//!
//! 1. All of it is read and turned into a state of ours ([`reference`]).
//! 2. The copy is made, under another name until it is whole and on the disk.
//! 3. One transaction drops the old tables, makes ours and fills them.
//!
//! Whoever dies in the middle leaves the reference's file or ours. Another
//! process that opens the file meanwhile waits, and finds ours.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::copy::Copy;
use super::tables::{self, ReadError};
use crate::machine::ClusterMs;
use crate::store::migration::{self, Converted, Reference};
use crate::store::sqlite::error::OpenError;
use crate::store::sqlite::open::{fold_log, open_alone};
use crate::store::sqlite::schema::{self, Contents};
use crate::store::sqlite::view::TransactionView;
use crate::store::sqlite::write;

pub(crate) use super::tables::is_the_references;

/// Converts the file at `path`, unless another process was faster.
///
/// # Errors
/// See [`OpenError`]; the file is the reference's still. Busy where another
/// process has it open.
pub(crate) fn move_in(path: &Path, now: ClusterMs) -> Result<(), OpenError> {
    let fail = |error| OpenError::of(path, error);
    let mut conn = open_alone(path).map_err(fail)?;
    if schema::contents(&conn).map_err(fail)? != Contents::Reference {
        return Ok(());
    }
    if let Some(reason) = schema::damage(&conn).map_err(fail)? {
        return Err(OpenError::Damaged { path: path.to_owned(), reason });
    }
    let found = tables::all(&conn).map_err(|error| match error {
        ReadError::Sqlite(error) => fail(error),
        ReadError::ForeignData(fault) => OpenError::Strange { path: path.to_owned(), fault },
    })?;
    let converted = migration::convert(&found, now);
    let copy = Copy::keep(&conn, path)?;
    if let Err(error) = write(&mut conn, &converted) {
        // Where it is ours after all, the copy is all that is left of the rest.
        if schema::contents(&conn).is_ok_and(|contents| contents == Contents::Reference) {
            copy.discard();
        }
        return Err(fail(error));
    }
    fold_log(&conn).map_err(fail)?;
    announce(path, copy.path(), &found, &converted);
    Ok(())
}

/// The one transaction.
fn write(conn: &mut Connection, converted: &Converted) -> rusqlite::Result<()> {
    let all = Transaction::new(conn, TransactionBehavior::Immediate)?;
    tables::drop_tables(&all)?;
    schema::create(&all)?;
    let mut tables = TransactionView { conn: &all, meta: converted.meta.clone() };
    // Counted as they are added.
    tables.meta.uncount_all();
    converted.rows.iter().try_for_each(|row| tables.add(row))?;
    converted.events.iter().try_for_each(|event| write::event(&all, event))?;
    write::meta(&all, &tables.meta)?;
    all.commit()
}

fn announce(path: &Path, copy: &Path, found: &Reference, converted: &Converted) {
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

/// A path with something added to its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between the look that found the reference's file and the lock, another
    /// process may have converted it.
    #[test]
    fn who_comes_second_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        let recorded = include_bytes!("../../../../tests/recorded/state_sidecar.db");
        std::fs::write(&file, recorded).unwrap();
        move_in(&file, ClusterMs(1_800_000_000_000)).unwrap();
        let ours = std::fs::read(&file).unwrap();
        assert_ne!(ours, recorded);
        move_in(&file, ClusterMs(1_800_000_000_000)).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), ours);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the file and its copy");
    }
}
