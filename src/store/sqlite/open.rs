//! Opening a file: ours is opened, an empty one becomes ours, one of an older
//! version is brought up ([`bring_up`]), one of the Python reference is converted
//! ([`move_in`]), everything else is refused as it was found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::{OpenError, is_busy};
use super::schema::{self, Contents, Purpose};
use super::upgrade::bring_up;
use crate::machine::ClusterMs;
use crate::store::migration::sqlite::move_in::move_in;

/// How long opening waits for other processes: for a checkpoint of a large
/// log, or for many processes that start at once.
const OPEN_WAIT: Duration = Duration::from_secs(10);

/// Between two attempts.
const OPEN_RETRY: Duration = Duration::from_millis(5);

/// Files up to this size are read whole and checked when they are opened, which
/// no caller notices. In larger ones damage shows when it is read.
const CHECKED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The writer's connection, to a file that is ours, in the present format and
/// with a log beside it. A file of the Python reference is converted at the
/// moment `now`; without one it is refused.
///
/// # Errors
/// See [`OpenError`]; the file is as it was then.
pub(super) fn open(
    path: &Path,
    now: Option<ClusterMs>,
) -> Result<(PathBuf, Connection), OpenError> {
    let path = named(path)?;
    peek(&path)?;
    patiently(path, |path| match (attempt(path), now) {
        (Err(OpenError::Unconverted(_)), Some(now)) => {
            move_in(path, now)?;
            attempt(path)
        }
        (Err(OpenError::Older { .. }), _) => {
            bring_up(path)?;
            attempt(path)
        }
        (outcome, _) => outcome,
    })
}

/// A connection that reads a file which others may or may not serve, and
/// leaves it as it found it. There must be one.
///
/// # Errors
/// See [`OpenError`].
pub(super) fn open_as_found(path: &Path) -> Result<(PathBuf, Connection), OpenError> {
    let path = named(path)?;
    match std::fs::metadata(&path) {
        Ok(found) if found.len() > 0 => peek(&path)?,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(OpenError::io(&path, &error));
        }
        Ok(_) | Err(_) => return Err(OpenError::NoFile(path)),
    }
    patiently(path, |path| {
        let fail = |error| OpenError::of(path, error);
        let conn = open_reader(path).map_err(fail)?;
        keep_log(path, &conn).map_err(fail)?;
        inspect(path, &conn)?;
        Ok(conn)
    })
}

/// An absolute path is never taken for a URI or for one of SQLite's own names.
fn named(path: &Path) -> Result<PathBuf, OpenError> {
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        return Err(OpenError::NotAFile(path.to_owned()));
    }
    std::path::absolute(path).map_err(|error| OpenError::io(path, &error))
}

/// Again while other processes keep the file.
fn patiently(
    path: PathBuf,
    attempt: impl Fn(&Path) -> Result<Connection, OpenError>,
) -> Result<(PathBuf, Connection), OpenError> {
    let started = Instant::now();
    loop {
        match attempt(&path) {
            Err(OpenError::Failed { source: Some(error), .. })
                if is_busy(&error) && started.elapsed() < OPEN_WAIT =>
            {
                std::thread::sleep(OPEN_RETRY);
            }
            Err(OpenError::Failed { source: Some(error), .. }) if is_busy(&error) => {
                return Err(locked(path));
            }
            Err(error) => return Err(error),
            Ok(conn) => return Ok((path, conn)),
        }
    }
}

/// Somebody keeps the file. One of the reference is converted, and one of an
/// older version brought up, only while nobody else so much as has it open.
fn locked(path: PathBuf) -> OpenError {
    match look(&path) {
        Ok(Contents::Reference) => OpenError::ReferenceRuns(path),
        Ok(Contents::Ours(found)) if found < schema::FORMAT => OpenError::OlderRuns(path),
        Ok(Contents::Empty | Contents::Ours(_) | Contents::Foreign) | Err(_) => {
            OpenError::Locked { path, waited_s: OPEN_WAIT.as_secs() }
        }
    }
}

/// A connection that nobody else can be beside, to a file that is to be changed
/// whole or to be left as it is.
pub(crate) fn open_alone(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    // Until it is changed, its log stays as it is.
    keep_log(path, &conn)?;
    schema::configure(&conn, Purpose::Write)?;
    // Kept from the first look on until the connection is closed. In any other
    // mode a process that only has the file open would not be noticed.
    conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    conn.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    Ok(conn)
}

/// From now on closing the connection folds the log into the file.
pub(crate) fn fold_log(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}

/// One more connection to a file that [`open`] has accepted.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    schema::configure(&conn, Purpose::Read)?;
    Ok(conn)
}

