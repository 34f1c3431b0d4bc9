//! The whole state on its way out of a running cluster: the rows from tables
//! that never change, the history from memory and archive, read behind the
//! writes that go on.
//!
//! What is promised is fixed by the position that the export starts with. What
//! has not yet come out when a reset drops it is gone: the stream then ends in
//! an error.

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
use crate::store::raft::history::archive::{ArchiveError, Run, Span};
use crate::store::raft::history::chain_check::ChainCheck;
use crate::store::tables::Tables;

/// About how many bytes of events are read at once.
const READ_BYTES: usize = 1 << 20;
/// How long the archive may go without moving while it lacks what is wanted. It
/// has that from peers, of whom one may be restarting.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is missing is looked for again this often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where the history is read from.
pub(crate) struct ExportSource {
    pub(crate) history: History,
    /// As it goes on: its anchor tells what a reset dropped.
    pub(crate) state: Arc<LatestState>,
}

impl ExportSource {
    /// The state that `tables` hold, with the history that is kept of it. Ends
    /// early once `stop` is cancelled.
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
        let mut links = ChainCheck::after(&meta.anchor);
        while links.next() <= meta.revision {
            let span = Span { first: links.next(), last: meta.revision };
            for event in runtime.block_on(self.read(span))?.events {
                links.take(&event)?;
                sender.push(Part::Event(event))?;
            }
        }
        links.reach(meta)
    }

    /// The next events; waits for what the archive is about to fetch.
    async fn read(&self, span: Span) -> Result<Run, StoreError> {
        let mut hole = self.history.archive().hole();
        let mut moved = Instant::now();
        loop {
            let error = match self.history.range_up(span, READ_BYTES).await {
                Ok(run) => return Ok(run),
                Err(error) => error,
            };
            self.still_promised(span.first)?;
            if error == ArchiveError::Closed || moved.elapsed() >= PATIENCE {
                return Err(StoreError::Unavailable(error.to_string()));
            }
            if let Ok(Ok(())) = timeout(LOOK_AGAIN, hole.changed()).await {
                moved = Instant::now();
            }
        }
    }

    fn still_promised(&self, next: Revision) -> Result<(), StoreError> {
        let anchor = self.state.load().tables.meta().anchor.revision;
        match anchor < next {
            true => Ok(()),
            false => Err(StoreError::Unavailable(format!(
                "a reset dropped the history up to {anchor} while it was read"
            ))),
        }
    }
}

/// Every row that goes along.
pub(in crate::store) fn send_rows(
    tables: &Tables,
    sender: &mut PartSender,
) -> Result<(), StoreError> {
    let mut rows = tables.rows().map(|row| Row::clone(row)).filter_map(Part::of_row);
    rows.try_for_each(|row| sender.push(row))
}
