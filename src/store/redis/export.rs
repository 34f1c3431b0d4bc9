//! Exports: a whole state at one instant, out of a Redis that goes on being
//! written to and keeps no old versions.
//!
//! First every row is read, some at a time, while they change: what comes of
//! that is of no one instant. But each change has its event, and the events
//! since the beginning name the rows that may be out of date. Those are read
//! again, until what is left is so little that one script reads it: the state
//! is then as it was in that instant. The rows are held in memory meanwhile;
//! the history, which does not change, is read while it is handed on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::time::Instant;

use super::RedisStore;
use super::error::Fault;
use super::fetch::{Changed, Fetch, Fetched};
use super::layout::Place;
use super::link::Link;
use crate::codec::{self, StateRecord};
use crate::machine::{Meta, Revision, Text};
use crate::store::StoreError;
use crate::store::transfer::{Export, Part};

/// Rows or events of one round trip: some milliseconds of Redis's time.
const PAGE: usize = 1_000;

/// How often a reset may make the export begin anew.
const RESETS_MAX: usize = 5;

/// The hashes that hold rows.
const TABLES: [Place; 6] =
    [Place::Kv, Place::Lease, Place::Run, Place::Step, Place::Session, Place::Request];

/// Rows in the order of the tables in memory, so that equal states make equal
/// exports.
type Rows = BTreeMap<Name, StateRecord>;

/// A field of a hash and its value.
type Field = (Vec<u8>, Vec<u8>);

/// Table, name, and a step's number.
type Name = (Place, Text, u64);

impl RedisStore {
    /// See [`crate::store::Store::export`]; `deadline` is for each round trip.
    pub(super) async fn read_out(&self, deadline: Instant) -> Result<Export, StoreError> {
        for _ in 0..RESETS_MAX {
            if let Some((meta, rows)) = self.rows(deadline).await? {
                return Ok(self.handed_on(meta, rows));
            }
        }
        let why = "the state was reset again and again while it was read";
        Err(StoreError::Unavailable(why.into()))
    }

    /// Every row, and the position of which they are; nothing where a reset
    /// came in between.
    async fn rows(&self, deadline: Instant) -> Result<Option<(Meta, Rows)>, StoreError> {
        let begun = self.read(&Fetch::default(), self.shared.given_now(), deadline).await?.meta;
        let mut rows = Rows::new();
        for place in TABLES {
            self.scan(place, &mut rows).await.map_err(|fault| fault.unsent())?;
        }
        let (mut seen, mut since) = (begun.revision, begun.clock);
        loop {
            let mut fetch = Fetch::default();
            fetch.changed(seen, since, PAGE);
            let fetched = self.read(&fetch, self.shared.given_now(), deadline).await?;
            let Fetched { meta, mut found, .. } = fetched;
            if meta.anchor.revision > begun.revision {
                return Ok(None);
            }
            let found = found.pop().ok_or_else(|| damaged("nothing about changes"))?;
            let changed = found.changed().map_err(|fault| fault.unsent())?;
            (seen, since) = (changed.last, meta.clock);
            let all = changed.all;
            catch_up(&mut rows, changed)?;
            if all {
                return Ok(Some((meta, rows)));
            }
        }
    }

    /// Every row of one table that is there all the time, and some others.
    async fn scan(&self, place: Place, rows: &mut Rows) -> Result<(), Fault> {
        let mut connection = self.link.connection().await?;
        let mut cursor = 0;
        loop {
            let (next, found): (u64, Vec<Field>) = redis::cmd("HSCAN")
                .arg(self.keys.of(place))
                .arg(cursor)
                .arg("COUNT")
                .arg(PAGE)
                .query_async(&mut connection)
                .await
                .map_err(|error| Fault::of(&error))?;
            for (_, bytes) in found {
                let record = codec::decode_state_record(&bytes.into());
                let record = record.map_err(|error| Fault::Damaged(error.to_string()))?;
                put(rows, record);
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// The parts: rows from memory, events from Redis.
    fn handed_on(&self, meta: Meta, rows: Rows) -> Export {
        let reading = Reading {
            link: self.link.clone(),
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
}

/// An export that is under way.
struct Reading {
    link: Arc<Link>,
    rows: VecDeque<StateRecord>,
    next: Revision,
    last: Revision,
}

impl Reading {
    /// The next parts; none at the end.
    async fn more(&mut self) -> Result<Vec<Part>, StoreError> {
        if !self.rows.is_empty() {
            let some = self.rows.len().min(PAGE);
            return Ok(self.rows.drain(..some).map(Part::Row).collect());
        }
        if self.next > self.last {
            return Ok(Vec::new());
        }
        let mut fetch = Fetch::default();
        fetch.events(self.next, PAGE);
        let fetched = self.link.read(&fetch, None).await;
        let found = fetched.map_err(|fault| fault.unsent())?.found.pop();
        let events = found.map(|found| found.events()).transpose();
        let mut events = events.map_err(|fault| fault.unsent())?.unwrap_or_default();
        events.retain(|event| event.revision <= self.last);
        if events.first().is_none_or(|event| event.revision != self.next) {
            let why = "the state was reset while its history was read; export it again";
            return Err(StoreError::Unavailable(why.into()));
        }
        self.next = events.last().map_or(self.next, |event| event.revision.next());
        Ok(events.into_iter().map(Part::Event).collect())
    }
}

/// Puts rows that were touched in the place of older ones, and drops those
/// that are gone.
fn catch_up(rows: &mut Rows, changed: Changed) -> Result<(), StoreError> {
    for (number, field, row) in changed.rows {
        let place = TABLES.into_iter().find(|place| place.number() == number);
        let place = place.ok_or_else(|| damaged("a row of no table"))?;
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
    // Requests are forgotten in the order in which they were answered.
    rows.retain(|(place, name, _), row| match row {
        StateRecord::Request(_, row) if *place == Place::Request => match &changed.oldest {
            Some((at, oldest)) => (row.at, name.as_bytes()) >= (*at, &oldest[..]),
            None => false,
        },
        _ => true,
    });
    Ok(())
}

fn put(rows: &mut Rows, row: StateRecord) {
    let name = match &row {
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
