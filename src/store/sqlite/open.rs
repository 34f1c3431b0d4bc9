//! Opening a file. One of ours is opened, an empty one becomes ours, one of an
//! older version is upgraded ([`upgrade`]), and one of the Python reference is
//! migrated ([`migrate`]). Anything else is refused and left as it was found.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::connect::{
    checkpoint_on_close, configure_writer, keep_log, open_reader, open_writer, retry_while_busy,
    use_log,
};
use super::error::SqliteOpenError;
use super::schema::{self, Contents};
use super::upgrade::upgrade;
use crate::machine::ClusterMs;
use crate::store::migration::sqlite::migrate::migrate;

/// How long opening waits for other processes, for example while one of them
/// checkpoints a large log or many of them start at once.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two attempts.
const OPEN_PAUSE: Duration = Duration::from_millis(5);

/// Files up to this size are read completely and checked when they are opened,
/// which takes too little time to be noticed. Damage in larger files shows when
/// the damaged page is read.
const CHECKED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The writer's connection to a file of ours in the current format, with a log
/// beside it. A file of the Python reference is converted as of `now`; if `now` is
/// `None`, it is refused.
///
/// # Errors
/// See [`SqliteOpenError`]. The file stays as it was.
pub(super) fn open(
    path: &Path,
    now: Option<ClusterMs>,
) -> Result<(PathBuf, Connection), SqliteOpenError> {
    let path = absolute(path)?;
    create_folder(&path)?;
    refuse_foreign(&path)?;
    retry_until_free(path, |path| match (open_ours(path), now) {
        (Err(SqliteOpenError::Unconverted(_)), Some(now)) => {
            migrate(path, now)?;
            open_ours(path)
        }
        (Err(SqliteOpenError::Older { .. }), _) => {
            upgrade(path)?;
            open_ours(path)
        }
        (outcome, _) => outcome,
    })
}

/// A connection that reads an existing file, which other processes may serve, and
/// leaves it as it found it.
///
/// # Errors
/// See [`SqliteOpenError`].
pub(super) fn open_as_found(path: &Path) -> Result<(PathBuf, Connection), SqliteOpenError> {
    let path = absolute(path)?;
    match std::fs::metadata(&path) {
        Ok(found) if found.len() > 0 => refuse_foreign(&path)?,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(SqliteOpenError::io(&path, &error));
        }
        Ok(_) | Err(_) => return Err(SqliteOpenError::NoFile(path)),
    }
    retry_until_free(path, |path| {
        let fail = |error| SqliteOpenError::of(path, error);
        let conn = open_reader(path).map_err(fail)?;
        keep_log(path, &conn).map_err(fail)?;
        inspect(path, &conn)?;
        Ok(conn)
    })
}

/// The absolute path. SQLite could take a relative one for a URI or for one of its
/// special names.
fn absolute(path: &Path) -> Result<PathBuf, SqliteOpenError> {
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        return Err(SqliteOpenError::NotAFile(path.to_owned()));
    }
    std::path::absolute(path).map_err(|error| SqliteOpenError::io(path, &error))
}

/// Creates the folder of the file where there is none, with the folders above it and with
/// the usual permissions, as a cluster's node does with its data directory.
///
/// # Errors
/// [`SqliteOpenError::NoFolder`].
pub fn create_folder(path: &Path) -> Result<(), SqliteOpenError> {
    let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) else { return Ok(()) };
    let present = folder.ancestors().find(|folder| folder.is_dir());
    let create = || {
        std::fs::create_dir_all(folder)?;
        // A power loss must not remove the folder of a file in which writes were
        // acknowledged, so every folder above a new one is synced.
        for above in folder.ancestors().skip(1) {
            File::open(above)?.sync_all()?;
            if Some(above) == present {
                break;
            }
        }
        Ok(())
    };
    create().map_err(|source| SqliteOpenError::NoFolder { path: folder.to_owned(), source })
}

/// Repeats `attempt` while other processes keep the file busy, for up to
/// [`OPEN_TIMEOUT`].
fn retry_until_free(
    path: PathBuf,
    attempt: impl Fn(&Path) -> Result<Connection, SqliteOpenError>,
) -> Result<(PathBuf, Connection), SqliteOpenError> {
    let attempt = || attempt(&path);
    match retry_while_busy(OPEN_TIMEOUT, OPEN_PAUSE, SqliteOpenError::is_busy, attempt) {
        Ok(conn) => Ok((path, conn)),
        Err(error) if error.is_busy() => Err(locked(path)),
        Err(error) => Err(error),
    }
}

/// Why the file stayed busy. Files of the reference and of an older version can be
/// converted only while no other process even has them open.
fn locked(path: PathBuf) -> SqliteOpenError {
    match contents_without_log(&path) {
        Ok(Contents::Reference) => SqliteOpenError::ReferenceRuns(path),
        Ok(Contents::Ours(found)) if found < schema::FORMAT => SqliteOpenError::OlderRuns(path),
        Ok(Contents::Empty | Contents::Ours(_) | Contents::Foreign) | Err(_) => {
            SqliteOpenError::Locked { path, waited_s: OPEN_TIMEOUT.as_secs() }
        }
    }
}

