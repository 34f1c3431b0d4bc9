//! Migrating a Redis: the data of the Python reference becomes ours when the store
//! is first opened. The reference's own keys stay as they are and serve as the
//! backup.
//!
//! A Redis is shared with other programs, and many of them use names like the
//! reference's (`session:…`, `kv:…`). Therefore, unless [`MoveIn`] says otherwise,
//! nothing is migrated unless something is found that only the reference writes.
//! And one database is migrated to one prefix only, which is stored under
//! [`MIGRATED_TO`], because claims and leases must not continue in two states.

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::items;
use super::scan::{self, KeyName};
use crate::machine::ClusterMs;
use crate::store::error::StoreError;
use crate::store::export::{Part, StoreImport};
use crate::store::migration::convert::convert;
use crate::store::migration::model::Converted;
use crate::store::redis::access::RedisAccess;
use crate::store::redis::error::{RedisFault, RedisOpenError};
use crate::store::redis::fetch::Fetched;
use crate::store::redis::import::RedisImport;
use crate::store::redis::options::MoveIn;

/// How many parts one round trip sends.
const SENT_PARTS: usize = 500;

/// The key that holds the prefix to which this database was migrated. It is set
/// before anything is written, so that a sidecar which finds its own prefix there
/// completes an earlier attempt.
const MIGRATED_TO: &str = "{mcp-state-sidecar}:moved-in";

/// Migrates the reference's data if there is no state yet. Returns whether there is
/// one now.
///
/// # Errors
/// A key with one of the reference's names does not have its format, or the data
/// cannot be migrated now. There is still no state.
pub(in crate::store) async fn migrate(
    access: &RedisAccess,
    found: &Fetched,
) -> Result<bool, RedisOpenError> {
    let Some(names) = unmigrated(access, found).await? else { return Ok(false) };
    let (names, now) = (&names, found.now);
    let items = run(access, async |redis| scan::read(redis, names, now).await).await?;
    let reference = items::gather(items, now).map_err(|foreign| RedisOpenError::Unfit {
        place: access.place(),
        reason: format!(
            "{foreign}: neither the Python reference's nor ours; remove the key, give this store \
             a database of its own (redis://HOST/1), or begin without what the reference stored \
             (SIDECAR_REDIS_MOVE_IN=never)"
        ),
    })?;
    let converted = convert(&reference, now);
    if run(access, async |redis| mark(access, redis).await).await?.is_some() {
        return Ok(false);
    }
    let revision = converted.meta.revision;
    if import(access, converted).await? {
        tracing::info!(%revision, "took over what the Python reference had stored");
    }
    Ok(true)
}

/// Checks that there is nothing that [`migrate`] would migrate.
///
/// # Errors
/// There is.
pub(in crate::store) async fn refuse_unmigrated(
    access: &RedisAccess,
    found: &Fetched,
) -> Result<(), RedisOpenError> {
    let Some(names) = unmigrated(access, found).await? else { return Ok(()) };
    let keys = names.len();
    Err(RedisOpenError::Unfit {
        place: access.place(),
        reason: format!(
            "what the Python reference stored ({keys} keys) has not been taken over yet; start a \
             sidecar here once, or do without it (SIDECAR_REDIS_MOVE_IN=never)"
        ),
    })
}

/// The reference's keys, if nobody has migrated them yet.
async fn unmigrated(
    access: &RedisAccess,
    found: &Fetched,
) -> Result<Option<Vec<KeyName>>, RedisOpenError> {
    if found.version > 0 || access.move_in == MoveIn::Never {
        return Ok(None);
    }
    run(access, async |redis| match find_keys(access, redis, found.now).await {
        // Data that this user may not read is not ours to migrate.
        Err(error) if access.move_in == MoveIn::Auto && error.code() == Some("NOPERM") => {
            tracing::warn!(
                %error,
                "the user in REDIS_URL may not see whether the Python reference stored something; \
                 nothing of it is taken over"
            );
            Ok(None)
        }
        keys => keys,
    })
    .await
}

async fn find_keys(
    access: &RedisAccess,
    redis: &mut MultiplexedConnection,
    now: ClusterMs,
) -> RedisResult<Option<Vec<KeyName>>> {
    if other_prefix(access, redis).await?.is_some() {
        return Ok(None);
    }
    let names = scan::names(redis).await?;
    let is_certain = match access.move_in {
        MoveIn::Always => true,
        MoveIn::Auto | MoveIn::Never => scan::prove(redis, &names, now).await?,
    };
    if is_certain && !names.is_empty() {
        return Ok(Some(names));
    }
    if let Some(first) = names.first() {
        tracing::warn!(
            keys = names.len(),
            such_as = %String::from_utf8_lossy(first),
            "nothing is taken over: some keys have names that the Python reference uses, but none \
             of them is certainly the reference's (a run, a lease). If they are, set \
             SIDECAR_REDIS_MOVE_IN=always before anything is stored; if not, set it to never"
        );
    }
    Ok(None)
}

/// The prefix to which this database was migrated, if it is not ours.
async fn other_prefix(
    access: &RedisAccess,
    redis: &mut MultiplexedConnection,
) -> RedisResult<Option<String>> {
    let prefix: Option<String> = redis::cmd("GET").arg(MIGRATED_TO).query_async(redis).await?;
    let other = prefix.filter(|prefix| *prefix != access.prefix);
    if let Some(prefix) = &other {
        tracing::warn!(
            %prefix,
            key = MIGRATED_TO,
            "what the Python reference stored was taken over under another prefix, as this key \
             says; this state begins without it"
        );
    }
    Ok(other)
}

/// Marks the database as migrated to our prefix. If it was migrated to another one,
/// that is returned.
async fn mark(
    access: &RedisAccess,
    redis: &mut MultiplexedConnection,
) -> RedisResult<Option<String>> {
    let mut set = redis::cmd("SET");
    set.arg(MIGRATED_TO).arg(&access.prefix).arg("NX");
    set.query_async::<()>(redis).await?;
    other_prefix(access, redis).await
}

/// Imports the converted data. Returns false if another sidecar was faster.
async fn import(access: &RedisAccess, converted: Converted) -> Result<bool, RedisOpenError> {
    let Err(error) = send(access, converted).await else { return Ok(true) };
    // Another sidecar may have done the same at the same time. The error does not
    // say, because a full Redis refuses an import just as an existing state does.
    match access.find_state().await {
        Ok((found, _)) if found.version > 0 => Ok(false),
        Ok(_) | Err(_) => Err(RedisOpenError::Unfit {
            place: access.place(),
            reason: format!("what the Python reference stored cannot be taken over: {error}"),
        }),
    }
}

async fn send(access: &RedisAccess, converted: Converted) -> Result<(), StoreError> {
    let Converted { meta, rows, events } = converted;
    let mut import = RedisImport::for_migration(access, meta);
    let parts: Vec<Part> =
        rows.into_iter().map(Part::Row).chain(events.into_iter().map(Part::Event)).collect();
    for parts in parts.chunks(SENT_PARTS) {
        import.take(parts.to_vec()).await?;
    }
    Box::new(import).finish().await
}

/// Runs `request` on the connection of `access`.
async fn run<T>(
    access: &RedisAccess,
    request: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
) -> Result<T, RedisOpenError> {
    let mut redis = access.connection.connect().await.map_err(|fault| access.open_error(fault))?;
    let answer = request(&mut redis).await;
    answer.map_err(|error| access.open_error(RedisFault::of(&error)))
}
