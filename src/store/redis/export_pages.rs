//! The pages of an export: the requests to `export.lua`, and what it returns. One
//! page is one round trip, and everything in it belongs to one instant.

use redis::{Script, Value};

use super::connection::{RedisConnection, script};
use super::error::RedisFault;
use super::fetch::{bytes, events, fixed, list, position, row, unexpected};
use crate::machine::row::REMEMBERED_MS;
use crate::machine::{ClusterMs, Event, Meta, Revision, Row, RowId, Text, index};

/// The size of a page. It takes some milliseconds of Redis's time and is much
/// smaller than the limit of one answer.
pub const PAGE_BYTES: usize = 4 << 20;

/// A row and its size in bytes.
pub type SizedRow = (Row, usize);

/// What was found at one instant.
#[derive(Debug)]
pub struct ExportPage<T> {
    /// The number of commits so far.
    pub version: u64,
    pub meta: Meta,
    pub found: T,
}

/// The request after which reading remembered requests continues. They are read in
/// the order in which they will be forgotten.
#[derive(Clone, Debug)]
pub struct RequestCursor(Vec<u8>);

/// The rows that events have changed, and remembered requests.
#[derive(Debug)]
pub struct ChangedRows {
    /// The last event that was read.
    pub last: Revision,
    /// There is no later event.
    pub all: bool,
    /// Where reading requests continues, if some had no room.
    pub next_request: Option<RequestCursor>,
    /// The index entry of the oldest request.
    pub oldest: Option<Vec<u8>>,
    /// How many rows the state has.
    pub count: usize,
    /// By id. `None` means that the row was removed.
    pub rows: Vec<(RowId, Option<SizedRow>)>,
}

/// Reads pages.
pub struct ExportPages {
    script: Script,
}

impl RequestCursor {
    /// The cursor before all requests that were answered at `at` or later.
    pub fn since(at: ClusterMs) -> RequestCursor {
        let from = at.plus(REMEMBERED_MS).0.to_be_bytes();
        RequestCursor([b"[", &request_prefix()[..], &from].concat())
    }
}

impl ExportPages {
    pub fn new() -> ExportPages {
        ExportPages { script: script(include_str!("export.lua")) }
    }

    /// The state's position.
    pub async fn position(
        &self,
        connection: &RedisConnection,
    ) -> Result<ExportPage<()>, RedisFault> {
        self.read(connection, "position", Vec::new()).await?.map(|_| Ok(()))
    }

    /// Rows, and the cursor for the next page, if there is one. A row may come twice.
    pub async fn rows(
        &self,
        connection: &RedisConnection,
        cursor: Option<&[u8]>,
    ) -> Result<ExportPage<(Vec<SizedRow>, Option<Vec<u8>>)>, RedisFault> {
        let cursor = cursor.unwrap_or(b"0").to_vec();
        self.read(connection, "rows", vec![cursor]).await?.map(|found| {
            let [next, rows] = fixed(found)?;
            let rows = list(rows)?.into_iter().filter_map(|value| row(value).transpose());
            let next = bytes(next)?.map(|next| next.to_vec());
            Ok((rows.collect::<Result<_, _>>()?, next))
        })
    }

    /// The rows that have changed after a revision, and requests after a cursor.
    pub async fn changed(
        &self,
        connection: &RedisConnection,
        after: Revision,
        cursor: &RequestCursor,
    ) -> Result<ExportPage<ChangedRows>, RedisFault> {
        let name = || Text::from("");
        let ids = [
            RowId::Key(name()),
            RowId::Lease(name()),
            RowId::Run(name()),
            RowId::Session(name()),
            RowId::Step(name(), 0),
            RowId::Schedule(name()),
            RowId::Pause(name()),
        ];
        let kinds = ids.iter().filter_map(|id| id.to_bytes().first().copied()).collect();
        let cancelling = index::cancelling(0);
        let skip = cancelling.rank_bytes.to_string().into_bytes();
        let after = after.0.to_string().into_bytes();
        let (request, cancelling) = (request_prefix(), cancelling.prefixes.concat());
        let args = vec![after, cursor.0.clone(), request, cancelling, skip, kinds];
        self.read(connection, "changed", args).await?.map(changed_rows)
    }

    /// Events from a revision on, oldest first.
    pub async fn events(
        &self,
        connection: &RedisConnection,
        from: Revision,
    ) -> Result<ExportPage<Vec<Event>>, RedisFault> {
        let from = from.0.to_string().into_bytes();
        self.read(connection, "events", vec![from]).await?.map(events)
    }

    async fn read(
        &self,
        connection: &RedisConnection,
        verb: &str,
        args: Vec<Vec<u8>>,
    ) -> Result<ExportPage<Value>, RedisFault> {
        let mut words = vec![PAGE_BYTES.to_string().into_bytes(), verb.as_bytes().to_vec()];
        words.extend(args);
        let [version, state, found] = fixed(connection.call(&self.script, &words).await?)?;
        let version = redis::from_redis_value(version).map_err(unexpected)?;
        Ok(ExportPage { version, meta: position(state)?, found })
    }
}

impl ExportPage<Value> {
    fn map<T>(
        self,
        parse: impl FnOnce(Value) -> Result<T, RedisFault>,
    ) -> Result<ExportPage<T>, RedisFault> {
        let ExportPage { version, meta, found } = self;
        Ok(ExportPage { version, meta, found: parse(found)? })
    }
}

/// The beginning of the index entries of remembered requests.
fn request_prefix() -> Vec<u8> {
    index::remembered(0).prefixes.concat()
}

fn changed_rows(found: Value) -> Result<ChangedRows, RedisFault> {
    let [last, all, next_request, oldest, count, rows] = fixed(found)?;
    let last: String = redis::from_redis_value(last).map_err(unexpected)?;
    let last = Revision(last.parse().map_err(unexpected)?);
    let all: u8 = redis::from_redis_value(all).map_err(unexpected)?;
    let changed_row = |part| {
        let [id, value] = fixed(part)?;
        let id: Vec<u8> = redis::from_redis_value(id).map_err(unexpected)?;
        let id =
            RowId::from_bytes(&id).ok_or_else(|| unexpected(format!("{id:?} is not an id")))?;
        Ok((id, row(value)?))
    };
    Ok(ChangedRows {
        last,
        all: all == 1,
        next_request: bytes(next_request)?.map(|next| RequestCursor(next.to_vec())),
        oldest: bytes(oldest)?.map(|oldest| oldest.to_vec()),
        count: redis::from_redis_value(count).map_err(unexpected)?,
        rows: list(rows)?.into_iter().map(changed_row).collect::<Result<_, _>>()?,
    })
}
