//! Pages of an export: what `export.lua` is asked, and what it gives. One page
//! is one round trip and one instant.

use redis::{Script, Value};

use super::error::Fault;
use super::fetch::{bytes, list, record, strange};
use super::layout::{Place, facet_all};
use super::link::{Link, script};
use crate::codec::{self, StateRecord};
use crate::machine::{ClusterMs, Event, Meta, Revision};

/// What a page may weigh: some milliseconds of Redis's time, and far from what
/// one answer may take.
pub const PAGE_BYTES: usize = 4 << 20;

/// A table, and the index by whose order it is read.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub place: Place,
    index: Place,
    /// Names stand behind so many bytes of the index's members.
    skip: usize,
}

/// Behind a facet, creation and merit: see [`super::layout::listed`].
const RUN_SKIP: usize = 1 + 16 + 16;

/// The tables that an index of names leads through. Requests are read by age.
pub const TABLES: [Table; 5] = [
    Table { place: Place::Kv, index: Place::KvName, skip: 0 },
    Table { place: Place::Lease, index: Place::LeaseName, skip: 0 },
    Table { place: Place::Run, index: Place::RunListed, skip: RUN_SKIP },
    Table { place: Place::Step, index: Place::StepName, skip: 0 },
    Table { place: Place::Session, index: Place::SessionName, skip: 0 },
];

/// A row, and how many bytes it takes.
pub type Weighed = (StateRecord, usize);

/// What was found, of one instant.
#[derive(Debug)]
pub struct Page<T> {
    /// Commits so far.
    pub version: u64,
    pub meta: Meta,
    pub found: T,
}

/// A request by its age: behind it, reading goes on.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    pub at: ClusterMs,
    /// None: before all of that time.
    pub name: Option<Vec<u8>>,
}

/// Rows that were touched.
#[derive(Debug)]
pub struct Changed {
    /// The last event that was looked at.
    pub last: Revision,
    /// It is the last there is.
    pub all: bool,
    /// Where requests go on that had no room.
    pub upto: Option<Cursor>,
    /// When the oldest request was answered, and its name.
    pub oldest: Option<(ClusterMs, Vec<u8>)>,
    /// Rows in all.
    pub count: usize,
    /// By table and field; none where the row is gone.
    pub rows: Vec<(Place, Vec<u8>, Option<Weighed>)>,
}

/// Asks for pages.
pub struct Pages {
    script: Script,
}

impl Pages {
    pub fn new() -> Pages {
        Pages { script: script(include_str!("export.lua")) }
    }

    /// Where the state is.
    pub async fn position(&self, link: &Link) -> Result<Page<()>, Fault> {
        self.ask(link, "position", Vec::new()).await?.read(|_| Ok(()))
    }

    /// Rows of one table, and where to go on from, if any are left.
    pub async fn rows(
        &self,
        link: &Link,
        table: Table,
        low: Option<&[u8]>,
    ) -> Result<Page<(Vec<Weighed>, Option<Vec<u8>>)>, Fault> {
        let prefix = if table.skip > 0 { facet_all() } else { Vec::new() };
        let begin = [b"[", &prefix[..]].concat();
        let numbers = [table.place.number(), table.index.number()].map(|n| n.to_string());
        let [place, index] = numbers.map(String::into_bytes);
        let skip = table.skip.to_string().into_bytes();
        let low = low.map_or(begin, <[u8]>::to_vec);
        let page = self.ask(link, "rows", vec![place, index, prefix, skip, low]).await?;
        page.read(|found| {
            let [next, rows] = fixed(found)?;
            let rows = list(rows)?.into_iter().filter_map(|row| weighed(row).transpose());
            let next = bytes(next)?.map(|next| next.to_vec());
            Ok((rows.collect::<Result<_, _>>()?, next))
        })
    }

    /// What has changed after a revision, and the requests behind a cursor.
    pub async fn changed(
        &self,
        link: &Link,
        after: Revision,
        cursor: &Cursor,
    ) -> Result<Page<Changed>, Fault> {
        let mut args = vec![after.0.to_string().into_bytes(), cursor.at.0.to_string().into_bytes()];
        args.extend(cursor.name.clone());
        self.ask(link, "changed", args).await?.read(changed)
    }

