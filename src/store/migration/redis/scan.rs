//! Looking through a Redis for what the reference left: the names first, then
//! what they hold. Nothing is changed.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use super::items::{self, Item, Value};
use crate::machine::ClusterMs;

/// Names looked at in one round trip.
const NAMES: usize = 1_000;

/// Keys read in one round trip: values may be large.
const PAGE: usize = 100;

/// A database with more keys than this may take seconds to look through.
const MANY: u64 = 100_000;

/// A key's name, which may be no text.
pub type Name = Vec<u8>;

/// A key's type, what is left of its time, and its value if it is a string.
type Read = (String, i64, Option<Vec<u8>>);

/// Every name as the reference gives them, once each, in byte order.
pub async fn names(connection: &mut MultiplexedConnection) -> RedisResult<Vec<Name>> {
    let keys: u64 = redis::cmd("DBSIZE").query_async(connection).await?;
    if keys > MANY {
        tracing::info!(keys, "looking through all keys for what the Python reference stored");
    }
    let mut names: Vec<Name> = Vec::new();
    let mut cursor = 0;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(NAMES);
        let (next, some): (u64, Vec<Name>) = scan.query_async(connection).await?;
        names.extend(some.into_iter().filter(|name| items::is_named(name)));
        if next == 0 {
            break;
        }
        cursor = next;
    }
    // A scan may show a key twice.
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Whether one of the keys is surely the reference's.
pub async fn shows(
    connection: &mut MultiplexedConnection,
    names: &[Name],
    now: ClusterMs,
) -> RedisResult<bool> {
    let may: Vec<Name> = names.iter().filter(|name| items::may_show(name)).cloned().collect();
    for some in may.chunks(PAGE) {
        if page(connection, some, now).await?.iter().any(items::shows) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the keys hold; what is gone by then is left out.
pub async fn read(
    connection: &mut MultiplexedConnection,
    names: &[Name],
    now: ClusterMs,
) -> RedisResult<Vec<Item>> {
    let mut items = Vec::new();
    for some in names.chunks(PAGE) {
        items.extend(page(connection, some, now).await?);
    }
    Ok(items)
}

async fn page(
    connection: &mut MultiplexedConnection,
    names: &[Name],
    now: ClusterMs,
) -> RedisResult<Vec<Item>> {
    let script = Script::new(include_str!("read.lua"));
    let ((seconds, micros), keys): ((u64, u64), Vec<Read>) =
        script.key(names).invoke_async(connection).await?;
    // Deadlines are counted from `now`, and reading many pages takes a while.
    let since_ms = (seconds * 1_000 + micros / 1_000).saturating_sub(now.0);
    let mut items = Vec::new();
    for (name, (kind, left_ms, value)) in names.iter().zip(keys) {
        let value = match (&*kind, value) {
            ("string", Some(bytes)) => Value::String(bytes),
            ("none" | "string", _) => continue,
            (_, _) => Value::Other(kind),
        };
        // Below zero where it has no end.
        let left_ms = u64::try_from(left_ms).ok().map(|left_ms| left_ms + since_ms);
        items.push(Item { key: name.clone(), left_ms, value });
    }
    Ok(items)
}
