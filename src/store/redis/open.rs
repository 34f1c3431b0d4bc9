//! Opening: the state under a prefix is found, or begun where there is none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::RedisStore;
use super::error::{Fault, OpenError};
use super::fetch::{Fetch, Fetched};
use super::layout::{Keys, Place};
use super::link::{Link, Purpose};
use super::listener::Listener;
use super::move_in::move_in;
use super::shared::{RedisClock, Shared};
use super::target::Target;
use super::writer::Writer;

/// The form of what lies in Redis. A program refuses what is newer than it
/// knows.
pub(super) const FORMAT: u64 = 1;

/// How long opening waits for a Redis that is starting or failing over.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// Between two attempts.
const OPEN_RETRY: Duration = Duration::from_millis(100);

/// Where the state is.
#[derive(Clone, Debug)]
pub struct Options {
    /// See [`Target::parse`].
    pub url: String,
    /// What all keys begin with, in braces.
    pub prefix: String,
}

impl Default for Options {
    fn default() -> Self {
        Options { url: "redis://localhost:6379".into(), prefix: "sidecar".into() }
    }
}

impl RedisStore {
    /// Opens the state under the prefix, or begins it.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed.
    pub async fn open(options: Options, clock: RedisClock) -> Result<RedisStore, OpenError> {
        let prefix = options.prefix.clone();
        let (target, keys, reads) = way(options)?;
        let (mut found, _) = first_look(&reads, &keys, &target, &prefix).await?;
        if move_in(&reads, &keys, &target, &prefix, &found).await? {
            (found, _) = first_look(&reads, &keys, &target, &prefix).await?;
        }
        let me = reads.me().to_owned();
        let shared = Shared::new(clock, &found.meta);
        let (end, ended) = watch::channel(());
        // A connection of its own: a commit does not wait behind long lists.
        let writes = Link::new(target.clone(), keys.clone(), me.clone());
        tokio::spawn(Writer::new(writes, shared.clone(), me.clone(), end).run());
        let listener = Listener {
            target,
            keys: keys.clone(),
            link: reads.clone(),
            shared: shared.clone(),
            me,
            version: found.version,
        };
        let listener = AbortOnDropHandle::new(tokio::spawn(listener.run()));
        Ok(RedisStore { shared, keys, link: reads, ended, _listener: listener })
    }
}

/// How a state is reached: where Redis is, the keys, and a link.
pub(super) fn way(options: Options) -> Result<(Arc<Target>, Arc<Keys>, Arc<Link>), OpenError> {
    let target = Arc::new(Target::parse(&options.url)?);
    if !is_prefix(&options.prefix) {
        return Err(OpenError::Prefix(options.prefix));
    }
    let keys = Arc::new(Keys::new(&options.prefix));
    let me = format!("{:016x}", rand::random::<u64>());
    let link = Arc::new(Link::new(target.clone(), keys.clone(), me));
    Ok((target, keys, link))
}

/// Whether keys may begin so: braces would end the hash tag, and patterns of
/// access lists have `*`.
pub fn is_prefix(text: &str) -> bool {
    const CHARS_MAX: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    (1..=CHARS_MAX).contains(&text.len()) && text.chars().all(fits)
}

/// Reads the position, and refuses what it cannot belong to.
pub(super) async fn first_look(
    link: &Link,
    keys: &Keys,
    target: &Target,
    prefix: &str,
) -> Result<(Fetched, u64), OpenError> {
    let place = || target.place.clone();
    let until = Instant::now() + OPEN_WAIT;
    loop {
        let fault = match look(link, keys).await {
            Ok((found, format)) if format <= FORMAT => return Ok((found, format)),
            Ok((_, found)) => {
                let prefix = prefix.to_owned();
                return Err(OpenError::Newer { place: place(), prefix, found, known: FORMAT });
            }
            Err(fault) => fault,
        };
        match fault {
            Fault::Unreached(_) | Fault::Gone(_) | Fault::NotNow(_) if Instant::now() < until => {
                sleep(OPEN_RETRY).await;
            }
            Fault::Unreached(reason) | Fault::Gone(reason) => {
                return Err(OpenError::Unreached { place: place(), reason });
            }
            Fault::NotNow(reason) | Fault::Refused(reason) => {
                return Err(OpenError::Unfit { place: place(), reason });
            }
            Fault::Damaged(reason) => return Err(OpenError::Damaged { place: place(), reason }),
        }
    }
}

async fn look(link: &Link, keys: &Keys) -> Result<(Fetched, u64), Fault> {
    let mut connection = link.connection().await?;
    let meta = keys.of(Place::Meta);
    // Whoever begins the state says in which form it will be.
    let (format,): (u64,) = redis::pipe()
        .cmd("HSETNX")
        .arg(meta)
        .arg("format")
        .arg(FORMAT)
        .ignore()
        .cmd("HGET")
        .arg(meta)
        .arg("format")
        .query_async(&mut connection)
        .await
        .map_err(|error| Fault::of(&error))?;
    let found = link.fetch(&Fetch::default(), Purpose::Read, None).await?;
    let found = found.ok_or_else(|| Fault::Damaged("a reader was told to wait".into()))?;
    Ok((found, format))
}
