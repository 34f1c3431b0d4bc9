//! Pages of an export: what `export.lua` is asked, and what it gives. One page
//! is one round trip and one instant.

use redis::{Script, Value};

use super::connection::{RedisConnection, script};
use super::error::RedisFault;
use super::fetch::{bytes, events, fixed, list, position, row, strange};
use crate::machine::row::REMEMBERED_MS;
use crate::machine::{ClusterMs, Event, Meta, Revision, Row, RowId, Text, index};

/// What a page may weigh: some milliseconds of Redis's time, and far from what
/// one answer may take.
pub const PAGE_BYTES: usize = 4 << 20;

/// A row, and how many bytes it takes.
pub type Weighed = (Row, usize);

/// What was found, of one instant.
#[derive(Debug)]
pub struct Page<T> {
    /// Commits so far.
    pub version: u64,
    pub meta: Meta,
    pub found: T,
}

/// Where reading requests goes on, in the order in which they are forgotten.
#[derive(Clone, Debug)]
pub struct Cursor(Vec<u8>);

/// Rows that were touched.
#[derive(Debug)]
pub struct Changed {
    /// The last event that was looked at.
    pub last: Revision,
    /// It is the last there is.
    pub all: bool,
    /// Where requests go on that had no room.
    pub upto: Option<Cursor>,
    /// The entry of the oldest request.
    pub oldest: Option<Vec<u8>>,
    /// Rows in all.
    pub count: usize,
    /// By id; none where the row is gone.
    pub rows: Vec<(RowId, Option<Weighed>)>,
}

/// Asks for pages.
pub struct Pages {
    script: Script,
}

impl Cursor {
    /// Before all requests that were answered from this time on.
    pub fn since(at: ClusterMs) -> Cursor {
        let from = at.plus(REMEMBERED_MS).0.to_be_bytes();
        Cursor([b"[", &requests()[..], &from].concat())
    }
}

impl Pages {
    pub fn new() -> Pages {
        Pages { script: script(include_str!("export.lua")) }
    }

    /// Where the state is.
    pub async fn position(&self, link: &RedisConnection) -> Result<Page<()>, RedisFault> {
        self.ask(link, "position", Vec::new()).await?.read(|_| Ok(()))
    }

    /// Rows, and where to go on from, if any are left. A row may come twice.
    pub async fn rows(
        &self,
        link: &RedisConnection,
        cursor: Option<&[u8]>,
    ) -> Result<Page<(Vec<Weighed>, Option<Vec<u8>>)>, RedisFault> {
        let cursor = cursor.unwrap_or(b"0").to_vec();
        self.ask(link, "rows", vec![cursor]).await?.read(|found| {
            let [next, rows] = fixed(found)?;
            let rows = list(rows)?.into_iter().filter_map(|value| row(value).transpose());
            let next = bytes(next)?.map(|next| next.to_vec());
            Ok((rows.collect::<Result<_, _>>()?, next))
        })
    }

    /// What has changed after a revision, and the requests behind a cursor.
    pub async fn changed(
        &self,
        link: &RedisConnection,
        after: Revision,
        cursor: &Cursor,
    ) -> Result<Page<Changed>, RedisFault> {
        let name = || Text::from("");
        let ids = [
            RowId::Key(name()),
            RowId::Lease(name()),
            RowId::Run(name()),
            RowId::Session(name()),
            RowId::Step(name(), 0),
        ];
        let kinds = ids.iter().filter_map(|id| id.to_bytes().first().copied()).collect();
        let cancelling = index::cancelling(0);
        let skip = cancelling.rank_bytes.to_string().into_bytes();
        let after = after.0.to_string().into_bytes();
        let args =
            vec![after, cursor.0.clone(), requests(), cancelling.prefixes.concat(), skip, kinds];
        self.ask(link, "changed", args).await?.read(changed)
    }

    /// Events from one revision on, oldest first.
    pub async fn events(
        &self,
        link: &RedisConnection,
        from: Revision,
    ) -> Result<Page<Vec<Event>>, RedisFault> {
        let page = self.ask(link, "events", vec![from.0.to_string().into_bytes()]).await?;
        page.read(events)
    }

    async fn ask(
        &self,
        link: &RedisConnection,
        verb: &str,
        args: Vec<Vec<u8>>,
    ) -> Result<Page<Value>, RedisFault> {
        let mut words = vec![PAGE_BYTES.to_string().into_bytes(), verb.as_bytes().to_vec()];
        words.extend(args);
        let [version, state, found] = fixed(link.call(&self.script, &words).await?)?;
        let version = redis::from_redis_value(version).map_err(strange)?;
        Ok(Page { version, meta: position(state)?, found })
    }
}

impl Page<Value> {
    fn read<T>(
        self,
        read: impl FnOnce(Value) -> Result<T, RedisFault>,
    ) -> Result<Page<T>, RedisFault> {
        let Page { version, meta, found } = self;
        Ok(Page { version, meta, found: read(found)? })
    }
}

/// The beginning of the entries that list requests.
fn requests() -> Vec<u8> {
    index::remembered(0).prefixes.concat()
}

fn changed(found: Value) -> Result<Changed, RedisFault> {
    let [last, all, upto, oldest, count, rows] = fixed(found)?;
    let last: String = redis::from_redis_value(last).map_err(strange)?;
    let last = Revision(last.parse().map_err(strange)?);
    let all: u8 = redis::from_redis_value(all).map_err(strange)?;
    let one = |part| {
        let [id, value] = fixed(part)?;
        let id: Vec<u8> = redis::from_redis_value(id).map_err(strange)?;
        let id = RowId::from_bytes(&id).ok_or_else(|| strange(format!("{id:?} is no id")))?;
        Ok((id, row(value)?))
    };
    Ok(Changed {
        last,
        all: all == 1,
        upto: bytes(upto)?.map(|upto| Cursor(upto.to_vec())),
        oldest: bytes(oldest)?.map(|oldest| oldest.to_vec()),
        count: redis::from_redis_value(count).map_err(strange)?,
        rows: list(rows)?.into_iter().map(one).collect::<Result<_, _>>()?,
    })
}
