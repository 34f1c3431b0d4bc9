//! Connections: how a file is opened and configured for writing, for reading,
//! and for changing it alone; and how one waits while other processes keep it busy.

use std::path::Path;
use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ConstantBuilder};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Result};

/// How many KiB of pages a writer keeps in memory: the inner pages of some
/// millions of rows, so that a commit does not have to read before it writes.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// The same for each reader. There are several, and behind them is the kernel's
/// page cache.
const READER_CACHE_KIB: i64 = 4 * 1024;

/// With so many pages in the log, a commit copies them into the file. Such a
/// checkpoint costs two syncs, so it should be rare; but the whole log is read at
/// the first start after a crash, so not too rare.
const CHECKPOINT_PAGES: i64 = 4_000;

/// After a burst, a checkpoint truncates the log to this size.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// How many prepared statements a connection caches: more than there are, so
/// that each is parsed only once.
const STATEMENTS_MAX: usize = 256;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionRole {
    Writer,
    Reader,
}

/// A connection that writes, to a file that is created if there is none.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    Connection::open_with_flags(path, read_write() | OpenFlags::SQLITE_OPEN_CREATE)
}

/// Configures a connection of [`open_writer`]. It must come after
/// [`keep_log`], so that a refused file stays as it was found.
pub(super) fn configure_writer(conn: &Connection) -> Result<()> {
    configure(conn, ConnectionRole::Writer)
}

/// A further connection to a file that was accepted already.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, read_write())?;
    configure(&conn, ConnectionRole::Reader)?;
    Ok(conn)
}

/// The only connection to a file that is to be changed as a whole or not at all.
pub(in crate::store) fn open_exclusive(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, read_write())?;
    // Until the file is changed, its log stays as it is.
    keep_log(path, &conn)?;
    configure(&conn, ConnectionRole::Writer)?;
    // The lock is held from the first access until the connection is closed. In
    // any other mode, a process that has the file open and idle would not be
    // noticed.
    conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    conn.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    Ok(conn)
}

fn read_write() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Closing the connection will not copy an existing log into the file. If there
/// is no log, closing cleans up as usual.
pub(super) fn keep_log(path: &Path, conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log(path)).map(drop)
}

/// Closing the connection will copy the log into the file, as is SQLite's default.
pub(in crate::store) fn checkpoint_on_close(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}

/// Whether there is anything in the write-ahead log beside the file.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Switches to the write-ahead log, which allows readers beside a writer and
/// needs one sync for each commit. SQLite stores the mode in the file's header and
/// answers with the mode that is in effect. Returns whether it is the log.
pub(super) fn use_log(conn: &Connection) -> Result<bool> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

/// A number that changes when another connection has committed. It is the
/// cheapest way to find out.
pub(super) fn data_version(conn: &Connection) -> Result<i64> {
    conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// Repeats `attempt` every `pause` for up to `timeout`, while other processes
/// keep the file busy.
pub(super) fn retry_while_busy<T, E>(
    timeout: Duration,
    pause: Duration,
    is_busy: impl Fn(&E) -> bool,
    attempt: impl FnMut() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let started = Instant::now();
    attempt
        .retry(ConstantBuilder::default().with_delay(pause).without_max_times())
        .when(|error| is_busy(error) && started.elapsed() < timeout)
        .call()
}

/// Applies the settings that last as long as the connection.
fn configure(conn: &Connection, role: ConnectionRole) -> Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Our own loops wait while the file is busy. They know the callers' deadlines,
    // and SQLite's pauses grow to 100 ms although a commit takes about one.
    conn.busy_timeout(Duration::ZERO)?;
    // The file may come from anywhere, so views and triggers in it may not call
    // functions.
    set(conn, "trusted_schema", "OFF")?;
    // A damaged page is noticed when it is read and not when it is followed.
    set(conn, "cell_size_check", "ON")?;
    // Without this, what a savepoint may have to restore goes to a file in /tmp.
    // The size of a batch bounds it.
    set(conn, "temp_store", "MEMORY")?;
    match role {
        ConnectionRole::Writer => {
            // FULL syncs the log at every commit, so an answered command is on
            // the disk. NORMAL syncs only at checkpoints and would lose commits.
            set(conn, "synchronous", "FULL")?;
            // On macOS, a plain fsync leaves data in the drive's cache.
            set(conn, "fullfsync", "ON")?;
            set(conn, "cache_size", -WRITER_CACHE_KIB)?;
            set(conn, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            set(conn, "journal_size_limit", LOG_BYTES_KEPT)?;
        }
        ConnectionRole::Reader => {
            // A reader is opened for writing nevertheless, because the first
            // connection after a crash has to rebuild the index of the log.
            set(conn, "query_only", "ON")?;
            set(conn, "cache_size", -READER_CACHE_KIB)?;
        }
    }
    Ok(())
}

/// Sets a pragma.
pub(super) fn set(conn: &Connection, name: &str, value: impl rusqlite::ToSql) -> Result<()> {
    conn.pragma_update(None, name, value)
}
