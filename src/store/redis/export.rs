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
use super::error::Fault;
use super::layout::Place;
use super::link::Link;
use super::pages::{Changed, Cursor, PAGE_BYTES, Page, Pages, TABLES, Weighed};
use super::retry::read_by;
use super::shared::Shared;
use crate::codec::StateRecord;
use crate::machine::{ClusterMs, Meta, Revision, Text};
use crate::store::StoreError;
use crate::store::transfer::{Export, Part};

/// How long one page may take, with all attempts: about what a failover takes
/// until another primary answers.
const PAGE_WAIT: Duration = Duration::from_secs(30);

/// How often a reset may make the export begin anew.
const RESETS_MAX: usize = 5;

/// Rows handed on at a time, if they are small.
const PARTS_MAX: usize = 1_000;

/// Rows in the order of the tables in memory, so that equal states make equal
/// exports.
type Rows = BTreeMap<Name, Weighed>;

/// Table, name, and a step's number.
type Name = (Place, Text, u64);

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
    link: Arc<Link>,
    shared: Arc<Shared>,
    pages: Pages,
}

impl Source {
    /// Every row, and the position of which they are; nothing where a reset
    /// came in between. The first answer comes by `first_by`.
    async fn rows(&self, first_by: Option<Instant>) -> Result<Option<(Meta, Rows)>, StoreError> {
        let read = || self.pages.position(&self.link);
        let begun = read_by(&self.shared, first_by.unwrap_or_else(soon), read).await?;
        let mut rows = Rows::new();
        for table in TABLES {
            let mut low = None;
            loop {
                let read = || self.pages.rows(&self.link, table, low.as_deref());
                let (some, next) = read_by(&self.shared, soon(), read).await?.found;
                some.into_iter().for_each(|row| put(&mut rows, row));
                if next.is_none() {
                    break;
                }
                low = next;
            }
        }
        let mut seen = begun.meta.revision;
        let (mut version, mut requests) = (begun.version, Requests::default());
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
            catch_up(&mut rows, found)?;
            if whole {
                forget(&mut rows, oldest);
                return counted(&rows, count).map(|()| Some((meta, rows)));
            }
        }
    }
}

/// How far requests were read: again and again, each time from where the time
/// before it had begun.
#[derive(Default)]
struct Requests {
    cursor: Cursor,
    /// Commits and time when this pass had seen all events.
    begun: Option<(u64, Cursor)>,
}

impl Requests {
    /// Goes on behind `page`; says whether all that was read is of its instant.
    fn go_on(&mut self, page: &Page<Changed>) -> bool {
        if !page.found.all {
            return false;
        }
        let now = Cursor { at: page.meta.clock, name: None };
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
            parts.push(Part::Row(row));
            bytes += weight;
        }
        parts
    }
}

fn soon() -> Instant {
    Instant::now() + PAGE_WAIT
}

/// Puts rows that were touched in the place of older ones, and drops those
/// that are gone.
fn catch_up(rows: &mut Rows, changed: Changed) -> Result<(), StoreError> {
    for (place, field, row) in changed.rows {
        match row {
            Some(row) => put(rows, row),
            // Steps go with a reset alone, so that a field is a name.
            None => {
                let name =
                    String::from_utf8(field).map_err(|_| damaged("a name that is no text"))?;
                rows.remove(&(place, name.into(), 0));
            }
        }
    }
    Ok(())
}

/// Drops the requests that were forgotten meanwhile: they go in the order in
/// which they were answered.
fn forget(rows: &mut Rows, oldest: Option<(ClusterMs, Vec<u8>)>) {
    rows.retain(|(place, name, _), (row, _)| match row {
        StateRecord::Request(_, row) if *place == Place::Request => match &oldest {
            Some((at, oldest)) => (row.at, name.as_bytes()) >= (*at, &oldest[..]),
            None => false,
        },
        _ => true,
    });
}

/// What was read must be all there is: an index may have lost names.
fn counted(rows: &Rows, count: usize) -> Result<(), StoreError> {
    if rows.len() == count {
        return Ok(());
    }
    Err(damaged(&format!("its tables have {count} rows, and its indexes lead to {}", rows.len())))
}

fn put(rows: &mut Rows, row: Weighed) {
    let name = match &row.0 {
        StateRecord::Key(key, _) => (Place::Kv, key.clone(), 0),
        StateRecord::Lease(id, _) => (Place::Lease, id.clone(), 0),
        StateRecord::Run(run) => (Place::Run, run.run_id.clone(), 0),
        StateRecord::Step(run_id, step, _) => (Place::Step, run_id.clone(), *step),
        StateRecord::Session(id, _) => (Place::Session, id.clone(), 0),
        StateRecord::Request(key, _) => (Place::Request, key.clone(), 0),
        // No hash of rows holds any.
        StateRecord::Meta(_) | StateRecord::Origin(..) | StateRecord::Answer(..) => return,
    };
    rows.insert(name, row);
}

fn damaged(what: &str) -> StoreError {
    Fault::Damaged(what.to_owned()).unsent()
}
