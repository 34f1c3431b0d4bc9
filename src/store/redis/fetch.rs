//! Fetching: what is to be read, as the arguments of `fetch.lua`, and what that
//! script found. One fetch is one round trip, and everything that it finds belongs
//! to one instant.

use bytes::Bytes;
use redis::Value;

use super::error::RedisFault;
use super::event_entry::{EventProperty, revision_decimal};
use super::layout::RedisKey;
use crate::codec::{self, StateRecord};
use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::machine::index;
use crate::machine::page::Page;
use crate::machine::search::{SEEKS_MAX, Search};
use crate::machine::{ClusterMs, Event, Meta, Revision, Row, RowId, Text};

/// A placeholder for the time of the fetch, which is not known when a search is
/// made. As a search's lower bound, it stands for the state's clock. No deadline
/// can have this value.
pub const PRESENT: ClusterMs = ClusterMs(u64::MAX - 1);

/// What is to be read: requests, in the order in which they are answered.
#[derive(Clone, Debug, Default)]
pub struct Fetch {
    args: Vec<Vec<u8>>,
}

/// What was read at one instant.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The time of the fetch, by the clock that judges deadlines.
    pub now: ClusterMs,
    /// The number of commits so far. It is the version of everything that was read.
    pub version: u64,
    /// The id of the newest commit.
    pub last_commit: String,
    pub meta: Meta,
    /// A deadline lies between the state's own clock and `now`.
    pub deadline_passed: bool,
    /// It is this sidecar's turn, and others may be waiting for it.
    pub has_turn: bool,
    /// Redis has lost commits that this sidecar has seen.
    pub lost_commits: bool,
    /// One answer for each request.
    pub found: Vec<Value>,
}

/// The outcome of a fetch.
#[derive(Debug)]
pub enum FetchOutcome {
    Fetched(Box<Fetched>),
    /// It is another sidecar's turn to commit.
    NotOurTurn,
    /// The rows have more bytes than the caller accepts.
    TooLarge,
}

impl Fetch {
    pub fn args(&self) -> &[Vec<u8>] {
        &self.args
    }

    /// Requests rows that one key holds.
    pub fn rows(&mut self, key: RedisKey, ids: &[&RowId]) {
        let ids = ids.iter().map(|id| id.to_bytes()).collect();
        self.text("rows").number(key.number()).list(ids);
    }

    /// Requests what a search finds, within the limits of `page`.
    pub fn search(&mut self, search: &Search, page: Page) {
        let (rows, entries) = match RedisKey::of_entry(&search.prefixes[0]) {
            RedisKey::KeptEntry => (RedisKey::Kept, RedisKey::KeptEntry),
            // Among the ids of rows, those of one range are in one hash.
            RedisKey::Name => {
                let first = RowId::from_bytes(&search.from);
                (first.map_or(RedisKey::Row, |id| RedisKey::of_row(&id)), RedisKey::Name)
            }
            entries => (RedisKey::Row, entries),
        };
        let looks = page.rows.saturating_mul(search.prefixes.len()).saturating_add(SEEKS_MAX);
        self.walk([rows, entries], search, looks, page);
    }

    /// Requests events before a revision, newest first.
    pub fn history(&mut self, filter: &HistoryFilter, before: Option<Revision>, page: Page) {
        let before = before.map(clamped);
        // Usually a subject has the fewest events, and an action has the most.
        let wanted = [
            filter.subject.as_deref().map(EventProperty::Subject),
            filter.actor.as_deref().map(EventProperty::Actor),
            filter.action.map(EventProperty::Action),
        ];
        let wanted: Vec<_> = wanted.into_iter().flatten().collect();
        if wanted.is_empty() {
            // The end of the range is inclusive. There is no entry with the id 0.
            let from = before.map(|before| before.0.saturating_sub(1).to_string());
            let from = from.unwrap_or_else(|| "+".into());
            return self.events("XREVRANGE", &from, "-", page, None);
        }
        let until = before.map(revision_decimal).map(String::into_bytes);
        self.events_by(&wanted, Vec::new(), until, page);
    }

    /// Requests changes after a revision, oldest first. There may be one request
    /// for each action.
    pub fn changes(&mut self, filter: &ChangeFilter, after: Revision, page: Page) {
        let after = clamped(after);
        let subject = match filter {
            ChangeFilter::Prefix(prefix) => {
                return self.events("XRANGE", &format!("({after}"), "+", page, Some(prefix));
            }
            ChangeFilter::Key(key) => Some(EventProperty::Subject(key)),
            ChangeFilter::Grants => None,
        };
        let from = revision_decimal(after.next()).into_bytes();
        for action in filter.actions() {
            let action = EventProperty::Action(*action);
            let wanted: Vec<_> = subject.into_iter().chain([action]).collect();
            self.events_by(&wanted, from.clone(), None, page);
        }
    }

    fn events(&mut self, command: &str, from: &str, to: &str, page: Page, prefix: Option<&Text>) {
        self.text("events").text(command).text(from).text(to);
        self.number(page.rows).number(page.bytes);
        self.bound(prefix.map(|prefix| prefix.as_bytes()));
    }

