//! Moving in: a Redis that the Python reference filled becomes ours when it is
//! first opened. The reference's own keys stay as they are, under their own
//! names: they are the copy.

use redis::aio::MultiplexedConnection;

use super::error::{Fault, OpenError};
use super::fetch::Fetched;
use super::intake::{Adopted, RedisIntake};
use super::link::Link;
use super::open::Way;
use crate::store::StoreError;
use crate::store::reference::items::{self, Item, Value};
use crate::store::reference::{self, Converted};
use crate::store::transfer::{Intake, Part};

/// Keys looked at in one round trip.
const PAGE: usize = 1_000;

/// Parts sent in one round trip.
const PARTS: usize = 500;

/// Takes over what the reference left, if the state has not begun yet.
///
/// # Errors
/// Something under the reference's names is not of its form: nothing was
/// changed.
pub(super) async fn move_in(way: &Way, found: &Fetched) -> Result<bool, OpenError> {
    if found.version > 0 {
        return Ok(false);
    }
    let items = gather(&way.link).await.map_err(|fault| way.refused(fault))?;
    if items.is_empty() {
        return Ok(false);
    }
    let count = items.len();
    let left = items::gather(items, found.now).map_err(|fault| OpenError::Unfit {
        place: way.place(),
        reason: format!(
            "{fault}: neither the Python reference's nor ours; give this store a database of its \
             own (redis://HOST/1), or remove the key"
        ),
    })?;
    let converted = reference::convert(&left, found.now);
    let revision = converted.meta.revision;
    if fill(way, converted).await? {
        tracing::info!(keys = count, %revision, "took over what the Python reference had stored");
    }
    Ok(true)
}

/// Every key that has a name of the reference's.
async fn gather(link: &Link) -> Result<Vec<Item>, Fault> {
    let mut connection = link.connection().await?;
    let mut items = Vec::new();
    let mut cursor = 0;
    loop {
        let (next, names): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("COUNT")
            .arg(PAGE)
            .query_async(&mut connection)
            .await
            .map_err(|error| Fault::of(&error))?;
        let names: Vec<Vec<u8>> = names.into_iter().filter(|name| items::is_named(name)).collect();
        if !names.is_empty() {
            items.extend(read(&mut connection, names).await.map_err(|error| Fault::of(&error))?);
        }
        if next == 0 {
            break;
        }
        cursor = next;
    }
    // A scan may show a key twice.
    items.sort_by(|a, b| a.key.cmp(&b.key));
    items.dedup_by(|a, b| a.key == b.key);
    Ok(items)
}

async fn read(
    connection: &mut MultiplexedConnection,
    names: Vec<Vec<u8>>,
) -> redis::RedisResult<Vec<Item>> {
    let mut kinds = redis::pipe();
    for name in &names {
        kinds.cmd("TYPE").arg(name).cmd("PTTL").arg(name);
    }
    let kinds: Vec<redis::Value> = kinds.query_async(connection).await?;
    let mut items = Vec::new();
    for (key, pair) in names.into_iter().zip(kinds.chunks_exact(2)) {
        let kind: String = redis::from_redis_value(pair[0].clone())?;
        let left_ms: i64 = redis::from_redis_value(pair[1].clone())?;
        let value = match &*kind {
            "string" => {
                let bytes: Option<Vec<u8>> =
                    redis::cmd("GET").arg(&key).query_async(connection).await?;
                // Gone meanwhile: it has expired.
                let Some(bytes) = bytes else { continue };
                Value::String(bytes)
            }
            "none" => continue,
            _ => Value::Other(kind),
        };
        // Below zero where it has no end.
        items.push(Item { key, left_ms: u64::try_from(left_ms).ok(), value });
    }
    Ok(items)
}

/// Fills our keys; says whether nobody else was first.
async fn fill(way: &Way, converted: Converted) -> Result<bool, OpenError> {
    let failed =
        |error: StoreError| OpenError::Unfit { place: way.place(), reason: error.to_string() };
    let Converted { meta, rows, events } = converted;
    let mut intake = RedisIntake::filling(way, meta, false);
    let parts: Vec<Part> =
        rows.into_iter().map(Part::Row).chain(events.into_iter().map(Part::Event)).collect();
    for some in parts.chunks(PARTS) {
        intake.take(some.to_vec()).await.map_err(failed)?;
    }
    match intake.adopt().await.map_err(|fault| way.refused(fault))? {
        Adopted::Done => Ok(true),
        // Another sidecar did the same at the same time.
        Adopted::NotEmpty => Ok(false),
        Adopted::InUse(what) | Adopted::Incomplete(what) | Adopted::Foreign(what) => {
            let reason = format!("what the Python reference had stored was not taken over: {what}");
            Err(OpenError::Unfit { place: way.place(), reason })
        }
    }
}
