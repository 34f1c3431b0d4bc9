//! Upgrading: a state in the first format, which had a hash and indexes for each
//! kind of row, gets the current format when it is opened. The rows are imported
//! beside the old ones, and one script puts them in their place, so the upgrade
//! happens completely or not at all. The history stays as it is.

use std::collections::BTreeSet;

use super::access::RedisAccess;
use super::error::{RedisFault, RedisOpenError};
use super::fetch::{Fetched, row};
use super::import::RedisImport;
use super::layout::{OLD_FORMAT, OLD_ROWS};
use crate::store::error::StoreError;
use crate::store::export::{Part, StoreImport};

/// About how many rows one round trip reads. It is few because rows may be large.
const SCAN_ROWS: usize = 64;

/// Gives the state that was found the current format.
///
/// # Errors
/// Sidecars of the older version still serve the state, or it cannot be read or
/// written. It stays as it was.
pub async fn upgrade(access: &RedisAccess, found: Fetched) -> Result<(), RedisOpenError> {
    let revision = found.meta.revision;
    let Err(error) = rewrite(access, found).await else {
        tracing::info!(%revision, "upgraded the state of an older version");
        return Ok(());
    };
    // Another sidecar may have upgraded it at the same time.
    match access.format().await {
        Ok(Some(format)) if format > OLD_FORMAT => Ok(()),
        Ok(_) | Err(_) => Err(not_upgraded(access, &error.to_string())),
    }
}

/// The error for reading a state that would have to be upgraded first.
pub fn refuse_old(access: &RedisAccess) -> RedisOpenError {
    not_upgraded(access, "start a sidecar here once")
}

fn not_upgraded(access: &RedisAccess, why: &str) -> RedisOpenError {
    let reason = format!(
        "the state under '{}' has the format of an older version ({OLD_FORMAT}) and must be \
         upgraded: {why}",
        access.prefix
    );
    RedisOpenError::Unfit { place: access.place(), reason }
}

async fn rewrite(access: &RedisAccess, found: Fetched) -> Result<(), StoreError> {
    let sidecars = access.connection.count_listeners().await.map_err(|fault| fault.unsent())?;
    if sidecars > 0 {
        let why = format!("{sidecars} sidecars serve it; stop them first");
        return Err(StoreError::Unavailable(why));
    }
    let mut import = RedisImport::for_upgrade(access, found);
    for hash in OLD_ROWS {
        let key = access.keys.old_key(hash);
        let mut cursor = 0;
        let mut seen = BTreeSet::new();
        loop {
            let page = read_page(access, &key, cursor).await;
            let (next, parts) = page.map_err(|fault| fault.unsent())?;
            // If the hash shrinks meanwhile, a scan may return a row twice.
            let parts = parts.into_iter().filter(|part| match part {
                Part::Row(row) => seen.insert(row.id()),
                Part::Event(_) => true,
            });
            import.take(parts.collect()).await?;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
    }
    Box::new(import).finish().await
}

/// Some rows of a hash, and the next cursor, which is zero at the end.
async fn read_page(
    access: &RedisAccess,
    key: &str,
    cursor: u64,
) -> Result<(u64, Vec<Part>), RedisFault> {
    let mut scan = redis::cmd("HSCAN");
    scan.arg(key).arg(cursor).arg("COUNT").arg(SCAN_ROWS);
    let scan = &scan;
    let run = access.connection.run(|mut redis| async move { scan.query_async(&mut redis).await });
    let (next, fields): (u64, Vec<redis::Value>) = run.await?;
    let mut parts = Vec::new();
    // Names and values alternate.
    for value in fields.into_iter().skip(1).step_by(2) {
        parts.extend(row(value)?.map(|(row, _)| Part::Row(row)));
    }
    Ok((next, parts))
}