    /// Requests events that have all these properties: oldest first if `from` is
    /// given, and otherwise newest first.
    fn events_by(
        &mut self,
        properties: &[EventProperty<'_>],
        from: Vec<u8>,
        until: Option<Vec<u8>>,
        page: Page,
    ) {
        let prefixes = properties.iter().map(|property| property.prefix()).collect();
        let reverse = from.is_empty();
        let search = Search { prefixes, rank_bytes: 0, from, until, reverse, limit: page.rows };
        self.walk([RedisKey::Event, RedisKey::EventBy], &search, usize::MAX, page);
    }

    fn walk(
        &mut self,
        [values, entries]: [RedisKey; 2],
        search: &Search,
        looks: usize,
        page: Page,
    ) {
        self.text("search").number(values.number()).number(entries.number());
        self.bound(Some(&search.from)).bound(search.until.as_deref());
        self.number(u8::from(search.reverse)).number(page.rows).number(looks);
        self.number(search.rank_bytes).number(page.bytes).list(search.prefixes.clone());
    }

    /// The beginnings of the index entries that contain a deadline.
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
    /// Reads what `fetch.lua` returned.
    pub fn read(value: Value) -> Result<FetchOutcome, RedisFault> {
        let parts: [Value; 8] = match list(value)?.try_into() {
            Ok(parts) => parts,
            Err(parts) => return word(&parts),
        };
        let [now, version, last, state, passed, turn, lost, found] = parts;
        let now: u64 = redis::from_redis_value(now).map_err(unexpected)?;
        Ok(FetchOutcome::Fetched(Box::new(Fetched {
            now: ClusterMs(now),
            version: redis::from_redis_value(version).map_err(unexpected)?,
            last_commit: redis::from_redis_value(last).map_err(unexpected)?,
            meta: position(state)?,
            deadline_passed: redis::from_redis_value(passed).map_err(unexpected)?,
            has_turn: redis::from_redis_value(turn).map_err(unexpected)?,
            lost_commits: redis::from_redis_value(lost).map_err(unexpected)?,
            found: list(found)?,
        })))
    }

    /// The bounds of a search, with [`PRESENT`] replaced by what it stood for.
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

/// The first rank after all ranks that begin with this time.
fn after(time: ClusterMs) -> Vec<u8> {
    time.0.saturating_add(1).to_be_bytes().to_vec()
}

/// Reads an answer that consists of one word.
fn word(parts: &[Value]) -> Result<FetchOutcome, RedisFault> {
    match parts {
        [Value::BulkString(word)] if word == b"wait" => Ok(FetchOutcome::NotOurTurn),
        [Value::BulkString(word)] if word == b"too large" => Ok(FetchOutcome::TooLarge),
        _ => Err(unexpected("an answer of another length")),
    }
}

/// The state's position, which is the beginning if nothing was stored.
pub fn position(value: Value) -> Result<Meta, RedisFault> {
    let Some(bytes) = bytes(value)? else { return Ok(Meta::default()) };
    match codec::decode_state_record(&bytes).map_err(unexpected)? {
        StateRecord::Meta(meta) => Ok(meta),
        StateRecord::Row(row) => {
            Err(unexpected(format!("{:?} is not the position of a state", row.id())))
        }
    }
}

/// The row, if there is one, and how many bytes it takes.
pub fn row(value: Value) -> Result<Option<(Row, usize)>, RedisFault> {
    let Some(bytes) = bytes(value)? else { return Ok(None) };
    match codec::decode_state_record(&bytes).map_err(unexpected)? {
        StateRecord::Row(row) => Ok(Some((row, bytes.len()))),
        StateRecord::Meta(_) => Err(unexpected("the position of a state is not a row")),
    }
}

pub fn events(value: Value) -> Result<Vec<Event>, RedisFault> {
    let event = |value| {
        let bytes = bytes(value)?.ok_or_else(|| unexpected("an event is missing"))?;
        codec::decode_event(&bytes).map_err(unexpected)
    };
    list(value)?.into_iter().map(event).collect()
}

pub fn bytes(value: Value) -> Result<Option<Bytes>, RedisFault> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        other => Err(unexpected(format!("{other:?} is not a row"))),
    }
}

pub fn list(value: Value) -> Result<Vec<Value>, RedisFault> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(unexpected(format!("{other:?} is not a list"))),
    }
}

/// A list with a fixed length.
pub fn fixed<const N: usize>(value: Value) -> Result<[Value; N], RedisFault> {
    list(value)?.try_into().map_err(|_| unexpected("a list of another length"))
}

/// The revision, or the largest one with which scripts can calculate, because their
/// numbers are doubles. At a million changes a second, it is reached in 285 years.
fn clamped(revision: Revision) -> Revision {
    const LAST: Revision = Revision((1 << 53) - 1);
    revision.min(LAST)
}

/// The fault that Redis holds something that this program does not write.
pub fn unexpected(what: impl std::fmt::Display) -> RedisFault {
    RedisFault::Damaged(what.to_string())
}