/// Opens a file of ours in the current format, or makes an empty one ours.
fn open_ours(path: &Path) -> Result<Connection, SqliteOpenError> {
    let fail = |error| SqliteOpenError::of(path, error);
    let mut conn = open_writer(path).map_err(fail)?;
    // Without permission to write, SQLite silently opens the file for reading.
    if conn.is_readonly("main").map_err(fail)? {
        let reason = "no permission to write the file".into();
        return Err(SqliteOpenError::ReadOnly { path: path.to_owned(), reason });
    }
    // Until the file is accepted, it stays as it was found.
    keep_log(path, &conn).map_err(fail)?;
    configure_writer(&conn).map_err(fail)?;
    accept(path, &mut conn)?;
    checkpoint_on_close(&conn).map_err(fail)?;
    Ok(conn)
}

fn accept(path: &Path, conn: &mut Connection) -> Result<(), SqliteOpenError> {
    let fail = |error| SqliteOpenError::of(path, error);
    if schema::contents(conn).map_err(fail)? == Contents::Empty {
        // Checked again under the lock, because several processes may start at
        // once.
        let all = Transaction::new(conn, TransactionBehavior::Exclusive).map_err(fail)?;
        if schema::contents(&all).map_err(fail)? == Contents::Empty {
            schema::create(&all).map_err(fail)?;
        }
        all.commit().map_err(fail)?;
    }
    inspect(path, conn)?;
    // This comes last, because it may change the header of the file.
    if !use_log(conn).map_err(fail)? {
        let reason = "this file system does not allow a write-ahead log".to_owned();
        return Err(SqliteOpenError::Failed { path: path.to_owned(), reason, source: None });
    }
    Ok(())
}

/// Checks that the file is ours, in the current format, and whole.
fn inspect(path: &Path, conn: &Connection) -> Result<(), SqliteOpenError> {
    let fail = |error| SqliteOpenError::of(path, error);
    match schema::contents(conn).map_err(fail)? {
        Contents::Ours(schema::FORMAT) => {}
        Contents::Ours(found) => return Err(other_format(path, found)),
        Contents::Reference => return Err(SqliteOpenError::Unconverted(path.to_owned())),
        Contents::Empty | Contents::Foreign => {
            return Err(SqliteOpenError::Foreign(path.to_owned()));
        }
    }
    let bytes = std::fs::metadata(path).map_err(|error| SqliteOpenError::io(path, &error))?.len();
    let state = conn.unchecked_transaction().map_err(fail)?;
    let damage = schema::inspect(&state, bytes <= CHECKED_BYTES_MAX).map_err(fail)?;
    match damage {
        Some(reason) => Err(SqliteOpenError::Damaged { path: path.to_owned(), reason }),
        None => Ok(()),
    }
}

/// Refuses what is obviously not ours before anything creates a lock or another
/// file beside it. This reads the file without its log, as if it could not change.
/// What that cannot decide is accepted here, and checked again under the lock.
///
/// Even this goes through SQLite: if this process has the file open already,
/// closing a file descriptor of our own would release all of its locks (see
/// fcntl(2)).
fn refuse_foreign(path: &Path) -> Result<(), SqliteOpenError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(SqliteOpenError::NotAFile(path.to_owned())),
        Ok(found) if found.len() == 0 => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SqliteOpenError::io(path, &error)),
    }
    match contents_without_log(path) {
        Ok(Contents::Foreign) => Err(SqliteOpenError::Foreign(path.to_owned())),
        Ok(Contents::Ours(found)) if !(1..=schema::FORMAT).contains(&found) => {
            Err(other_format(path, found))
        }
        // An error means that another process is writing or the file is damaged.
        Ok(Contents::Ours(_) | Contents::Empty | Contents::Reference) | Err(_) => Ok(()),
    }
}

/// What the file holds, without its log.
fn contents_without_log(path: &Path) -> rusqlite::Result<Contents> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    schema::contents(&Connection::open_with_flags(immutable_uri(path), flags)?)
}

/// The path as a URI (RFC 8089). Every byte that could have a meaning is escaped.
fn immutable_uri(path: &Path) -> String {
    let escaped: String = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|&byte| match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("file:{escaped}?immutable=1")
}

fn other_format(path: &Path, found: i32) -> SqliteOpenError {
    let path = path.to_owned();
    if found > schema::FORMAT {
        SqliteOpenError::Newer { path, found, known: schema::FORMAT }
    } else if found >= 1 {
        SqliteOpenError::Older { path, found }
    } else {
        let reason = format!("format {found} was never written");
        SqliteOpenError::Damaged { path, reason }
    }
}
