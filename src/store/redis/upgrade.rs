//! Bringing up: a state that a program before this one left, which kept a hash
//! and indexes for each kind of row, takes the present form when it is first
//! opened. All or nothing: the rows come in beside the old ones, as an import
//! does, and take their place in one script. The history stays as it is.

use redis::aio::MultiplexedConnection;

use super::error::{OpenError, RedisFault};
use super::fetch::{Fetched, row};
use super::import::{RedisImport, listeners};
use super::layout::OLD_ROWS;
use super::open::RedisAccess;
use crate::store::StoreError;
use crate::store::export::{Part, StoreImport};

/// The form that is brought up.
pub const OLD_FORMAT: u64 = 1;

/// Rows read in one round trip, about: they may be large.
const ROWS: usize = 64;

/// Gives the state that was found its present form.
///
/// # Errors
/// Sidecars of the older version still serve it, or it cannot be read or
/// written: it is as it was.
pub async fn bring_up(way: &RedisAccess, found: Fetched) -> Result<(), OpenError> {
    let revision = found.meta.revision;
    let Err(error) = rewrite(way, found).await else {
        tracing::info!(%revision, "the state was brought into the form of this version");
        return Ok(());
    };
    // Another sidecar may have done the same at the same time.
    match way.format().await {
        Ok(Some(format)) if format > OLD_FORMAT => Ok(()),
        Ok(_) | Err(_) => Err(unfit(way, &error.to_string())),
    }
}

/// Refuses to read what would first have to be brought up.
pub fn refuse_old(way: &RedisAccess) -> OpenError {
    unfit(way, "start a sidecar here once")
}

fn unfit(way: &RedisAccess, why: &str) -> OpenError {
    let reason = format!(
        "the state under '{}' has the form of an older version ({OLD_FORMAT}) and must be brought \
         up: {why}",
        way.prefix
    );
    OpenError::Unfit { place: way.place(), reason }
}

async fn rewrite(way: &RedisAccess, found: Fetched) -> Result<(), StoreError> {
    let sidecars = listeners(&way.link, &way.keys).await.map_err(|fault| fault.unsent())?;
    if sidecars > 0 {
        let why = format!("{sidecars} sidecars serve it; stop them first");
        return Err(StoreError::Unavailable(why));
    }
    let mut intake = RedisImport::bringing_up(way, found);
    for hash in OLD_ROWS {
        let key = way.keys.old_place(hash);
        let mut cursor = 0;
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let page = page(way, &key, cursor).await.map_err(|fault| fault.unsent())?;
            // A hash that shrinks meanwhile may show a row twice.
            let parts = page.1.into_iter().filter(|part| match part {
                Part::Row(row) => seen.insert(row.id()),
                Part::Event(_) => true,
            });
            intake.take(parts.collect()).await?;
            cursor = page.0;
            if cursor == 0 {
                break;
            }
        }
    }
    Box::new(intake).finish().await
}

/// Some rows of a hash, and where to go on; zero at the end.
async fn page(way: &RedisAccess, key: &str, cursor: u64) -> Result<(u64, Vec<Part>), RedisFault> {
    let mut connection: MultiplexedConnection = way.link.connection().await?;
    let mut scan = redis::cmd("HSCAN");
    scan.arg(key).arg(cursor).arg("COUNT").arg(ROWS);
    let read: Result<(u64, Vec<redis::Value>), _> = scan.query_async(&mut connection).await;
    let (next, fields) = read.map_err(|error| RedisFault::of(&error))?;
    let mut parts = Vec::new();
    // Names and values in turn.
    for value in fields.into_iter().skip(1).step_by(2) {
        parts.extend(row(value)?.map(|(row, _)| Part::Row(row)));
    }
    Ok((next, parts))
}
