//! Opening: the state under a prefix is found, or begun where there is none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::RedisStore;
use super::address::RedisAddress;
use super::connection::{RedisConnection, Seen};
use super::error::{OpenError, RedisFault};
use super::fetch::{Fetch, Fetched};
use super::layout::{KeyPlace, Keys};
use super::listener::CommitListener;
use super::shared::{RedisClock, RedisShared};
use super::upgrade::{OLD_FORMAT, bring_up, refuse_old};
use super::writer::RedisWriter;
use crate::store::migration::redis::migrate::{MoveIn, move_in, refuse_left};

/// The form of what lies in Redis. A program refuses what is newer than it
/// knows.
pub(super) const FORMAT: u64 = 2;

/// How long opening waits for a Redis that is starting or failing over.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// Between two attempts.
const OPEN_RETRY: Duration = Duration::from_millis(100);

/// Where the state is.
#[derive(Clone, Debug)]
pub struct Options {
    /// In one of the forms that docs/redis.md lists: `redis://…`, `rediss://…`,
    /// `redis+unix://…`, `redis+sentinel://…`.
    pub url: String,
    /// What all keys begin with, in braces.
    pub prefix: String,
    /// Whether what lies under the Python reference's names becomes the state.
    pub move_in: MoveIn,
    /// How large the state may become by what this sidecar orders, in bytes as
    /// [`crate::machine::size`] counts them.
    pub state_bytes_max: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "redis://localhost:6379".into(),
            prefix: "sidecar".into(),
            move_in: MoveIn::default(),
            state_bytes_max: None,
        }
    }
}

/// How a state is reached.
pub(crate) struct RedisAccess {
    pub target: Arc<RedisAddress>,
    pub keys: Arc<Keys>,
    pub link: Arc<RedisConnection>,
    pub seen: Arc<Seen>,
    pub prefix: String,
    pub move_in: MoveIn,
    pub state_bytes_max: Option<u64>,
}

impl RedisStore {
    /// Opens the state under the prefix, or begins it; where the Python
    /// reference left one, takes that over as [`MoveIn`] says.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed.
    pub async fn open(options: Options, clock: RedisClock) -> Result<RedisStore, OpenError> {
        let way = RedisAccess::to(options)?;
        let (mut found, format) = way.first_look().await?;
        way.link.prove().await.map_err(|fault| way.refused(fault))?;
        if format == OLD_FORMAT {
            bring_up(&way, found).await?;
            found = way.first_look().await?.0;
        } else if move_in(&way, &found).await? {
            found = way.first_look().await?.0;
        }
        Ok(RedisStore::at(way, found, clock))
    }

    /// Opens the state under the prefix to read it out: nothing is written.
    ///
    /// # Errors
    /// See [`OpenError`]; one of them is that the Python reference or an older
    /// version left a state that has not been taken over.
    pub async fn open_to_read(
        options: Options,
        clock: RedisClock,
    ) -> Result<RedisStore, OpenError> {
        let way = RedisAccess::to(options)?;
        let (found, format) = way.first_look().await?;
        if format == OLD_FORMAT {
            return Err(refuse_old(&way));
        }
        refuse_left(&way, &found).await?;
        Ok(RedisStore::at(way, found, clock))
    }

    fn at(way: RedisAccess, found: Fetched, clock: RedisClock) -> RedisStore {
        let shared = RedisShared::new(clock, &found.meta, way.state_bytes_max);
        let (end, ended) = watch::channel(());
        // A connection of its own: a commit does not wait behind long lists.
        let me = way.link.me().to_owned();
        let writes = way.link_anew();
        tokio::spawn(RedisWriter::new(writes, shared.clone(), end).run());
        let RedisAccess { target, keys, link, .. } = way;
        let listener = CommitListener {
            target,
            keys: keys.clone(),
            link: link.clone(),
            shared: shared.clone(),
            me,
            heard: found.meta.revision,
            looked: found.meta.revision,
        };
        let listener = AbortOnDropHandle::new(tokio::spawn(listener.run()));
        RedisStore { shared, link, ended, _listener: listener }
    }
}

