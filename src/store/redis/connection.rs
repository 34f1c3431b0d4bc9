//! The connection to the primary. It is made again when it breaks, and it runs the
//! scripts that read and commit. Every server is checked before it is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script, Value};
use tokio::sync::Mutex;

use super::address::RedisAddress;
use super::error::RedisFault;
use super::fetch::{Fetch, FetchOutcome, Fetched};
use super::layout::{FORMAT, RedisKey, RedisKeys, script_header};
use super::server_check::check_server;
use super::writes::RedisCommand;
use crate::codec::{self, StateRecord};
use crate::machine::{ClusterMs, Meta, Revision};

/// How long a turn lasts if its holder does not pass it on. It is much longer than
/// the two round trips and the work between them, and short for those who wait
/// when a sidecar dies.
pub const TURN_MS: u64 = 100;

/// How many bytes of rows one batch may read. While Redis copies them, which takes
/// a few milliseconds, it does nothing else.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How many bytes of rows one question or one command may read. It is more than
/// any page that an API returns, and less than Redis may send to a client.
const READ_BYTES_MAX: usize = 256 << 20;

/// One connection, which any number of callers share.
pub struct RedisConnection {
    address: Arc<RedisAddress>,
    keys: Arc<RedisKeys>,
    newest_commit: Arc<NewestCommit>,
    /// The id of this sidecar among those that take turns.
    sidecar: String,
    fetch: Script,
    commit: Script,
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Counts the connections that were made, so that a broken one is dropped only
    /// once.
    generation: AtomicU64,
}

/// A commit that is to be made.
pub struct Commit<'a> {
    /// The version of everything that was read, and the id of the commit that made
    /// that version.
    pub version: u64,
    pub last_commit: &'a str,
    /// The unique id of this commit.
    pub id: &'a str,
    pub meta: &'a Meta,
    /// The revision that was read.
    pub before: Revision,
    pub commands: &'a [RedisCommand],
}

/// The outcome of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// Something else was committed after the rows were read.
    Conflict,
    /// It was sent so long ago that Redis no longer knows its outcome.
    Forgotten,
    /// Redis refused a part of it in the middle, so the state is damaged.
    Broken(String),
}

/// What a fetch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchPurpose {
    Read,
    /// A commit of several commands. It needs the turn and reads no more rows than
    /// one script should handle.
    Batch,
    /// A commit of one command, however many rows that needs.
    Command,
}

impl FetchPurpose {
    /// How many bytes of rows may be read.
    pub fn bytes_max(self) -> usize {
        match self {
            FetchPurpose::Batch => BATCH_BYTES_MAX,
            FetchPurpose::Read | FetchPurpose::Command => READ_BYTES_MAX,
        }
    }
}

/// The number and the id of the newest commit that this sidecar has seen, over any
/// of its connections.
#[derive(Default)]
pub struct NewestCommit(std::sync::Mutex<(u64, String)>);

impl RedisConnection {
    pub fn new(
        address: Arc<RedisAddress>,
        keys: Arc<RedisKeys>,
        newest_commit: Arc<NewestCommit>,
        sidecar: String,
    ) -> RedisConnection {
        RedisConnection {
            address,
            keys,
            newest_commit,
            sidecar,
            fetch: script(include_str!("fetch.lua")),
            commit: script(include_str!("commit.lua")),
            connection: Mutex::new(None),
            generation: AtomicU64::new(0),
        }
    }

    /// The id of this sidecar among those that take turns.
    pub fn sidecar(&self) -> &str {
        &self.sidecar
    }

    /// Reads. `now` is the time, unless it is the server's own.
    pub async fn fetch(
        &self,
        fetch: &Fetch,
        purpose: FetchPurpose,
        now: Option<ClusterMs>,
    ) -> Result<FetchOutcome, RedisFault> {
        let sidecar = match purpose {
            FetchPurpose::Read => "",
            FetchPurpose::Batch | FetchPurpose::Command => &*self.sidecar,
        };
        let now = now.map(|now| now.0.to_string()).unwrap_or_default();
        let (version, id) = self.newest_commit.lock().clone();
        let mut call = self.fetch.prepare_invoke();
        call.key(self.keys.all()).arg(sidecar).arg(TURN_MS).arg(now).arg(version).arg(id);
        call.arg(purpose.bytes_max()).arg(Fetch::deadlines()).arg(fetch.args());
        let outcome = Fetched::read(self.invoke(&call).await?)?;
        if let FetchOutcome::Fetched(fetched) = &outcome {
            self.newest_commit.note_fetched(fetched);
        }
        Ok(outcome)
    }

    /// Reads without wanting to commit; see [`RedisConnection::fetch`].
    pub async fn read(&self, fetch: &Fetch, now: Option<ClusterMs>) -> Result<Fetched, RedisFault> {
        match self.fetch(fetch, FetchPurpose::Read, now).await? {
            FetchOutcome::Fetched(fetched) => Ok(*fetched),
            FetchOutcome::TooLarge => {
                let mib = READ_BYTES_MAX >> 20;
                Err(RedisFault::Refused(format!(
                    "what was asked for is over {mib} MiB; ask for less"
                )))
            }
            FetchOutcome::NotOurTurn => {
                Err(RedisFault::Damaged("a reader was told to wait".into()))
            }
        }
    }

