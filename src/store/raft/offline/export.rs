//! Exports the whole state of a running cluster while writes go on: the rows from an
//! immutable copy of the tables, and the history from memory and archive.
//!
//! An export holds the state at the position with which it starts. If a reset drops
//! history that was not sent yet, the stream ends in an error.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::machine::{Meta, Revision, Row};
use crate::store::StoreError;
use crate::store::export::{Export, Part, PartSender, channel};
use crate::store::raft::consensus::applied::LatestState;
use crate::store::raft::history::History;
use crate::store::raft::history::archive::{ArchiveError, EventRun, RevisionSpan};
use crate::store::raft::history::chain_check::ChainCheck;
use crate::store::tables::Tables;

/// About how many bytes of events are read at once.
const READ_BYTES: usize = 1 << 20;
/// How long the export waits for an archive that lacks events and makes no progress.
/// The archive fetches them from peers, and one of these may be restarting.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often missing events are looked for again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The source of an export's history.
pub(crate) struct ExportSource {
    pub(crate) history: History,
    /// The newest state, whose anchor shows whether a reset has dropped history.
    pub(crate) state: Arc<LatestState>,
}

impl ExportSource {
    /// Exports the state in `tables` with its history. The export ends early once
    /// `stop` is cancelled.
    pub(crate) fn export(self, tables: Tables, stop: CancellationToken) -> Export {
        let meta = tables.meta().clone();
        let (mut sender, parts) = channel(stop);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let read = send_rows(&tables, &mut sender)
                .and_then(|()| self.send_events(tables.meta(), &mut sender, &runtime));
            sender.end(read);
        });
        Export { meta, parts }
    }

    fn send_events(
        &self,
        meta: &Meta,
        sender: &mut PartSender,
        runtime: &Handle,
    ) -> Result<(), StoreError> {
        let mut check = ChainCheck::after(&meta.anchor);
        while check.next() <= meta.revision {
            let span = RevisionSpan { first: check.next(), last: meta.revision };
            for event in runtime.block_on(self.read(span))?.events {
                check.check(&event)?;
                sender.push(Part::Event(event))?;
            }
        }
        check.finish(meta)
    }

    /// Reads the next events, and waits for those that the archive has yet to fetch.
    async fn read(&self, span: RevisionSpan) -> Result<EventRun, StoreError> {
        let mut hole = self.history.archive().hole();
        let mut progressed_at = Instant::now();
        loop {
            let error = match self.history.range_up(span, READ_BYTES).await {
                Ok(run) => return Ok(run),
                Err(error) => error,
            };
            self.check_kept(span.first)?;
            if error == ArchiveError::Closed || progressed_at.elapsed() >= STALL_TIMEOUT {
                return Err(StoreError::Unavailable(error.to_string()));
            }
            if let Ok(Ok(())) = timeout(RETRY_INTERVAL, hole.changed()).await {
                progressed_at = Instant::now();
            }
        }
    }

    fn check_kept(&self, next: Revision) -> Result<(), StoreError> {
        let anchor = self.state.load().tables.meta().anchor.revision;
        match anchor < next {
            true => Ok(()),
            false => Err(StoreError::Unavailable(format!(
                "a reset dropped the history up to {anchor} while it was read"
            ))),
        }
    }
}

/// Sends every row that an export contains.
pub(in crate::store) fn send_rows(
    tables: &Tables,
    sender: &mut PartSender,
) -> Result<(), StoreError> {
    let mut rows = tables.rows().map(|row| Row::clone(row)).filter_map(Part::of_row);
    rows.try_for_each(|row| sender.push(row))
}