    /// Events from one revision on, oldest first.
    pub async fn events(&self, link: &Link, from: Revision) -> Result<Page<Vec<Event>>, Fault> {
        let page = self.ask(link, "events", vec![from.0.to_string().into_bytes()]).await?;
        let event = |value| {
            let bytes = bytes(value)?.ok_or_else(|| strange("an event is missing"))?;
            codec::decode_event(&bytes).map_err(strange)
        };
        page.read(|found| list(found)?.into_iter().map(event).collect())
    }

    async fn ask(&self, link: &Link, verb: &str, args: Vec<Vec<u8>>) -> Result<Page<Value>, Fault> {
        let mut words = vec![PAGE_BYTES.to_string().into_bytes(), verb.as_bytes().to_vec()];
        words.extend(args);
        let [version, state, found] = fixed(link.call(&self.script, &words).await?)?;
        let meta = match record(state)? {
            None => Meta::default(),
            Some(StateRecord::Meta(meta)) => meta,
            other => return Err(strange(format!("{other:?} is no position of a state"))),
        };
        let version = redis::from_redis_value(version).map_err(strange)?;
        Ok(Page { version, meta, found })
    }
}

impl Page<Value> {
    fn read<T>(self, read: impl FnOnce(Value) -> Result<T, Fault>) -> Result<Page<T>, Fault> {
        let Page { version, meta, found } = self;
        Ok(Page { version, meta, found: read(found)? })
    }
}

fn changed(found: Value) -> Result<Changed, Fault> {
    let [last, all, upto, oldest, counts, rows] = fixed(found)?;
    let last: String = redis::from_redis_value(last).map_err(strange)?;
    let last = Revision(last.parse().map_err(strange)?);
    let all: u8 = redis::from_redis_value(all).map_err(strange)?;
    let upto = request(upto)?.map(|(at, name)| Cursor { at, name: Some(name) });
    let counts: Vec<usize> = redis::from_redis_value(counts).map_err(strange)?;
    let row = |part| {
        let [kind, field, row] = fixed(part)?;
        let kind: String = redis::from_redis_value(kind).map_err(strange)?;
        let field: Vec<u8> = redis::from_redis_value(field).map_err(strange)?;
        Ok((place_of(&kind)?, field, weighed(row)?))
    };
    Ok(Changed {
        last,
        all: all == 1,
        upto,
        oldest: request(oldest)?,
        count: counts.iter().sum(),
        rows: list(rows)?.into_iter().map(row).collect::<Result<_, _>>()?,
    })
}

/// The time and name of a request, if there is one.
fn request(value: Value) -> Result<Option<(ClusterMs, Vec<u8>)>, Fault> {
    if matches!(&value, Value::Array(parts) if parts.is_empty()) {
        return Ok(None);
    }
    let (at, name): (String, Vec<u8>) = redis::from_redis_value(value).map_err(strange)?;
    Ok(Some((ClusterMs(at.parse().map_err(strange)?), name)))
}

fn place_of(kind: &str) -> Result<Place, Fault> {
    match kind {
        "key" => Ok(Place::Kv),
        "lease" => Ok(Place::Lease),
        "run" => Ok(Place::Run),
        "step" => Ok(Place::Step),
        "session" => Ok(Place::Session),
        "request" => Ok(Place::Request),
        other => Err(strange(format!("'{other}' is no kind of row"))),
    }
}

fn weighed(value: Value) -> Result<Option<Weighed>, Fault> {
    let weight = match &value {
        Value::BulkString(bytes) => bytes.len(),
        _ => 0,
    };
    Ok(record(value)?.map(|row| (row, weight)))
}

fn fixed<const N: usize>(value: Value) -> Result<[Value; N], Fault> {
    let parts = list(value)?;
    parts.try_into().map_err(|_| strange("a page of another length"))
}
