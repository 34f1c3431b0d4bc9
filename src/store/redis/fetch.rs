//! Fetching: what is to be read from Redis, as the arguments of one script
//! (`fetch.lua`), and what it found. One request is one round trip and one
//! instant.

use bytes::Bytes;
use redis::Value;

use super::entry::{By, revision_decimal};
use super::error::RedisFault;
use super::layout::KeyPlace;
use crate::codec::{self, StateRecord};
use crate::machine::index::{self, LOOKS_MAX, Search};
use crate::machine::view::{ChangeFilter, HistoryFilter, Page};
use crate::machine::{ClusterMs, Event, Meta, Revision, Row, RowId, Text};

/// Stands for the present, which Redis tells, in searches that were made before
/// anything was read: from the state's clock on, up to the time. It is no time
/// that a deadline can have.
pub const PRESENT: ClusterMs = ClusterMs(u64::MAX - 1);

/// Requests, in the order in which they are answered.
#[derive(Clone, Debug, Default)]
pub struct Fetch {
    args: Vec<Vec<u8>>,
}

/// What was read, all of one instant.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The time, by the clock that judges deadlines.
    pub now: ClusterMs,
    /// Commits so far: the version of everything that was read.
    pub version: u64,
    /// The id of the last of them.
    pub last: String,
    pub meta: Meta,
    /// A deadline lies between the state's own clock and `now`.
    pub late: bool,
    /// It is this sidecar's turn, and others may wait for it.
    pub mine: bool,
    /// Commits that this sidecar has seen are no longer there.
    pub astray: bool,
    /// One for each request.
    pub found: Vec<Value>,
}

/// What became of a fetch.
#[derive(Debug)]
pub enum Reading {
    Fetched(Box<Fetched>),
    /// It is another sidecar's turn.
    Wait,
    /// The rows are more than was to be taken.
    Much,
}

impl Fetch {
    pub fn args(&self) -> &[Vec<u8>] {
        &self.args
    }

    /// Rows that lie at one place.
    pub fn rows(&mut self, place: KeyPlace, ids: &[&RowId]) {
        let ids = ids.iter().map(|id| id.to_bytes()).collect();
        self.text("rows").number(place.number()).list(ids);
    }

    /// What a search finds, so many at most, with so many bytes of rows.
    pub fn search(&mut self, search: &Search, page: Page) {
        let (rows, entries) = match KeyPlace::of_entry(&search.prefixes[0]) {
            KeyPlace::KeptEntry => (KeyPlace::Kept, KeyPlace::KeptEntry),
            entries => (KeyPlace::Row, entries),
        };
        let looks = page.rows.saturating_mul(search.prefixes.len()).saturating_add(LOOKS_MAX);
        self.walk([rows, entries], search, looks, page);
    }

    /// Events before a revision, newest first.
    pub fn history(&mut self, filter: &HistoryFilter, before: Option<Revision>, page: Page) {
        let before = before.map(readable);
        // The subject has the fewest events, mostly, and the kind the most.
        let wanted = [
            filter.subject.as_deref().map(By::Subject),
            filter.actor.as_deref().map(By::Actor),
            filter.action.map(By::Action),
        ];
        let wanted: Vec<_> = wanted.into_iter().flatten().collect();
        if wanted.is_empty() {
            // Nothing has the id 0; below it there is none.
            let from = before.map(|before| before.0.saturating_sub(1).to_string());
            let from = from.unwrap_or_else(|| "+".into());
            return self.events("XREVRANGE", &from, "-", page, None);
        }
        let until = before.map(revision_decimal).map(String::into_bytes);
        self.events_by(&wanted, Vec::new(), until, page);
    }

    /// Changes after a revision, oldest first: of each kind, where there are
    /// several requests.
    pub fn changes(&mut self, filter: &ChangeFilter, after: Revision, page: Page) {
        let after = readable(after);
        let subject = match filter {
            ChangeFilter::Prefix(prefix) => {
                return self.events("XRANGE", &format!("({after}"), "+", page, Some(prefix));
            }
            ChangeFilter::Key(key) => Some(By::Subject(key)),
            ChangeFilter::Grants => None,
        };
        let from = revision_decimal(after.next()).into_bytes();
        for action in filter.actions() {
            let wanted: Vec<_> = subject.into_iter().chain([By::Action(*action)]).collect();
            self.events_by(&wanted, from.clone(), None, page);
        }
    }

    fn events(&mut self, command: &str, from: &str, to: &str, page: Page, prefix: Option<&Text>) {
        self.text("events").text(command).text(from).text(to);
        self.number(page.rows).number(page.bytes);
        self.bound(prefix.map(|prefix| prefix.as_bytes()));
    }

