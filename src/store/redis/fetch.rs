//! Fetching: what is to be read from Redis, as the arguments of one script
//! (`fetch.lua`), and what it found. One request is one round trip and one
//! instant.

use bytes::Bytes;
use redis::Value;

use super::error::Fault;
use super::layout::{By, Facet, Place, revision_decimal, revision_hex, steps_of};
use crate::codec::{self, StateRecord};
use crate::machine::row::REMEMBERED_MS;
use crate::machine::view::{ChangeFilter, Counts, HistoryFilter, RunFilter, Scan};
use crate::machine::{Action, ClusterMs, Event, Meta, Revision};

/// The kinds of event that change a key.
const OF_KEYS: [Action; 3] = [Action::StateSet, Action::StateDelete, Action::StateExpire];

/// Requests, in the order in which they are answered.
#[derive(Clone, Debug, Default)]
pub struct Fetch {
    args: Vec<Vec<u8>>,
}

/// What was read, all of one instant.
#[derive(Debug)]
pub struct Fetched {
    /// The time, by the clock that judges deadlines.
    pub now: ClusterMs,
    /// Commits so far: the version of everything that was read.
    pub version: u64,
    /// The id of the last of them.
    pub last: String,
    pub meta: Meta,
    /// Remembered requests in all.
    pub requests: u64,
    /// A deadline lies between the state's own clock and `now`.
    pub late: bool,
    /// It is this sidecar's turn, and others may wait for it.
    pub mine: bool,
    /// Commits that this sidecar has seen are no longer there.
    pub astray: bool,
    /// One list for each request.
    pub found: Vec<Found>,
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

/// What one request found: values, or numbers.
#[derive(Debug)]
pub struct Found(Vec<Value>);

/// A kind of row that is listed by name.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    Keys,
    Leases,
    Sessions,
}

impl Fetch {
    pub fn args(&self) -> &[Vec<u8>] {
        &self.args
    }

    /// Rows of one table, by field.
    pub fn rows(&mut self, place: Place, fields: Vec<Vec<u8>>) {
        self.verb("rows").number(place.number()).list(fields);
    }

    /// The best runs that have all `facets`: `limit` that may be had now, as
    /// many whose claim has lapsed, and as many that will be free next.
    pub fn candidates(&mut self, facets: Vec<Facet>, limit: usize) {
        self.verb("candidates").number(limit).list(facets);
    }

    /// Every run below this one.
    pub fn descendants(&mut self, run_id: &str) {
        self.verb("descendants").text(run_id);
    }

    /// The first rows of each kind whose time is over.
    pub fn due(&mut self, limit: usize) {
        self.verb("due").number(limit).number(REMEMBERED_MS);
    }

    /// How much there is; see [`Found::counts`].
    pub fn counts(&mut self) {
        self.verb("counts");
    }

    /// The oldest remembered requests.
    pub fn oldest(&mut self, limit: usize) {
        self.verb("oldest").number(limit);
    }

    /// Rows that live, in byte order of their names.
    pub fn names(&mut self, names: Names, scan: &Scan, limit: usize) {
        let (hash, index, due) = match names {
            Names::Keys => (Place::Kv, Place::KvName, Place::KvDue.number()),
            Names::Leases => (Place::Lease, Place::LeaseName, Place::LeaseDue.number()),
            // No key has this number: sessions have no deadline.
            Names::Sessions => (Place::Session, Place::SessionName, 0),
        };
        let low = match &scan.after {
            Some(after) if after.as_bytes() >= scan.prefix.as_bytes() => format!("({after}"),
            Some(_) | None => format!("[{}", scan.prefix),
        };
        self.verb("names").number(hash.number()).number(index.number()).number(due);
        self.number(limit).text(&scan.prefix).text(&low);
    }

    /// Runs, newest first.
    pub fn runs(
        &mut self,
        filter: &RunFilter,
        facets: Vec<Facet>,
        before: Option<Revision>,
        limit: usize,
    ) {
        let claimable = match filter.claimable {
            None => "",
            Some(false) => "0",
            Some(true) => "1",
        };
        let before = before.map(revision_hex).unwrap_or_default();
        self.verb("runs").number(limit).text(claimable).text(&before).list(facets);
    }

    /// A run's steps, in order.
    pub fn steps(&mut self, run_id: &str) {
        self.verb("steps").push(steps_of(run_id));
    }

    /// Events before a revision, newest first.
    pub fn history(&mut self, filter: &HistoryFilter, before: Option<Revision>, limit: usize) {
        let before = before.map(readable).map(revision_decimal).unwrap_or_default();
        // The subject has the fewest events, mostly, and the kind the most.
        let wanted = [
            filter.subject.as_deref().map(By::Subject),
            filter.actor.as_deref().map(By::Actor),
            filter.action.map(By::Action),
        ];
        let wanted = wanted.into_iter().flatten().map(By::prefix).collect();
        self.verb("history").number(limit).text(&before).list(wanted);
    }

