//! The whole state on its way out of a running cluster: the rows from tables
//! that never change, the history from memory and archive, read behind the
//! writes that go on.
//!
//! What is promised is fixed by the position that the export starts with. What
//! has not yet come out when a reset drops it is gone: the stream then ends in
//! an error.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::archive::{ArchiveError, Span};
use super::history::History;
use super::snapshot_row;
use super::state::State;
use crate::codec::StateRecord;
use crate::machine::{Chain, Meta, Revision};
use crate::store::StoreError;
use crate::store::tables::Tables;
use crate::store::transfer::{Export, Part};

/// Rows given out at once.
const PAGE_ROWS: usize = 256;
/// Pages of rows read ahead of whoever takes them.
const PAGES_AHEAD: usize = 4;
/// About how many bytes of events are given out at once.
const PAGE_BYTES: usize = 1 << 20;
/// How long the archive may go without moving while it lacks what is wanted. It
/// has that from peers, of whom one may be restarting.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is missing is looked for again this often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

type Parts = Result<Vec<Part>, StoreError>;

/// The state that `tables` hold, with the history that `history` keeps of it.
pub(super) fn export(tables: Tables, history: History, state: Arc<State>) -> Export {
    let meta = tables.meta().clone();
    let events = events(meta.clone(), history, state);
    Export { meta, parts: rows(tables).chain(events).boxed() }
}

/// Every row that goes along, read on a thread of its own: some states take
/// seconds to walk.
pub(super) fn rows(tables: Tables) -> BoxStream<'static, Parts> {
    let (pages, given) = mpsc::channel(PAGES_AHEAD);
    spawn_blocking(move || {
        let mut page = Vec::new();
        for record in tables.rows().filter_map(snapshot_row::record).filter(goes_along) {
            page.push(Part::Row(record));
            if page.len() == PAGE_ROWS && pages.blocking_send(Ok(std::mem::take(&mut page))).is_err()
            {
                return;
            }
        }
        if !page.is_empty() {
            // Whoever asked may have gone.
            let _ = pages.blocking_send(Ok(page));
        }
    });
    stream::unfold(given, |mut given| async { Some((given.recv().await?, given)) }).boxed()
}

/// Whether a row is of the state, and not of a node's talk with others.
fn goes_along(record: &StateRecord) -> bool {
    match record {
        StateRecord::Key(..)
        | StateRecord::Lease(..)
        | StateRecord::Run(..)
        | StateRecord::Step(..)
        | StateRecord::Session(..)
        | StateRecord::Request(..) => true,
        StateRecord::Meta(..) | StateRecord::Origin(..) | StateRecord::Answer(..) => false,
    }
}

/// What of the history is still to come.
struct Rest {
    span: Span,
    /// The chain value that the next event follows.
    before: Chain,
    /// The chain value that the last one must have.
    head: Chain,
    history: History,
    state: Arc<State>,
}

fn events(meta: Meta, history: History, state: Arc<State>) -> BoxStream<'static, Parts> {
    let span = Span { first: meta.anchor.revision.next(), last: meta.revision };
    let rest = Rest { span, before: meta.anchor.chain, head: meta.chain, history, state };
    stream::try_unfold(rest, |mut rest| async {
        match rest.span.first <= rest.span.last {
            true => rest.next().await.map(|page| Some((page, rest))),
            false => Ok(None),
        }
    })
    .boxed()
}

impl Rest {
    /// The next events; waits for what the archive is about to fetch.
    async fn next(&mut self) -> Parts {
        let mut hole = self.history.archive().hole();
        let mut moved = Instant::now();
        loop {
            let error = match self.history.range_up(self.span, PAGE_BYTES).await {
                Ok(run) => return self.take(run),
                Err(error) => error,
            };
            self.still_promised()?;
            if error == ArchiveError::Closed || moved.elapsed() >= PATIENCE {
                return Err(StoreError::Unavailable(error.to_string()));
            }
            if let Ok(Ok(())) = timeout(LOOK_AGAIN, hole.changed()).await {
                moved = Instant::now();
            }
        }
    }

    fn take(&mut self, run: super::archive::Run) -> Parts {
        let whole = run.span().filter(|span| {
            span.first == self.span.first && run.before == self.before && run.is_linked()
        });
        let ends = |span: &Span| span.last < self.span.last || run.last_chain() == self.head;
        let Some(span) = whole.filter(ends) else {
            let first = self.span.first;
            return Err(StoreError::Storage(format!("the history from {first} does not link up")));
        };
        self.span.first = span.last.next();
        self.before = run.last_chain();
        Ok(run.events.into_iter().map(Part::Event).collect())
    }

    fn still_promised(&self) -> Result<(), StoreError> {
        let anchor: Revision = self.state.load().tables.meta().anchor.revision;
        match anchor < self.span.first {
            true => Ok(()),
            false => Err(StoreError::Unavailable(format!(
                "a reset dropped the history up to {anchor} while it was read"
            ))),
        }
    }
}