fn attempt(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fail = |error| OpenError::of(path, error);
    let mut conn = Connection::open_with_flags(path, flags).map_err(fail)?;
    // SQLite falls back to reading alone without a word.
    if conn.is_readonly("main").map_err(fail)? {
        let reason = "no permission to write the file".into();
        return Err(OpenError::ReadOnly { path: path.to_owned(), reason });
    }
    // Until the file is accepted it stays as it was found.
    keep_log(path, &conn).map_err(fail)?;
    schema::configure(&conn, Purpose::Write).map_err(fail)?;
    accept(path, &mut conn)?;
    fold_log(&conn).map_err(fail)?;
    Ok(conn)
}

/// Closing the connection does not fold a log that somebody left into the
/// file. Where there is none, closing tidies up.
pub(super) fn keep_log(path: &Path, conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log(path)).map(drop)
}

/// Whether something lies in the write-ahead log beside the file.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

fn accept(path: &Path, conn: &mut Connection) -> Result<(), OpenError> {
    let fail = |error| OpenError::of(path, error);
    if schema::contents(conn).map_err(fail)? == Contents::Empty {
        // Looked at again under the lock: several processes may start at once.
        let all = Transaction::new(conn, TransactionBehavior::Exclusive).map_err(fail)?;
        if schema::contents(&all).map_err(fail)? == Contents::Empty {
            schema::create(&all).map_err(fail)?;
        }
        all.commit().map_err(fail)?;
    }
    inspect(path, conn)?;
    // Last, because it changes the header of a file that was made elsewhere.
    if !schema::use_log(conn).map_err(fail)? {
        let reason = "this file system does not allow a write-ahead log".to_owned();
        return Err(OpenError::Failed { path: path.to_owned(), reason, source: None });
    }
    Ok(())
}

/// Whether the file is ours, in a format known here, and whole.
fn inspect(path: &Path, conn: &Connection) -> Result<(), OpenError> {
    let fail = |error| OpenError::of(path, error);
    match schema::contents(conn).map_err(fail)? {
        Contents::Ours(schema::FORMAT) => {}
        Contents::Ours(found) => return Err(other_format(path, found)),
        Contents::Reference => return Err(OpenError::Unconverted(path.to_owned())),
        Contents::Empty | Contents::Foreign => return Err(OpenError::Foreign(path.to_owned())),
    }
    let bytes = std::fs::metadata(path).map_err(|error| OpenError::io(path, &error))?.len();
    let state = conn.unchecked_transaction().map_err(fail)?;
    let damage = schema::inspect(&state, bytes <= CHECKED_BYTES_MAX).map_err(fail)?;
    match damage {
        Some(reason) => Err(OpenError::Damaged { path: path.to_owned(), reason }),
        None => Ok(()),
    }
}

/// Refuses what is plainly not ours before anything makes a lock or a file
/// beside it: looks at the file itself, without its log, as if nothing could
/// ever change it. What cannot be told that way passes, and the way through
/// the lock tells.
///
/// By SQLite even so: if this process has the file open already, closing a
/// descriptor of our own would drop the locks of all (see fcntl(2)).
fn peek(path: &Path) -> Result<(), OpenError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(OpenError::NotAFile(path.to_owned())),
        Ok(found) if found.len() == 0 => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match path.parent().filter(|folder| !folder.is_dir()) {
                Some(folder) => Err(OpenError::NoFolder(folder.to_owned())),
                None => Ok(()),
            };
        }
        Err(error) => return Err(OpenError::io(path, &error)),
    }
    match look(path) {
        Ok(Contents::Foreign) => Err(OpenError::Foreign(path.to_owned())),
        Ok(Contents::Ours(found)) if !(1..=schema::FORMAT).contains(&found) => {
            Err(other_format(path, found))
        }
        // Another process is in the middle of writing, or the file is damaged.
        Ok(Contents::Ours(_) | Contents::Empty | Contents::Reference) | Err(_) => Ok(()),
    }
}

/// What the file itself holds, without its log.
fn look(path: &Path) -> rusqlite::Result<Contents> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    schema::contents(&Connection::open_with_flags(immutable_uri(path), flags)?)
}

/// The path as a URI (RFC 8089), every byte that might mean something escaped.
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

fn other_format(path: &Path, found: i32) -> OpenError {
    let path = path.to_owned();
    if found > schema::FORMAT {
        OpenError::Newer { path, found, known: schema::FORMAT }
    } else if found >= 1 {
        OpenError::Older { path, found }
    } else {
        let reason = format!("format {found} was never written");
        OpenError::Damaged { path, reason }
    }
}
