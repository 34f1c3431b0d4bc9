//! A whole state out of a file, in one read transaction: on a connection and in
//! a thread of its own, so that neither the writer nor the readers wait for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Params};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::{OpenError, describe, is_busy};
use super::open;
use super::table;
use super::view::TransactionView;
use crate::machine::{Meta, Row};
use crate::store::StoreError;
use crate::store::export::{Export, Part, PartSender, channel};

/// Between two attempts while another process repairs the log or closes the
/// file.
const RETRY: Duration = Duration::from_millis(1);

/// Those of one store.
#[derive(Default)]
pub(super) struct Exports {
    stop: CancellationToken,
    under_way: TaskTracker,
}

/// Opens the connection that is read from.
type Connect = Box<dyn Fn() -> rusqlite::Result<Connection> + Send>;

impl Exports {
    /// Begins one of the file at `path`, by `deadline`.
    pub(super) async fn begin(
        &self,
        path: PathBuf,
        deadline: Instant,
    ) -> Result<Export, StoreError> {
        self.run(Box::new(move || open::open_reader(&path)), deadline).await
    }

    async fn run(&self, connect: Connect, deadline: Instant) -> Result<Export, StoreError> {
        if self.stop.is_cancelled() {
            return Err(StoreError::Unavailable("the store is closing".into()));
        }
        let (mut sender, parts) = channel(self.stop.clone());
        let (tell, begun) = oneshot::channel();
        self.under_way.spawn_blocking(move || {
            let mut tell = Some(tell);
            let read = loop {
                let told = |meta: Meta| {
                    // Fails where the caller has given up.
                    if let Some(tell) = tell.take() {
                        let _ = tell.send(Ok(meta));
                    }
                };
                let read = connect().map_err(ExportFault::from);
                match read.and_then(|conn| read_out(&conn, &mut sender, told)) {
                    Err(ExportFault::File(error))
                        if is_busy(&error) && tell.is_some() && Instant::now() < deadline =>
                    {
                        std::thread::sleep(RETRY);
                    }
                    Err(ExportFault::File(error)) => {
                        break Err(StoreError::Storage(describe(&error)));
                    }
                    Err(ExportFault::Sending(error)) => break Err(error),
                    Ok(()) => break Ok(()),
                }
            };
            match (tell, read) {
                (Some(tell), Err(error)) => {
                    let _ = tell.send(Err(error));
                }
                (_, read) => sender.end(read),
            }
        });
        let late = |_| StoreError::Unavailable("the file was busy until the deadline".into());
        let meta = tokio::time::timeout_at(deadline, begun).await.map_err(late)?;
        let broken = |_| StoreError::Storage("the export failed before it began".into());
        let meta = meta.map_err(broken)??;
        Ok(Export { meta, parts })
    }

    /// Ends those under way and waits until they have let go of the file.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.under_way.close();
        self.under_way.wait().await;
    }
}

/// Exports the file at `path` beside whatever serves it, without serving it.
///
/// # Errors
/// It is not ours, or cannot be read by `deadline`; it is as it was.
pub async fn export_file(path: &Path, deadline: Instant) -> Result<Export, ExportError> {
    let (path, _) = open::open_as_found(path)?;
    let connect = Box::new(move || {
        let conn = open::open_reader(&path)?;
        open::keep_log(&path, &conn)?;
        Ok(conn)
    });
    Ok(Exports::default().run(connect, deadline).await?)
}

/// Why a file is not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the state that `conn` finds when this begins, all of it from one
/// transaction. `begun` is told its position before the first part.
fn read_out(
    conn: &Connection,
    sender: &mut PartSender,
    begun: impl FnOnce(Meta),
) -> Result<(), ExportFault> {
    let state = conn.unchecked_transaction()?;
    let tables = TransactionView::load(&state)?;
    begun(tables.meta.clone());
    each_row(&state, &mut |row| sender.push(Part::Row(row)).map_err(ExportFault::Sending))?;
    // Up to the anchor are leftovers of a reset.
    let sql = format!("{} WHERE revision > ?1 ORDER BY revision", table::EVENT.select);
    each(&state, &sql, [tables.meta.anchor.revision.0], table::EVENT.read, &mut |event| {
        sender.push(Part::Event(event)).map_err(ExportFault::Sending)
    })
}

/// The file failed, or nobody listens.
pub(super) enum ExportFault {
    File(rusqlite::Error),
    Sending(StoreError),
}

impl From<rusqlite::Error> for ExportFault {
    fn from(error: rusqlite::Error) -> ExportFault {
        ExportFault::File(error)
    }
}

/// Reads every row, in the order of their ids, so that equal states make equal
/// exports.
pub(super) fn each_row<E: From<rusqlite::Error>>(
    conn: &Connection,
    take: &mut impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    table::ALL.iter().try_for_each(|table| {
        let sql = format!("{} ORDER BY {}", table.select, table.id);
        each(conn, &sql, [], table.read, take)
    })
}

fn each<T, E: From<rusqlite::Error>>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    take: &mut impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = conn.prepare(sql)?;
    for row in statement.query_map(params, read)? {
        take(row?)?;
    }
    Ok(())
}
