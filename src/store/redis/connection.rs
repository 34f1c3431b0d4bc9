//! The link: a connection to the primary that is made again when it breaks,
//! and the two scripts that go over it. Every server that is met is asked
//! first whether the promises of this store can hold on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{InfoDict, Script, Value};
use tokio::sync::Mutex;

use super::address::RedisAddress;
use super::error::RedisFault;
use super::fetch::{Fetch, Fetched, Reading};
use super::layout::{KeyPlace, Keys, script_header};
use super::open::FORMAT;
use super::writes::Write;
use crate::codec::{self, StateRecord};
use crate::machine::{ClusterMs, Meta, Revision};

/// How long a turn lasts if its holder does not hand it on: well above the two
/// round trips and the work between them, and short for those who wait when a
/// sidecar dies.
pub const TURN_MS: u64 = 100;

/// Exclusive ends of ranges of a stream came with it (2021).
const OLDEST: (u32, u32) = (6, 2);

/// One connection, whoever uses it.
pub struct RedisConnection {
    target: Arc<RedisAddress>,
    keys: Arc<Keys>,
    seen: Arc<Seen>,
    /// Who this sidecar is among those that take turns.
    me: String,
    fetch: Script,
    commit: Script,
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Counts connections, so that a broken one is thrown away once.
    generation: AtomicU64,
}

/// What is to be committed.
pub struct Commit<'a> {
    /// What everything was read at, and the id of the commit that made it.
    pub version: u64,
    pub last: &'a str,
    /// Tells this commit from all others.
    pub id: &'a str,
    pub meta: &'a Meta,
    /// The revision that was read.
    pub before: Revision,
    pub commands: &'a [Write],
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// Something else was committed since the rows were read.
    Conflict,
    /// It was sent so long ago that Redis no longer knows.
    Forgotten,
    /// Redis refused a part of it, though it had not refused the same before.
    Broken(String),
}

/// What a fetch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Read,
    /// A commit of several commands: wants the turn, and no more rows than a
    /// script should handle at once.
    Batch,
    /// A commit of one command, however many rows it takes.
    Command,
}

impl Purpose {
    /// Bytes of rows that are taken.
    pub fn bytes_max(self) -> usize {
        match self {
            Purpose::Batch => BATCH_BYTES_MAX,
            Purpose::Read | Purpose::Command => BYTES_MAX,
        }
    }
}

/// Bytes of rows that go into one batch: Redis does nothing else for the few
/// milliseconds that it takes to copy them.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Bytes of rows that a question gives, or one command needs. More than any
/// page that an api sends, less than what Redis's clients may be sent.
const BYTES_MAX: usize = 256 << 20;

/// The newest commit that this sidecar has seen, over any of its links.
#[derive(Default)]
pub struct Seen(std::sync::Mutex<(u64, String)>);

impl RedisConnection {
    pub fn new(
        target: Arc<RedisAddress>,
        keys: Arc<Keys>,
        seen: Arc<Seen>,
        me: String,
    ) -> RedisConnection {
        RedisConnection {
            target,
            keys,
            me,
            seen,
            fetch: script(include_str!("fetch.lua")),
            commit: script(include_str!("commit.lua")),
            connection: Mutex::new(None),
            generation: AtomicU64::new(0),
        }
    }

    /// Who this sidecar is among those that take turns.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// Reads. `now` is the time where it is not the server's own.
    pub async fn fetch(
        &self,
        fetch: &Fetch,
        purpose: Purpose,
        now: Option<ClusterMs>,
    ) -> Result<Reading, RedisFault> {
        let me = match purpose {
            Purpose::Read => "",
            Purpose::Batch | Purpose::Command => &*self.me,
        };
        let now = now.map(|now| now.0.to_string()).unwrap_or_default();
        let (seen, id) = self.seen.get();
        let mut call = self.fetch.prepare_invoke();
        call.key(self.keys.all()).arg(me).arg(TURN_MS).arg(now).arg(seen).arg(id);
        call.arg(purpose.bytes_max()).arg(Fetch::deadlines()).arg(fetch.args());
        let read = Fetched::read(self.invoke(&call).await?)?;
        if let Reading::Fetched(fetched) = &read {
            self.seen.note(fetched);
        }
        Ok(read)
    }

