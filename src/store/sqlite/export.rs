//! Exporting a whole state from a file, in one read transaction. It has its own
//! connection and thread, so that neither the writer nor the readers wait for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connect::{keep_log, open_reader};
use super::error::{SqliteOpenError, describe, is_busy};
use super::open::open_as_found;
use super::table::{self, each, each_row};
use super::view::TransactionView;
use crate::machine::Meta;
use crate::store::error::StoreError;
use crate::store::export::{Export, Part, PartSender, channel};

/// The pause between two attempts while another process repairs the log or closes
/// the file.
const EXPORT_PAUSE: Duration = Duration::from_millis(1);

/// The exports of one store.
#[derive(Default)]
pub(super) struct Exports {
    stop: CancellationToken,
    running: TaskTracker,
}

/// Opens the connection from which an export reads.
type Connect = Box<dyn Fn() -> rusqlite::Result<Connection> + Send>;

impl Exports {
    /// Begins an export of the file at `path` before `deadline`.
    pub(super) async fn begin(
        &self,
        path: PathBuf,
        deadline: Instant,
    ) -> Result<Export, StoreError> {
        self.run(Box::new(move || open_reader(&path)), deadline).await
    }

    async fn run(&self, connect: Connect, deadline: Instant) -> Result<Export, StoreError> {
        if self.stop.is_cancelled() {
            return Err(StoreError::Unavailable("the store is closing".into()));
        }
        let (mut sender, parts) = channel(self.stop.clone());
        let (begin, begun) = oneshot::channel();
        self.running.spawn_blocking(move || {
            let mut begin = Some(begin);
            let sent = loop {
                let on_begin = |meta: Meta| {
                    // Sending fails if the caller has given up.
                    if let Some(begin) = begin.take() {
                        let _ = begin.send(Ok(meta));
                    }
                };
                let conn = connect().map_err(ExportFault::from);
                match conn.and_then(|conn| send_state(&conn, &mut sender, on_begin)) {
                    Err(ExportFault::File(error))
                        if is_busy(&error) && begin.is_some() && Instant::now() < deadline =>
                    {
                        std::thread::sleep(EXPORT_PAUSE);
                    }
                    Err(ExportFault::File(error)) => {
                        break Err(StoreError::Storage(describe(&error)));
                    }
                    Err(ExportFault::Sending(error)) => break Err(error),
                    Ok(()) => break Ok(()),
                }
            };
            match (begin, sent) {
                (Some(begin), Err(error)) => {
                    let _ = begin.send(Err(error));
                }
                (_, sent) => sender.end(sent),
            }
        });
        let late = |_| StoreError::Unavailable("the file was busy until the deadline".into());
        let meta = tokio::time::timeout_at(deadline, begun).await.map_err(late)?;
        let failed = |_| StoreError::Storage("the export failed before it began".into());
        let meta = meta.map_err(failed)??;
        Ok(Export { meta, parts })
    }

    /// Ends the running exports and waits until they have closed the file.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

/// Exports the file at `path` without serving it. Other processes may serve it
/// meanwhile.
///
/// # Errors
/// The file is not ours or cannot be read before `deadline`. It stays as it was.
pub async fn export_file(path: &Path, deadline: Instant) -> Result<Export, SqliteExportError> {
    let (path, _) = open_as_found(path)?;
    let connect = Box::new(move || {
        let conn = open_reader(&path)?;
        keep_log(&path, &conn)?;
        Ok(conn)
    });
    Ok(Exports::default().run(connect, deadline).await?)
}

/// Why a file cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum SqliteExportError {
    #[error(transparent)]
    Open(#[from] SqliteOpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sends the state that `conn` sees now, from one transaction. `on_begin` gets its
/// position before the first part.
fn send_state(
    conn: &Connection,
    sender: &mut PartSender,
    on_begin: impl FnOnce(Meta),
) -> Result<(), ExportFault> {
    let state = conn.unchecked_transaction()?;
    let tables = TransactionView::load(&state)?;
    on_begin(tables.meta.clone());
    each_row(&state, &mut |row| match Part::of_row(row) {
        Some(part) => sender.push(part).map_err(ExportFault::Sending),
        None => Ok(()),
    })?;
    // Events up to the anchor are leftovers of a reset.
    let sql = format!("{} WHERE revision > ?1 ORDER BY revision", table::EVENT.select);
    each(&state, &sql, [tables.meta.anchor.revision.0], table::EVENT.read, &mut |event| {
        sender.push(Part::Event(event)).map_err(ExportFault::Sending)
    })
}

/// The file cannot be read, or nobody receives the parts.
enum ExportFault {
    File(rusqlite::Error),
    Sending(StoreError),
}

impl From<rusqlite::Error> for ExportFault {
    fn from(error: rusqlite::Error) -> ExportFault {
        ExportFault::File(error)
    }
}