impl RedisAccess {
    /// The way that `options` describe; nothing is asked yet.
    pub fn to(options: Options) -> Result<RedisAccess, OpenError> {
        let Options { url, prefix, move_in, state_bytes_max } = options;
        let target = Arc::new(RedisAddress::parse(&url)?);
        if !is_prefix(&prefix) {
            return Err(OpenError::Prefix(prefix));
        }
        let keys = Arc::new(Keys::new(&prefix));
        let me = format!("{:016x}", rand::random::<u64>());
        let seen = Arc::new(Seen::default());
        let link = Arc::new(RedisConnection::new(target.clone(), keys.clone(), seen.clone(), me));
        Ok(RedisAccess { target, keys, link, seen, prefix, move_in, state_bytes_max })
    }

    /// Reads the position and the form of what lies there, and refuses what it
    /// cannot belong to.
    pub async fn first_look(&self) -> Result<(Fetched, u64), OpenError> {
        let until = Instant::now() + OPEN_WAIT;
        let mut link = self.link.clone();
        loop {
            match self.look(&link).await {
                Ok((found, format)) if format <= FORMAT => return Ok((found, format)),
                Ok((_, found)) => {
                    let (place, prefix) = (self.place(), self.prefix.clone());
                    return Err(OpenError::Newer { place, prefix, found, known: FORMAT });
                }
                Err(RedisFault::Unreached(_) | RedisFault::Gone(_) | RedisFault::NotNow(_))
                    if Instant::now() < until =>
                {
                    sleep(OPEN_RETRY).await;
                    // A connection that broke stays broken.
                    link = Arc::new(self.link_anew());
                }
                Err(fault) => return Err(self.refused(fault)),
            }
        }
    }

    /// A link of its own to the same place.
    fn link_anew(&self) -> RedisConnection {
        let (target, keys, seen) = (self.target.clone(), self.keys.clone(), self.seen.clone());
        RedisConnection::new(target, keys, seen, self.link.me().to_owned())
    }

    /// Where this leads, for people.
    pub fn place(&self) -> String {
        self.target.place.clone()
    }

    /// What a fault means to whoever opens.
    pub fn refused(&self, fault: RedisFault) -> OpenError {
        let place = self.place();
        match fault {
            RedisFault::Unreached(reason) | RedisFault::Gone(reason) => {
                OpenError::Unreached { place, reason }
            }
            RedisFault::NotNow(reason) | RedisFault::Refused(reason) => {
                OpenError::Unfit { place, reason }
            }
            RedisFault::Damaged(reason) => OpenError::Damaged { place, reason },
        }
    }

    /// The position, and the form of what lies there.
    async fn look(&self, link: &RedisConnection) -> Result<(Fetched, u64), RedisFault> {
        let format = self.format_over(link).await?.unwrap_or(FORMAT);
        if format > FORMAT {
            // What else is there may not be readable.
            return Ok((Fetched::default(), format));
        }
        Ok((link.read(&Fetch::default(), None).await?, format))
    }

    /// The form of what lies there, if anything does.
    pub async fn format(&self) -> Result<Option<u64>, RedisFault> {
        self.format_over(&self.link).await
    }

    async fn format_over(&self, link: &RedisConnection) -> Result<Option<u64>, RedisFault> {
        let mut connection = link.connection().await?;
        let mut asked = redis::cmd("HGET");
        asked.arg(self.keys.of(KeyPlace::Meta)).arg("format");
        let format: Result<Option<u64>, _> = asked.query_async(&mut connection).await;
        format.map_err(|error| RedisFault::of(&error))
    }
}

/// Whether [`Options::url`] can be this, as far as its form goes.
pub fn is_url(text: &str) -> bool {
    RedisAddress::parse(text).is_ok()
}

/// Whether keys may begin so: braces would end the hash tag, and patterns of
/// access lists have `*`.
pub fn is_prefix(text: &str) -> bool {
    const CHARS_MAX: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    (1..=CHARS_MAX).contains(&text.len()) && text.chars().all(fits)
}
