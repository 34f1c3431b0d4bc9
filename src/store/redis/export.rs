//! Exports: a whole state at one instant, from a Redis that is written to meanwhile
//! and keeps no old versions.
//!
//! First every row is read, page by page. The rows may change meanwhile, so the
//! result does not belong to one instant. But every change has an event, and the
//! events since the beginning name the rows that may be out of date. These are read
//! again, until so few are left that one script reads them all; then the rows are
//! as they were at that instant. Remembered requests have no events, but they can be
//! read in the order of their times. The rows are kept in memory meanwhile. The
//! history does not change, so it is read only when it is handed to the caller.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio::time::Instant;

use super::connection::RedisConnection;
use super::error::RedisFault;
use super::export_pages::{
    ChangedRows, ExportPage, ExportPages, PAGE_BYTES, RequestCursor, SizedRow,
};
use super::retry::read_until;
use super::shared::RedisShared;
use crate::machine::{ClusterMs, Meta, Revision, RowId, index};
use crate::store::error::StoreError;
use crate::store::export::{Export, Part};

/// How long one page may take with all attempts. It is about as long as a failover
/// takes until another primary answers.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a reset may make the export start over.
const RESETS_MAX: usize = 5;

/// How many rows are handed to the caller at a time, if they are small.
const PARTS_MAX: usize = 1_000;

/// Rows in the order of their ids, so that equal states give equal exports.
type ExportedRows = BTreeMap<RowId, SizedRow>;

/// Exports the state; see [`crate::store::Store::export`]. `deadline` applies only to
/// the first answer, because the number of answers depends on the size of the state.
pub(super) async fn export(
    connection: &Arc<RedisConnection>,
    shared: &Arc<RedisShared>,
    deadline: Instant,
) -> Result<Export, StoreError> {
    let (connection, shared) = (connection.clone(), shared.clone());
    let source = RedisExportSource { connection, shared, pages: ExportPages::new() };
    let mut first_deadline = Some(deadline);
    for _ in 0..RESETS_MAX {
        if let Some((meta, rows)) = source.rows(first_deadline.take()).await? {
            return Ok(stream_parts(source, meta, rows));
        }
    }
    let why = "the state was reset again and again while it was read";
    Err(StoreError::Unavailable(why.into()))
}

/// Where the pages come from.
struct RedisExportSource {
    connection: Arc<RedisConnection>,
    shared: Arc<RedisShared>,
    pages: ExportPages,
}

impl RedisExportSource {
    /// Every row, and the position of the state that they belong to. `None` if the
    /// state was reset meanwhile. The first page must be read before
    /// `first_deadline`.
    async fn rows(
        &self,
        first_deadline: Option<Instant>,
    ) -> Result<Option<(Meta, ExportedRows)>, StoreError> {
        let read = || self.pages.position(&self.connection);
        let first_deadline = first_deadline.unwrap_or_else(page_deadline);
        let begun = read_until(&self.shared, first_deadline, read).await?;
        let (mut rows, mut cursor) = (ExportedRows::new(), None);
        loop {
            let read = || self.pages.rows(&self.connection, cursor.as_deref());
            let (page, next) = read_until(&self.shared, page_deadline(), read).await?.found;
            rows.extend(page.into_iter().map(|row| (row.0.id(), row)));
            if next.is_none() {
                break;
            }
            cursor = next;
        }
        let mut seen = begun.meta.revision;
        let (mut version, mut requests) = (begun.version, RequestPass::new());
        loop {
            let read = || self.pages.changed(&self.connection, seen, &requests.cursor);
            let page = read_until(&self.shared, page_deadline(), read).await?;
            // The state was reset, or Redis has lost commits.
            if page.meta.anchor.revision > begun.meta.revision || page.version < version {
                return Ok(None);
            }
            (seen, version) = (page.found.last, page.version);
            let complete = requests.advance(&page);
            let ExportPage { meta, found, .. } = page;
            let (oldest, count) = (found.oldest.clone(), found.count);
            apply_changes(&mut rows, found);
            if complete {
                drop_forgotten(&mut rows, oldest);
                return check_count(&rows, count).map(|()| Some((meta, rows)));
            }
        }
    }
}