    /// As [`RedisConnection::fetch`], for one who reads no more than can be taken.
    pub async fn read(&self, fetch: &Fetch, now: Option<ClusterMs>) -> Result<Fetched, RedisFault> {
        match self.fetch(fetch, Purpose::Read, now).await? {
            Reading::Fetched(fetched) => Ok(*fetched),
            Reading::Much => {
                let mib = BYTES_MAX >> 20;
                Err(RedisFault::Refused(format!(
                    "what was asked for is over {mib} MiB; ask for less"
                )))
            }
            Reading::Wait => Err(RedisFault::Damaged("a reader was told to wait".into())),
        }
    }

    /// Commits, and hands the turn on.
    pub async fn commit(&self, commit: &Commit<'_>) -> Result<Committed, RedisFault> {
        let state = codec::encode_state_record(&StateRecord::Meta(commit.meta.clone()));
        let Meta { clock, revision: Revision(revision), .. } = commit.meta;
        let mut call = self.commit.prepare_invoke();
        call.key(self.keys.all()).arg(&self.me).arg(TURN_MS).arg(&self.keys.channel);
        call.arg(commit.version).arg(commit.last).arg(commit.id).arg(FORMAT).arg(&state[..]);
        call.arg(clock.0).arg(*revision).arg(commit.before.0);
        for (command, place, args) in commit.commands {
            // Its name and its key are words too.
            call.arg(args.len() + 2).arg(*command).arg(place.number()).arg(args);
        }
        let outcome: String = redis::from_redis_value(self.invoke(&call).await?)
            .map_err(|error| RedisFault::Damaged(error.to_string()))?;
        match &*outcome {
            "done" => {
                self.seen.note_commit(commit.version + 1, commit.id);
                Ok(Committed::Done)
            }
            "conflict" => Ok(Committed::Conflict),
            "forgotten" => Ok(Committed::Forgotten),
            other => match other.strip_prefix("broken ") {
                Some(why) => Ok(Committed::Broken(why.to_owned())),
                None => Err(RedisFault::Damaged(format!("{other}; somebody else wrote there"))),
            },
        }
    }

    /// PoolWorker the turn on without a commit.
    pub async fn pass(&self) -> Result<(), RedisFault> {
        let mut call = self.commit.prepare_invoke();
        call.key(self.keys.all()).arg(&self.me).arg(TURN_MS).arg(&self.keys.channel);
        self.invoke(&call).await.map(drop)
    }

    /// Calls another script over every key.
    pub async fn call(&self, script: &Script, args: &[Vec<u8>]) -> Result<Value, RedisFault> {
        let mut call = script.prepare_invoke();
        call.key(self.keys.all()).arg(args);
        self.invoke(&call).await
    }

    /// Tries every command that the scripts write with, on a key of its own: a
    /// script that were refused one of them half-way would not be undone.
    ///
    /// # Errors
    /// The user may not write so; nothing is left behind.
    pub async fn prove(&self) -> Result<(), RedisFault> {
        let prove = Script::new(include_str!("prove.lua"));
        let mut call = prove.prepare_invoke();
        call.key(format!("{}:proof", self.keys.of(KeyPlace::Meta))).arg(&self.keys.channel);
        let mut connection = self.connection().await?;
        let proved: Result<Value, _> = call.invoke_async(&mut connection).await;
        match proved {
            Ok(_) => Ok(()),
            Err(error) => Err(RedisFault::of(&error)),
        }
    }

