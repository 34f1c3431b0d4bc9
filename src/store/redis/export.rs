//! Exports: a whole state at one instant, out of a Redis that goes on being
//! written to and keeps no old versions.
//!
//! First every row is read, some at a time, while they change: what comes of
//! that is of no one instant. But each change has its event, and the events
//! since the beginning name the rows that may be out of date. Those are read
//! again, until what is left is so little that one script reads it: the state
//! is then as it was in that instant. Answers to requests have no events, but
//! the time at which they were given, and go along. The rows are held in memory
//! meanwhile; the history, which does not change, is read while it is handed
//! on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio::time::Instant;

use super::RedisStore;
use super::connection::RedisConnection;
use super::error::RedisFault;
use super::export_pages::{Changed, Cursor, PAGE_BYTES, Page, Pages, Weighed};
use super::retry::read_by;
use super::shared::RedisShared;
use crate::machine::{ClusterMs, Meta, Revision, RowId, index};
use crate::store::StoreError;
use crate::store::export::{Export, Part};

/// How long one page may take, with all attempts: about what a failover takes
/// until another primary answers.
const PAGE_WAIT: Duration = Duration::from_secs(30);

/// How often a reset may make the export begin anew.
const RESETS_MAX: usize = 5;

/// Rows handed on at a time, if they are small.
const PARTS_MAX: usize = 1_000;

/// Rows in the order of their ids, so that equal states make equal exports.
type Rows = BTreeMap<RowId, Weighed>;

impl RedisStore {
    /// See [`crate::store::Store::export`]. `deadline` is for the first answer:
    /// how much there is to read decides how many there will be.
    pub(super) async fn read_out(&self, deadline: Instant) -> Result<Export, StoreError> {
        let source =
            Source { link: self.link.clone(), shared: self.shared.clone(), pages: Pages::new() };
        let mut first_by = Some(deadline);
        for _ in 0..RESETS_MAX {
            if let Some((meta, rows)) = source.rows(first_by.take()).await? {
                return Ok(handed_on(source, meta, rows));
            }
        }
        let why = "the state was reset again and again while it was read";
        Err(StoreError::Unavailable(why.into()))
    }
}

/// Where pages come from.
struct Source {
    link: Arc<RedisConnection>,
    shared: Arc<RedisShared>,
    pages: Pages,
}

impl Source {
    /// Every row, and the position of which they are; nothing where a reset
    /// came in between. The first answer comes by `first_by`.
    async fn rows(&self, first_by: Option<Instant>) -> Result<Option<(Meta, Rows)>, StoreError> {
        let read = || self.pages.position(&self.link);
        let begun = read_by(&self.shared, first_by.unwrap_or_else(soon), read).await?;
        let (mut rows, mut cursor) = (Rows::new(), None);
        loop {
            let read = || self.pages.rows(&self.link, cursor.as_deref());
            let (some, next) = read_by(&self.shared, soon(), read).await?.found;
            rows.extend(some.into_iter().map(|row| (row.0.id(), row)));
            if next.is_none() {
                break;
            }
            cursor = next;
        }
        let mut seen = begun.meta.revision;
        let (mut version, mut requests) = (begun.version, Requests::new());
        loop {
            let read = || self.pages.changed(&self.link, seen, &requests.cursor);
            let page = read_by(&self.shared, soon(), read).await?;
            // Reset, or not the state that it was.
            if page.meta.anchor.revision > begun.meta.revision || page.version < version {
                return Ok(None);
            }
            (seen, version) = (page.found.last, page.version);
            let whole = requests.go_on(&page);
            let Page { meta, found, .. } = page;
            let (oldest, count) = (found.oldest.clone(), found.count);
            catch_up(&mut rows, found);
            if whole {
                forget(&mut rows, oldest);
                return counted(&rows, count).map(|()| Some((meta, rows)));
            }
        }
    }
}

/// How far requests were read: again and again, each time from where the time
/// before it had begun.
struct Requests {
    cursor: Cursor,
    /// Commits and time when this pass had seen all events.
    begun: Option<(u64, Cursor)>,
}

impl Requests {
    fn new() -> Requests {
        Requests { cursor: Cursor::since(ClusterMs::default()), begun: None }
    }

    /// Goes on behind `page`; says whether all that was read is of its instant.
    fn go_on(&mut self, page: &Page<Changed>) -> bool {
        if !page.found.all {
            return false;
        }
        let now = Cursor::since(page.meta.clock);
        let (version, next) = self.begun.get_or_insert((page.version, now)).clone();
        match &page.found.upto {
            Some(upto) => self.cursor = upto.clone(),
            // Nothing was committed since the pass began.
            None if version == page.version => return true,
            None => *self = Requests { cursor: next, begun: None },
        }
        false
    }
}

/// The parts: rows from memory, events from Redis.
fn handed_on(source: Source, meta: Meta, rows: Rows) -> Export {
    let reading = Reading {
        source,
        rows: rows.into_values().collect(),
        next: meta.anchor.revision.next(),
        last: meta.revision,
    };
    let parts = stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.more().await {
            Ok(parts) if parts.is_empty() => None,
            Ok(parts) => Some((Ok(parts), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Export { meta, parts: parts.boxed() }
}

/// An export that is under way.
struct Reading {
    source: Source,
    rows: VecDeque<Weighed>,
    next: Revision,
    last: Revision,
}

impl Reading {
    /// The next parts; none at the end.
    async fn more(&mut self) -> Result<Vec<Part>, StoreError> {
        if !self.rows.is_empty() {
            return Ok(self.some_rows());
        }
        if self.next > self.last {
            return Ok(Vec::new());
        }
        let Source { link, shared, pages } = &self.source;
        let read = || pages.events(link, self.next);
        let mut events = read_by(shared, soon(), read).await?.found;
        events.retain(|event| event.revision <= self.last);
        if events.first().is_none_or(|event| event.revision != self.next) {
            let why = "the state was reset while its history was read; export it again";
            return Err(StoreError::Unavailable(why.into()));
        }
        self.next = events.last().map_or(self.next, |event| event.revision.next());
        Ok(events.into_iter().map(Part::Event).collect())
    }

    fn some_rows(&mut self) -> Vec<Part> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while parts.len() < PARTS_MAX && bytes < PAGE_BYTES {
            let Some((row, weight)) = self.rows.pop_front() else { break };
            parts.extend(Part::of_row(row));
            bytes += weight;
        }
        parts
    }
}

fn soon() -> Instant {
    Instant::now() + PAGE_WAIT
}

/// Puts rows that were touched in the place of older ones, and drops those
/// that are gone; of cancellations, all that are under way come each time.
fn catch_up(rows: &mut Rows, changed: Changed) {
    rows.retain(|id, _| !matches!(id, RowId::Cancellation(_)));
    for (id, row) in changed.rows {
        match row {
            Some(row) => drop(rows.insert(id, row)),
            None => drop(rows.remove(&id)),
        }
    }
}

/// Drops the requests that were forgotten meanwhile: they go in the order of
/// their entries.
fn forget(rows: &mut Rows, oldest: Option<Vec<u8>>) {
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

/// What was read must be all there is: an index may have lost names.
fn counted(rows: &Rows, count: usize) -> Result<(), StoreError> {
    if rows.len() == count {
        return Ok(());
    }
    let why = format!("it has {count} rows, and reading them gave {}", rows.len());
    Err(RedisFault::Damaged(why).unsent())
}