    /// Events that have all of this, in the order of their revisions: newest first
    /// where they end somewhere.
    fn events_by(&mut self, by: &[By<'_>], from: Vec<u8>, until: Option<Vec<u8>>, page: Page) {
        let prefixes = by.iter().map(|by| by.prefix()).collect();
        let reverse = from.is_empty();
        let search = Search { prefixes, rank_bytes: 0, from, until, reverse, limit: page.rows };
        self.walk([KeyPlace::Event, KeyPlace::EventBy], &search, usize::MAX, page);
    }

    fn walk(
        &mut self,
        [values, entries]: [KeyPlace; 2],
        search: &Search,
        looks: usize,
        page: Page,
    ) {
        self.text("search").number(values.number()).number(entries.number());
        self.bound(Some(&search.from)).bound(search.until.as_deref());
        self.number(u8::from(search.reverse)).number(page.rows).number(looks);
        self.number(search.rank_bytes).number(page.bytes).list(search.prefixes.clone());
    }

    /// The beginnings of the entries that have a deadline.
    pub fn deadlines() -> Vec<Vec<u8>> {
        index::deadlines(PRESENT).into_iter().flat_map(|search| search.prefixes).collect()
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.push(text.as_bytes().to_vec())
    }

    fn number(&mut self, number: impl std::fmt::Display) -> &mut Self {
        self.push(number.to_string().into_bytes())
    }

    fn bound(&mut self, bound: Option<&[u8]>) -> &mut Self {
        self.push(match bound {
            None => b"n".to_vec(),
            Some(bound) if *bound == after(PRESENT) => b"p".to_vec(),
            Some(bound) => [b"b", bound].concat(),
        })
    }

    fn list(&mut self, list: Vec<Vec<u8>>) -> &mut Self {
        self.number(list.len());
        self.args.extend(list);
        self
    }

    fn push(&mut self, arg: Vec<u8>) -> &mut Self {
        self.args.push(arg);
        self
    }
}

impl Fetched {
    /// Reads what `fetch.lua` gave.
    pub fn read(value: Value) -> Result<Reading, RedisFault> {
        let parts: [Value; 8] = match list(value)?.try_into() {
            Ok(parts) => parts,
            Err(parts) => return word(&parts),
        };
        let [now, version, last, state, late, mine, astray, found] = parts;
        let now: u64 = redis::from_redis_value(now).map_err(strange)?;
        Ok(Reading::Fetched(Box::new(Fetched {
            now: ClusterMs(now),
            version: redis::from_redis_value(version).map_err(strange)?,
            last: redis::from_redis_value(last).map_err(strange)?,
            meta: position(state)?,
            late: redis::from_redis_value(late).map_err(strange)?,
            mine: redis::from_redis_value(mine).map_err(strange)?,
            astray: redis::from_redis_value(astray).map_err(strange)?,
            found: list(found)?,
        })))
    }

    /// What a search's bound stands for where it was the present.
    pub fn bounds(&self, search: &Search) -> (Vec<u8>, Option<Vec<u8>>) {
        let real = |bound: &Vec<u8>, time: ClusterMs| match *bound == after(PRESENT) {
            true => after(time),
            false => bound.clone(),
        };
        let until = search.until.as_ref().map(|until| real(until, self.now));
        (real(&search.from, self.meta.clock), until)
    }

    /// The events that all requests found.
    pub fn events(self) -> Result<Vec<Event>, RedisFault> {
        let mut found = Vec::new();
        for part in self.found {
            let [_, _, part] = fixed(part)?;
            found.extend(events(part)?);
        }
        Ok(found)
    }
}

/// The first rank behind all that begin with this time.
fn after(time: ClusterMs) -> Vec<u8> {
    time.0.saturating_add(1).to_be_bytes().to_vec()
}

/// An answer that is one word.
fn word(parts: &[Value]) -> Result<Reading, RedisFault> {
    match parts {
        [Value::BulkString(word)] if word == b"wait" => Ok(Reading::Wait),
        [Value::BulkString(word)] if word == b"much" => Ok(Reading::Much),
        _ => Err(strange("an answer of another length")),
    }
}

/// The state's position; its beginning where nothing was stored.
pub fn position(value: Value) -> Result<Meta, RedisFault> {
    let Some(bytes) = bytes(value)? else { return Ok(Meta::default()) };
    match codec::decode_state_record(&bytes).map_err(strange)? {
        StateRecord::Meta(meta) => Ok(meta),
        StateRecord::Row(row) => Err(strange(format!("{:?} is no position of a state", row.id()))),
    }
}

/// The row, if there is one, and how many bytes it takes.
pub fn row(value: Value) -> Result<Option<(Row, usize)>, RedisFault> {
    let Some(bytes) = bytes(value)? else { return Ok(None) };
    match codec::decode_state_record(&bytes).map_err(strange)? {
        StateRecord::Row(row) => Ok(Some((row, bytes.len()))),
        StateRecord::Meta(_) => Err(strange("a position of a state is no row")),
    }
}

pub fn events(value: Value) -> Result<Vec<Event>, RedisFault> {
    let event = |value| {
        let bytes = bytes(value)?.ok_or_else(|| strange("an event is missing"))?;
        codec::decode_event(&bytes).map_err(strange)
    };
    list(value)?.into_iter().map(event).collect()
}

pub fn bytes(value: Value) -> Result<Option<Bytes>, RedisFault> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        other => Err(strange(format!("{other:?} is no row"))),
    }
}

pub fn list(value: Value) -> Result<Vec<Value>, RedisFault> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(strange(format!("{other:?} is no list"))),
    }
}

/// A list of so many.
pub fn fixed<const N: usize>(value: Value) -> Result<[Value; N], RedisFault> {
    list(value)?.try_into().map_err(|_| strange("a list of another length"))
}

/// A revision as scripts can count with it: their numbers are doubles. A
/// million changes a second reach the last one in 285 years.
fn readable(revision: Revision) -> Revision {
    const LAST: Revision = Revision((1 << 53) - 1);
    revision.min(LAST)
}

/// Redis holds what this program does not write.
pub fn strange(what: impl std::fmt::Display) -> RedisFault {
    RedisFault::Damaged(what.to_string())
}
