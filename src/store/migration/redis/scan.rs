//! Searching a Redis for the reference's keys: their names first, then their
//! values. Nothing is changed.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use super::items::{self, RedisItem, RedisValue};
use crate::machine::ClusterMs;

/// How many names one round trip scans.
const SCAN_NAMES: usize = 1_000;

/// How many keys one round trip reads. It is few because values may be large.
const READ_KEYS: usize = 100;

/// Scanning a database with more keys than this may take seconds.
const MANY_KEYS: u64 = 100_000;

/// A key's name, which need not be text.
pub(super) type KeyName = Vec<u8>;

/// A key's type, its `PTTL`, and its value if it is a string.
type ReadKey = (String, i64, Option<Vec<u8>>);

/// Every key whose name is one that the reference uses, in byte order.
pub(super) async fn names(connection: &mut MultiplexedConnection) -> RedisResult<Vec<KeyName>> {
    let keys: u64 = redis::cmd("DBSIZE").query_async(connection).await?;
    if keys > MANY_KEYS {
        tracing::info!(keys, "looking through all keys for what the Python reference stored");
    }
    let mut names: Vec<KeyName> = Vec::new();
    let mut cursor = 0;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(SCAN_NAMES);
        let (next, page): (u64, Vec<KeyName>) = scan.query_async(connection).await?;
        names.extend(page.into_iter().filter(|name| items::is_named(name)));
        if next == 0 {
            break;
        }
        cursor = next;
    }
    // A scan may return a key twice.
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Whether one of the keys is certainly the reference's.
pub(super) async fn prove(
    connection: &mut MultiplexedConnection,
    names: &[KeyName],
    now: ClusterMs,
) -> RedisResult<bool> {
    let names: Vec<KeyName> = names.iter().filter(|name| items::may_prove(name)).cloned().collect();
    for names in names.chunks(READ_KEYS) {
        if read_page(connection, names, now).await?.iter().any(items::proves) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The values of the keys. Keys that have expired since are left out.
pub(super) async fn read(
    connection: &mut MultiplexedConnection,
    names: &[KeyName],
    now: ClusterMs,
) -> RedisResult<Vec<RedisItem>> {
    let mut items = Vec::new();
    for names in names.chunks(READ_KEYS) {
        items.extend(read_page(connection, names, now).await?);
    }
    Ok(items)
}

async fn read_page(
    connection: &mut MultiplexedConnection,
    names: &[KeyName],
    now: ClusterMs,
) -> RedisResult<Vec<RedisItem>> {
    let script = Script::new(include_str!("read.lua"));
    let ((seconds, micros), keys): ((u64, u64), Vec<ReadKey>) =
        script.key(names).invoke_async(connection).await?;
    // The items' time to live counts from `now`, but reading many pages takes a
    // while.
    let elapsed_ms = (seconds * 1_000 + micros / 1_000).saturating_sub(now.0);
    let mut items = Vec::new();
    for (name, (kind, ttl_ms, value)) in names.iter().zip(keys) {
        let value = match (&*kind, value) {
            ("string", Some(bytes)) => RedisValue::String(bytes),
            ("none" | "string", _) => continue,
            (_, _) => RedisValue::Other(kind),
        };
        // It is negative if the key never expires.
        let ttl_ms = u64::try_from(ttl_ms).ok().map(|ttl_ms| ttl_ms + elapsed_ms);
        items.push(RedisItem { key: name.clone(), ttl_ms, value });
    }
    Ok(items)
}