    /// A connection for other commands.
    pub async fn connection(&self) -> Result<MultiplexedConnection, RedisFault> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        // Boxed: it is large, seldom awaited, and deeper than the compiler counts.
        let making: BoxFuture<'_, Result<MultiplexedConnection, RedisFault>> = Box::pin(async {
            let mut made = self.target.connect().await?;
            judge(&mut made).await?;
            Ok(made)
        });
        let made = making.await?;
        *connection = Some(made.clone());
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(made)
    }

    async fn invoke(&self, call: &redis::ScriptInvocation<'_>) -> Result<Value, RedisFault> {
        let mut connection = self.connection().await?;
        let generation = self.generation.load(Ordering::Acquire);
        // Boxed: see [`RedisConnection::connection`].
        let answering: BoxFuture<'_, Result<Value, _>> =
            Box::pin(call.invoke_async(&mut connection));
        let fault = match answering.await {
            Ok(value) => return Ok(value),
            Err(error) => RedisFault::of(&error),
        };
        match &fault {
            RedisFault::Gone(_) | RedisFault::NotNow(_) => self.give_up(generation).await,
            RedisFault::Unreached(_) | RedisFault::Refused(_) | RedisFault::Damaged(_) => {}
        }
        Err(fault)
    }

    /// Throws the connection away, unless somebody has made a new one already.
    async fn give_up(&self, generation: u64) {
        let mut connection = self.connection.lock().await;
        if self.generation.load(Ordering::Acquire) == generation {
            *connection = None;
        }
    }
}

impl Seen {
    fn get(&self) -> (u64, String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the newest; where what was seen is gone, what is there now.
    fn note(&self, fetched: &Fetched) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.version > seen.0 || fetched.astray {
            *seen = (fetched.version, fetched.last.clone());
        }
    }

    /// A commit of one's own, or one that was told.
    fn note_commit(&self, version: u64, id: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if version > seen.0 {
            *seen = (version, id.to_owned());
        }
    }
}

/// A script that knows the keys by the names of their places.
pub fn script(code: &str) -> Script {
    Script::new(&(script_header() + code))
}

/// Whether a server can keep what this store promises.
async fn judge(connection: &mut MultiplexedConnection) -> Result<(), RedisFault> {
    let info: Result<InfoDict, _> =
        redis::cmd("INFO").arg("everything").query_async(connection).await;
    judge_info(&info.map_err(|error| RedisFault::before_sending(&error))?)
}

fn judge_info(info: &InfoDict) -> Result<(), RedisFault> {
    let text = |name: &str| info.get::<String>(name).unwrap_or_default();
    let version = text("redis_version");
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST {
        let (major, minor) = OLDEST;
        return Err(RedisFault::Refused(format!(
            "version {version} is too old: {major}.{minor} or newer is needed"
        )));
    }
    if text("cluster_enabled") == "1" {
        return Err(RedisFault::Refused(
            "a node of a Redis Cluster: the history's chain is one thread, so all keys belong \
             into one slot of one primary; use a Redis without cluster mode"
                .into(),
        ));
    }
    let policy = text("maxmemory_policy");
    if policy.starts_with("allkeys") {
        return Err(RedisFault::Refused(format!(
            "its maxmemory-policy {policy} would throw rows away; set noeviction"
        )));
    }
    if text("role") != "master" {
        return Err(RedisFault::NotNow("a replica, which takes no writes".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(version: &str, role: &str, policy: &str, cluster: u8) -> Result<(), RedisFault> {
        judge_info(&InfoDict::new(&format!(
            "redis_version:{version}\r\nrole:{role}\r\nmaxmemory_policy:{policy}\r\n\
             cluster_enabled:{cluster}\r\n"
        )))
    }

    #[test]
    fn servers_that_cannot_keep_the_promises_are_told_apart() {
        for version in ["6.2.0", "6.10.1", "7.0.15", "10.0.0"] {
            assert!(judged(version, "master", "noeviction", 0).is_ok(), "{version}");
            assert!(judged(version, "master", "volatile-lru", 0).is_ok(), "{version}");
        }
        for version in ["5.0.14", "6.0.16", "6.1.240", ""] {
            let refused = judged(version, "master", "noeviction", 0);
            assert!(matches!(refused, Err(RedisFault::Refused(_))), "{version}: {refused:?}");
        }
        let evicts = judged("7.0.0", "master", "allkeys-lru", 0);
        assert!(matches!(evicts, Err(RedisFault::Refused(_))), "{evicts:?}");
        let cluster = judged("7.0.0", "master", "noeviction", 1);
        assert!(matches!(cluster, Err(RedisFault::Refused(_))), "{cluster:?}");
        // A replica may be a primary in a moment.
        let replica = judged("7.0.0", "slave", "noeviction", 0);
        assert!(matches!(replica, Err(RedisFault::NotNow(_))), "{replica:?}");
    }
}