/// A pass over the remembered requests. While there are commits, another pass
/// follows, which begins with the requests that are newer than the last pass.
struct RequestPass {
    cursor: RequestCursor,
    /// The number of commits when this pass had seen all events, and where the next
    /// pass begins.
    begun: Option<(u64, RequestCursor)>,
}

impl RequestPass {
    fn new() -> RequestPass {
        RequestPass { cursor: RequestCursor::since(ClusterMs::default()), begun: None }
    }

    /// Continues after `page`. Returns whether everything that was read belongs to the
    /// instant of that page.
    fn advance(&mut self, page: &ExportPage<ChangedRows>) -> bool {
        if !page.found.all {
            return false;
        }
        let now = RequestCursor::since(page.meta.clock);
        let (version, next) = self.begun.get_or_insert((page.version, now)).clone();
        match &page.found.next_request {
            Some(cursor) => self.cursor = cursor.clone(),
            // Nothing was committed since the pass began.
            None if version == page.version => return true,
            None => *self = RequestPass { cursor: next, begun: None },
        }
        false
    }
}

/// The parts of the export: rows from memory, then events from Redis.
fn stream_parts(source: RedisExportSource, meta: Meta, rows: ExportedRows) -> Export {
    let reading = RunningExport {
        source,
        rows: rows.into_values().collect(),
        next: meta.anchor.revision.next(),
        last: meta.revision,
    };
    let parts = stream::unfold(Some(reading), |export| async {
        let mut export = export?;
        match export.next_parts().await {
            Ok(parts) if parts.is_empty() => None,
            Ok(parts) => Some((Ok(parts), Some(export))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Export { meta, parts: parts.boxed() }
}

/// An export whose rows have been read and whose events are being read.
struct RunningExport {
    source: RedisExportSource,
    rows: VecDeque<SizedRow>,
    next: Revision,
    last: Revision,
}

impl RunningExport {
    /// The next parts, or none at the end.
    async fn next_parts(&mut self) -> Result<Vec<Part>, StoreError> {
        if !self.rows.is_empty() {
            return Ok(self.next_rows());
        }
        if self.next > self.last {
            return Ok(Vec::new());
        }
        let RedisExportSource { connection, shared, pages } = &self.source;
        let read = || pages.events(connection, self.next);
        let mut events = read_until(shared, page_deadline(), read).await?.found;
        events.retain(|event| event.revision <= self.last);
        if events.first().is_none_or(|event| event.revision != self.next) {
            let why = "the state was reset while its history was read; export it again";
            return Err(StoreError::Unavailable(why.into()));
        }
        self.next = events.last().map_or(self.next, |event| event.revision.next());
        Ok(events.into_iter().map(Part::Event).collect())
    }

    fn next_rows(&mut self) -> Vec<Part> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while parts.len() < PARTS_MAX && bytes < PAGE_BYTES {
            let Some((row, row_bytes)) = self.rows.pop_front() else { break };
            parts.extend(Part::of_row(row));
            bytes += row_bytes;
        }
        parts
    }
}

fn page_deadline() -> Instant {
    Instant::now() + PAGE_TIMEOUT
}

/// Replaces the rows that were changed and drops those that were removed. Every page
/// contains all cancellations that are under way.
fn apply_changes(rows: &mut ExportedRows, changed: ChangedRows) {
    rows.retain(|id, _| !matches!(id, RowId::Cancellation(_)));
    for (id, row) in changed.rows {
        match row {
            Some(row) => drop(rows.insert(id, row)),
            None => drop(rows.remove(&id)),
        }
    }
}

/// Drops the requests that were forgotten meanwhile. Requests are forgotten in the
/// order of their index entries.
fn drop_forgotten(rows: &mut ExportedRows, oldest: Option<Vec<u8>>) {
    rows.retain(|id, (row, _)| match id {
        RowId::Request(_) => {
            let entries = index::entries(row);
            oldest
                .as_ref()
                .is_some_and(|oldest| entries.iter().all(|entry| entry[..] >= oldest[..]))
        }
        _ => true,
    });
}

/// Checks that every row was read.
fn check_count(rows: &ExportedRows, count: usize) -> Result<(), StoreError> {
    if rows.len() == count {
        return Ok(());
    }
    let why = format!("it has {count} rows, and reading them gave {}", rows.len());
    Err(RedisFault::Damaged(why).unsent())
}
