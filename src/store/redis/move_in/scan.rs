//! Looking through a Redis for what the reference left: the names first, then
//! what they hold. Nothing is changed.

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};

use crate::machine::ClusterMs;
use crate::store::reference::items::{self, Item, Value};

/// Names looked at in one round trip.
const NAMES: usize = 1_000;

/// Keys read in one round trip: values may be large.
const PAGE: usize = 100;

/// A database with more keys than this may take seconds to look through.
const MANY: u64 = 100_000;

/// A key's name, which may be no text.
pub type Name = Vec<u8>;

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
    let mut pipe = redis::pipe();
    // In one instant, so that a key's time and its value are the same key's.
    pipe.atomic().cmd("TIME").cmd("MGET").arg(names);
    for name in names {
        pipe.cmd("TYPE").arg(name).cmd("PTTL").arg(name);
    }
    let answers: RedisResult<Vec<redis::Value>> = pipe.query_async(connection).await;
    let mut answers = answers.map_err(first_cause)?;
    let kinds = answers.split_off(2);
    let (time, values): ((u64, u64), Vec<Option<Vec<u8>>>) =
        redis::from_redis_value(redis::Value::Array(answers))?;
    // Deadlines are counted from `now`, and reading many pages takes a while.
    let since_ms = (time.0 * 1_000 + time.1 / 1_000).saturating_sub(now.0);
    let mut items = Vec::new();
    for ((key, pair), value) in names.iter().zip(kinds.chunks_exact(2)).zip(values) {
        let kind: String = redis::from_redis_value(pair[0].clone())?;
        let left_ms: i64 = redis::from_redis_value(pair[1].clone())?;
        let value = match (&*kind, value) {
            ("string", Some(bytes)) => Value::String(bytes),
            ("none" | "string", _) => continue,
            (_, _) => Value::Other(kind),
        };
        // Below zero where it has no end.
        let left_ms = u64::try_from(left_ms).ok().map(|left_ms| left_ms + since_ms);
        items.push(Item { key: key.clone(), left_ms, value });
    }
    Ok(items)
}

/// Of a transaction's errors, one a command, the first.
fn first_cause(error: RedisError) -> RedisError {
    match error.clone().into_server_errors().as_deref() {
        Some([(_, first), ..]) => first.clone().into(),
        Some([]) | None => error,
    }
}
