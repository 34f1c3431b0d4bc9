//! Moving in: a Redis that the Python reference filled becomes ours when it is
//! first opened. The reference's own keys stay as they are, under their own
//! names: they are the copy.
//!
//! A Redis is shared with other programs, and the reference's names are
//! everybody's: `session:…`, `kv:…`. So, unless told otherwise, nothing is
//! taken over before something is found that only the reference writes; and
//! one database is taken over under one prefix, which a key says
//! ([`TAKEN_OVER`]): claims and leases must not go on in two states.

use super::scan::{self, KeyName};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::items;
use crate::machine::ClusterMs;
use crate::store::StoreError;
use crate::store::export::{Part, StoreImport};
use crate::store::migration::convert::convert;
use crate::store::migration::model::Converted;
use crate::store::redis::error::{OpenError, RedisFault};
use crate::store::redis::fetch::Fetched;
use crate::store::redis::import::RedisImport;
use crate::store::redis::open::RedisAccess;

/// Parts sent in one round trip.
const PARTS: usize = 500;

/// The key that holds the prefix under which what the reference left in this
/// database was taken over. It is set before anything is: who finds itself in
/// it goes on with what it had begun.
const TAKEN_OVER: &str = "{mcp-state-sidecar}:moved-in";

/// Whether what lies under the reference's names is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MoveIn {
    /// Where some of it is surely the reference's.
    #[default]
    Auto,
    /// Whatever it is.
    Always,
    /// It is not looked at.
    Never,
}

/// Takes over what the reference left, if the state has not begun yet.
///
/// # Errors
/// Something under the reference's names is not of its form, or cannot be
/// taken over now: the state has not begun.
pub(crate) async fn move_in(way: &RedisAccess, found: &Fetched) -> Result<bool, OpenError> {
    let Some(names) = left(way, found).await? else { return Ok(false) };
    let items = asked(way, async |_, connection| scan::read(connection, &names, found.now).await);
    let left = items::gather(items.await?, found.now).map_err(|fault| OpenError::Unfit {
        place: way.place(),
        reason: format!(
            "{fault}: neither the Python reference's nor ours; remove the key, give this store a \
             database of its own (redis://HOST/1), or begin without what the reference stored \
             (SIDECAR_REDIS_MOVE_IN=never)"
        ),
    })?;
    let converted = convert(&left, found.now);
    if asked(way, mark).await?.is_some() {
        return Ok(false);
    }
    let revision = converted.meta.revision;
    if fill(way, converted).await? {
        tracing::info!(%revision, "took over what the Python reference had stored");
    }
    Ok(true)
}

/// Refuses a place where the reference left what [`move_in`] would take over.
///
/// # Errors
/// It did.
pub(crate) async fn refuse_left(way: &RedisAccess, found: &Fetched) -> Result<(), OpenError> {
    let Some(names) = left(way, found).await? else { return Ok(()) };
    let keys = names.len();
    Err(OpenError::Unfit {
        place: way.place(),
        reason: format!(
            "what the Python reference stored ({keys} keys) has not been taken over yet; start a \
             sidecar here once, or do without it (SIDECAR_REDIS_MOVE_IN=never)"
        ),
    })
}

/// The keys that the reference left and that nobody has taken over.
async fn left(way: &RedisAccess, found: &Fetched) -> Result<Option<Vec<KeyName>>, OpenError> {
    if found.version > 0 || way.move_in == MoveIn::Never {
        return Ok(None);
    }
    asked(way, async |way, connection| {
        match look(way, connection, found.now).await {
            // What we may not see is not there for us.
            Err(error) if way.move_in == MoveIn::Auto && error.code() == Some("NOPERM") => {
                tracing::warn!(
                    %error,
                    "the user in REDIS_URL may not see whether the Python reference stored \
                     something; nothing of it is taken over"
                );
                Ok(None)
            }
            looked => looked,
        }
    })
    .await
}

async fn look(
    way: &RedisAccess,
    connection: &mut MultiplexedConnection,
    now: ClusterMs,
) -> RedisResult<Option<Vec<KeyName>>> {
    if taken_over_as(way, connection).await?.is_some() {
        return Ok(None);
    }
    let names = scan::names(connection).await?;
    let surely = match way.move_in {
        MoveIn::Always => true,
        MoveIn::Auto | MoveIn::Never => scan::prove(connection, &names, now).await?,
    };
    if surely && !names.is_empty() {
        return Ok(Some(names));
    }
    if let Some(first) = names.first() {
        tracing::warn!(
            keys = names.len(),
            such_as = %String::from_utf8_lossy(first),
            "nothing is taken over: keys have names that the Python reference gives too, but \
             nothing here is surely its (a run, a lease). If they are its, set \
             SIDECAR_REDIS_MOVE_IN=always before anything is stored; if not, set it to never"
        );
    }
    Ok(None)
}

/// The other prefix under which this database was taken over already.
async fn taken_over_as(
    way: &RedisAccess,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Option<String>> {
    let prefix: Option<String> = redis::cmd("GET").arg(TAKEN_OVER).query_async(connection).await?;
    let other = prefix.filter(|prefix| *prefix != way.prefix);
    if let Some(prefix) = &other {
        tracing::warn!(
            %prefix,
            key = TAKEN_OVER,
            "what the Python reference stored was taken over under another prefix, as this key \
             says; this state begins without it"
        );
    }
    Ok(other)
}

/// Marks the database as taken over under our prefix, unless it is under
/// another one, which is given then.
async fn mark(
    way: &RedisAccess,
    connection: &mut MultiplexedConnection,
) -> RedisResult<Option<String>> {
    let mut set = redis::cmd("SET");
    set.arg(TAKEN_OVER).arg(&way.prefix).arg("NX");
    set.query_async::<()>(connection).await?;
    taken_over_as(way, connection).await
}

/// Fills our keys; says whether nobody else was first.
async fn fill(way: &RedisAccess, converted: Converted) -> Result<bool, OpenError> {
    let Err(error) = send(way, converted).await else { return Ok(true) };
    // Another sidecar may have done the same at the same time. The error does
    // not tell: a full Redis refuses us just as an old state does.
    match way.first_look().await {
        Ok((found, _)) if found.version > 0 => Ok(false),
        Ok(_) | Err(_) => Err(OpenError::Unfit {
            place: way.place(),
            reason: format!("what the Python reference stored cannot be taken over: {error}"),
        }),
    }
}

async fn send(way: &RedisAccess, converted: Converted) -> Result<(), StoreError> {
    let Converted { meta, rows, events } = converted;
    let mut intake = RedisImport::filling(way, meta, false);
    let parts: Vec<Part> =
        rows.into_iter().map(Part::Row).chain(events.into_iter().map(Part::Event)).collect();
    for some in parts.chunks(PARTS) {
        intake.take(some.to_vec()).await?;
    }
    Box::new(intake).finish().await
}

/// Asks this Redis something.
async fn asked<T>(
    way: &RedisAccess,
    ask: impl AsyncFnOnce(&RedisAccess, &mut MultiplexedConnection) -> RedisResult<T>,
) -> Result<T, OpenError> {
    let mut connection = way.link.connection().await.map_err(|fault| way.refused(fault))?;
    let answer = ask(way, &mut connection).await;
    answer.map_err(|error| way.refused(RedisFault::of(&error)))
}