    /// Commits, and passes the turn on.
    pub async fn commit(&self, commit: &Commit<'_>) -> Result<Committed, RedisFault> {
        let state = codec::encode_state_record(&StateRecord::Meta(commit.meta.clone()));
        let Meta { clock, revision: Revision(revision), .. } = commit.meta;
        let mut call = self.commit.prepare_invoke();
        call.key(self.keys.all()).arg(&self.sidecar).arg(TURN_MS).arg(&self.keys.channel);
        call.arg(commit.version).arg(commit.last_commit).arg(commit.id).arg(FORMAT);
        call.arg(&state[..]).arg(clock.0).arg(*revision).arg(commit.before.0);
        for (command, key, args) in commit.commands {
            // The command's name and its key count as words too.
            call.arg(args.len() + 2).arg(*command).arg(key.number()).arg(args);
        }
        let outcome: String = redis::from_redis_value(self.invoke(&call).await?)
            .map_err(|error| RedisFault::Damaged(error.to_string()))?;
        match &*outcome {
            "done" => {
                self.newest_commit.note_own(commit.version + 1, commit.id);
                Ok(Committed::Done)
            }
            "conflict" => Ok(Committed::Conflict),
            "forgotten" => Ok(Committed::Forgotten),
            other => match other.strip_prefix("broken ") {
                Some(why) => Ok(Committed::Broken(why.to_owned())),
                None => Err(RedisFault::Damaged(format!("{other}; another program wrote there"))),
            },
        }
    }

    /// Passes the turn on without a commit.
    pub async fn pass_turn(&self) -> Result<(), RedisFault> {
        let mut call = self.commit.prepare_invoke();
        call.key(self.keys.all()).arg(&self.sidecar).arg(TURN_MS).arg(&self.keys.channel);
        self.invoke(&call).await.map(drop)
    }

    /// Calls another script over every key.
    pub async fn call(&self, script: &Script, args: &[Vec<u8>]) -> Result<Value, RedisFault> {
        let mut call = script.prepare_invoke();
        call.key(self.keys.all()).arg(args);
        self.invoke(&call).await
    }

    /// How many sidecars listen for changes.
    pub async fn count_listeners(&self) -> Result<u64, RedisFault> {
        let mut command = redis::cmd("PUBSUB");
        command.arg("NUMSUB").arg(&self.keys.channel);
        let command = &command;
        let run = self.run(|mut redis| async move { command.query_async(&mut redis).await });
        // Asking changes nothing, so even a lost answer is harmless.
        let (_, count): (String, u64) = run.await.map_err(RedisFault::nothing_sent)?;
        Ok(count)
    }

    /// Executes every command with which the scripts write on a key of its own. A
    /// script that fails in the middle, because a command is not permitted, is not
    /// undone.
    ///
    /// # Errors
    /// The user has no permission to write. Nothing is left behind.
    pub async fn test_permissions(&self) -> Result<(), RedisFault> {
        let script = Script::new(include_str!("test_permissions.lua"));
        let mut call = script.prepare_invoke();
        call.key(format!("{}:proof", self.keys.of(RedisKey::Meta))).arg(&self.keys.channel);
        self.invoke(&call).await.map(drop)
    }

    /// Runs `request` on the connection, which is made first if there is none. If
    /// the request finds that the connection is broken or leads to the wrong server,
    /// the connection is dropped.
    pub async fn run<'a, T, F>(
        &self,
        request: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, RedisFault>
    where
        F: Future<Output = RedisResult<T>> + Send + 'a,
    {
        let connection = self.connect().await?;
        let generation = self.generation.load(Ordering::Acquire);
        // Boxed for the same reasons as in [`RedisConnection::connect`].
        let answering: BoxFuture<'a, RedisResult<T>> = Box::pin(request(connection));
        let fault = match answering.await {
            Ok(value) => return Ok(value),
            Err(error) => RedisFault::of(&error),
        };
        match &fault {
            RedisFault::Gone(_) | RedisFault::NotNow(_) => self.disconnect(generation).await,
            RedisFault::Unreached(_) | RedisFault::Refused(_) | RedisFault::Damaged(_) => {}
        }
        Err(fault)
    }

    async fn invoke(&self, call: &redis::ScriptInvocation<'_>) -> Result<Value, RedisFault> {
        self.run(|mut redis| async move { call.invoke_async(&mut redis).await }).await
    }

    /// The present connection, or a new one.
    pub async fn connect(&self) -> Result<MultiplexedConnection, RedisFault> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        // Boxed, because the future is large, seldom awaited, and nested deeper
        // than the compiler allows.
        let connecting: BoxFuture<'_, Result<MultiplexedConnection, RedisFault>> =
            Box::pin(async {
                let mut made = self.address.connect().await?;
                check_server(&mut made).await?;
                Ok(made)
            });
        let made = connecting.await?;
        *connection = Some(made.clone());
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(made)
    }

    /// Drops the connection, unless somebody has made a new one already.
    async fn disconnect(&self, generation: u64) {
        let mut connection = self.connection.lock().await;
        if self.generation.load(Ordering::Acquire) == generation {
            *connection = None;
        }
    }
}

impl NewestCommit {
    fn lock(&self) -> MutexGuard<'_, (u64, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the newest commit that was read, also if Redis has lost the one that
    /// was recorded.
    fn note_fetched(&self, fetched: &Fetched) {
        let mut newest = self.lock();
        if fetched.version > newest.0 || fetched.lost_commits {
            *newest = (fetched.version, fetched.last_commit.clone());
        }
    }

    /// Records a commit that this sidecar made.
    fn note_own(&self, version: u64, id: &str) {
        let mut newest = self.lock();
        if version > newest.0 {
            *newest = (version, id.to_owned());
        }
    }
}

/// A script with a header that defines the keys by name.
pub fn script(code: &str) -> Script {
    Script::new(&(script_header() + code))
}