    /// Changes of keys after a revision, oldest first.
    pub fn changes(&mut self, filter: &ChangeFilter, after: Revision, limit: usize) {
        let after = readable(after);
        match filter {
            ChangeFilter::Key(key) => {
                self.verb("changes_of").number(limit).text(&revision_decimal(after));
                let actions = OF_KEYS.map(|action| By::Action(action).prefix()).to_vec();
                self.push(By::Subject(key).prefix()).list(actions);
            }
            ChangeFilter::Prefix(prefix) => {
                self.verb("changes_below").number(limit).number(after.0).text(prefix);
            }
        }
    }

    fn verb(&mut self, verb: &str) -> &mut Self {
        self.text(verb)
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.push(text.as_bytes().to_vec())
    }

    fn number(&mut self, number: impl std::fmt::Display) -> &mut Self {
        self.push(number.to_string().into_bytes())
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
    /// As before anything was stored.
    pub fn nothing() -> Fetched {
        Fetched {
            now: ClusterMs::default(),
            version: 0,
            last: String::new(),
            meta: Meta::default(),
            requests: 0,
            late: false,
            mine: false,
            astray: false,
            found: Vec::new(),
        }
    }

    /// Reads what `fetch.lua` gave.
    pub fn read(value: Value) -> Result<Reading, Fault> {
        let parts = list(value)?;
        let parts: [Value; 9] = match parts.try_into() {
            Ok(parts) => parts,
            Err(parts) => return word(&parts),
        };
        let [now, version, last, state, requests, late, mine, astray, found] = parts;
        let now: u64 = redis::from_redis_value(now).map_err(strange)?;
        let meta = match state {
            Value::Nil => Meta::default(),
            state => match record(state)? {
                Some(StateRecord::Meta(meta)) => meta,
                other => return Err(strange(format!("{other:?} is no position of a state"))),
            },
        };
        Ok(Reading::Fetched(Box::new(Fetched {
            now: ClusterMs(now),
            version: redis::from_redis_value(version).map_err(strange)?,
            last: redis::from_redis_value(last).map_err(strange)?,
            meta,
            requests: redis::from_redis_value(requests).map_err(strange)?,
            late: redis::from_redis_value(late).map_err(strange)?,
            mine: redis::from_redis_value(mine).map_err(strange)?,
            astray: redis::from_redis_value(astray).map_err(strange)?,
            found: list(found)?
                .into_iter()
                .map(|part| list(part).map(Found))
                .collect::<Result<_, _>>()?,
        })))
    }
}

impl Found {
    /// The rows, without those that are not there.
    pub fn rows(self) -> Result<Vec<StateRecord>, Fault> {
        self.0.into_iter().filter_map(|value| record(value).transpose()).collect()
    }

    pub fn events(self) -> Result<Vec<Event>, Fault> {
        let event = |value| {
            let bytes = bytes(value)?.ok_or_else(|| strange("an event is missing"))?;
            codec::decode_event(&bytes).map_err(strange)
        };
        self.0.into_iter().map(event).collect()
    }

    pub fn counts(self) -> Result<Counts, Fault> {
        let numbers = self.0.into_iter().map(redis::from_redis_value);
        let numbers = numbers.collect::<Result<Vec<u64>, _>>().map_err(strange)?;
        let [keys, runs, steps, leases, sessions] = numbers[..] else {
            return Err(strange("counts of another number of things"));
        };
        Ok(Counts { keys, runs, steps, leases, sessions })
    }
}

/// An answer that is one word.
fn word(parts: &[Value]) -> Result<Reading, Fault> {
    match parts {
        [Value::BulkString(word)] if word == b"wait" => Ok(Reading::Wait),
        [Value::BulkString(word)] if word == b"much" => Ok(Reading::Much),
        _ => Err(strange("an answer of another length")),
    }
}

pub(super) fn record(value: Value) -> Result<Option<StateRecord>, Fault> {
    let Some(bytes) = bytes(value)? else { return Ok(None) };
    codec::decode_state_record(&bytes).map(Some).map_err(strange)
}

pub(super) fn bytes(value: Value) -> Result<Option<Bytes>, Fault> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        other => Err(strange(format!("{other:?} is no row"))),
    }
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, Fault> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(strange(format!("{other:?} is no list"))),
    }
}

/// A revision as scripts can count with it: their numbers are doubles. A
/// million changes a second reach the last one in 285 years.
fn readable(revision: Revision) -> Revision {
    const LAST: Revision = Revision((1 << 53) - 1);
    revision.min(LAST)
}

/// Redis holds what this program does not write.
pub(super) fn strange(what: impl std::fmt::Display) -> Fault {
    Fault::Damaged(what.to_string())
}
