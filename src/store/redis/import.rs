//! Imports: a whole state is written under keys of its own, in any number of round
//! trips, and one script puts it in the place of the present state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::RedisResult;

use super::access::RedisAccess;
use super::connection::{RedisConnection, script};
use super::error::{RedisFault, RedisOpenError};
use super::fetch::Fetched;
use super::layout::{FORMAT, OLD_FORMAT, OLD_ROWS, RedisKey, RedisKeys};
use super::options::Options;
use super::writes::{BYTES_MAX, RedisCommand, RedisWrites, size_bytes};
use crate::codec::{self, StateRecord};
use crate::machine::Meta;
use crate::machine::group_counts::GroupCounts;
use crate::store::error::StoreError;
use crate::store::export::{NotEmpty, Part, StoreImport};

/// When the keys of an import that was abandoned expire. Every piece that is sent
/// sets the time again, and no piece takes so long.
const STAGED_TTL: Duration = Duration::from_secs(3_600);

/// Why an import into a Redis was refused. The state there stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum RedisImportError {
    #[error(transparent)]
    Open(#[from] RedisOpenError),
    #[error("{place}, '{prefix}': {refused}")]
    NotEmpty { place: String, prefix: String, refused: NotEmpty },
    /// A sidecar that serves the old state could see revisions go back.
    #[error(
        "{place}, '{prefix}': served by {sidecars} sidecars; stop them before their state is \
         replaced"
    )]
    InUse { place: String, prefix: String, sidecars: u64 },
    #[error("{place}: {error}")]
    Store { place: String, error: StoreError },
}

impl RedisImportError {
    /// Whether the import would succeed if it could replace the target's state.
    pub fn is_not_empty(&self) -> bool {
        matches!(self, RedisImportError::NotEmpty { .. })
    }
}

/// What may be in the place of the imported state.
#[derive(Clone, Debug)]
enum ExpectedTarget {
    /// Nothing.
    Empty,
    /// Another state, which is removed.
    Any,
    /// The same state in its old format, provided that nothing was committed after
    /// this version and commit. Its history stays.
    OldFormat(u64, String),
}

/// A state under a prefix that is being filled.
pub struct RedisImport {
    connection: Arc<RedisConnection>,
    keys: Arc<RedisKeys>,
    staged: RedisKeys,
    meta: Meta,
    groups: GroupCounts,
    target: ExpectedTarget,
    /// How many elements were sent to each key. Redis has fewer if a name was sent
    /// twice or something was lost.
    sent: BTreeMap<RedisKey, usize>,
    finished: bool,
}

impl RedisImport {
    /// Begins an import of the state at `meta`. Only with `replace` does it replace a
    /// state that is there already.
    ///
    /// # Errors
    /// See [`RedisImportError`].
    pub async fn begin(
        options: Options,
        meta: Meta,
        replace: bool,
    ) -> Result<RedisImport, RedisImportError> {
        let access = RedisAccess::new(options)?;
        let (found, format) = access.find_state().await?;
        let found = found.meta.revision;
        let (place, prefix) = (access.place(), access.prefix.clone());
        let failed = |fault: RedisFault| RedisImportError::Store {
            place: access.place(),
            error: fault.unsent(),
        };
        let rows = count_rows(&access, format).await.map_err(failed)?;
        if !replace && (rows > 0 || found.0 > 0) {
            let refused = NotEmpty { found, rows, incoming: meta.revision };
            return Err(RedisImportError::NotEmpty { place, prefix, refused });
        }
        let sidecars = access.connection.count_listeners().await.map_err(failed)?;
        if replace && sidecars > 0 {
            return Err(RedisImportError::InUse { place, prefix, sidecars });
        }
        let target = if replace { ExpectedTarget::Any } else { ExpectedTarget::Empty };
        Ok(RedisImport::new(&access, meta, target))
    }

    /// An import of migrated data into a place where no state was found.
    pub(in crate::store) fn for_migration(access: &RedisAccess, meta: Meta) -> RedisImport {
        RedisImport::new(access, meta, ExpectedTarget::Empty)
    }

    /// An import of a state's own rows in the current format.
    pub(super) fn for_upgrade(access: &RedisAccess, found: Fetched) -> RedisImport {
        let target = ExpectedTarget::OldFormat(found.version, found.last_commit);
        RedisImport::new(access, found.meta, target)
    }

    fn new(access: &RedisAccess, mut meta: Meta, target: ExpectedTarget) -> RedisImport {
        // Adding the rows counts them again.
        meta.uncount_all();
        let id = format!("{:016x}", rand::random::<u64>());
        RedisImport {
            connection: access.connection.clone(),
            keys: access.keys.clone(),
            staged: RedisKeys::staged(&access.prefix, &id),
            meta,
            groups: GroupCounts::default(),
            target,
            sent: BTreeMap::new(),
            finished: false,
        }
    }

    /// Sends writes in pieces that are small enough for Redis.
    async fn send(&mut self, writes: RedisWrites) -> Result<(), RedisFault> {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        for command in writes.commands() {
            let more = size_bytes(&command.2);
            if !piece.is_empty() && bytes + more > BYTES_MAX {
                self.send_piece(std::mem::take(&mut piece)).await?;
                bytes = 0;
            }
            bytes += more;
            piece.push(command);
        }
        self.send_piece(piece).await
    }

    async fn send_piece(&mut self, piece: Vec<RedisCommand>) -> Result<(), RedisFault> {
        let mut pipe = redis::pipe();
        for (command, key, args) in piece {
            // XADD has one entry. The other commands have pairs: a field and a value, or
            // a score and a member.
            let count = if command == "XADD" { 1 } else { args.len() / 2 };
            *self.sent.entry(key).or_default() += count;
            pipe.cmd(command).arg(self.staged.of(key)).arg(args).ignore();
        }
        // All keys are renewed, because some may get nothing for a long time.
        for key in self.staged.all() {
            pipe.cmd("EXPIRE").arg(key).arg(STAGED_TTL.as_secs()).ignore();
        }
        let pipe = &pipe;
        self.connection.run(|mut redis| async move { pipe.query_async(&mut redis).await }).await
    }

    /// Puts the imported state in its place, if nothing prevents that.
    async fn adopt(&mut self) -> Result<(), RedisFault> {
        let (target, version, last_commit) = match &self.target {
            ExpectedTarget::Empty => ("empty", 0, ""),
            ExpectedTarget::Any => ("any", 0, ""),
            ExpectedTarget::OldFormat(version, last_commit) => {
                ("old format", *version, &**last_commit)
            }
        };
        if target != "empty" {
            // The script checks this again, if its user has the permission.
            let sidecars = self.connection.count_listeners().await?;
            if sidecars > 0 {
                let why = format!("served by {sidecars} sidecars by now; stop them first");
                return Err(RedisFault::Refused(format!("{why}; nothing was changed")));
            }
        }
        let script = script(include_str!("adopt.lua"));
        let state = codec::encode_state_record(&StateRecord::Meta(self.meta.clone()));
        let mut call = script.prepare_invoke();
        call.key(self.keys.all()).key(self.staged.all()).key(self.keys.old().collect::<Vec<_>>());
        call.arg(target).arg(version).arg(last_commit).arg(&self.keys.channel).arg(&state[..]);
        call.arg(self.meta.clock.0).arg(self.meta.revision.0);
        call.arg(FORMAT).arg(self.staged.of(RedisKey::Meta));
        for key in RedisKey::all() {
            call.arg(self.sent.get(&key).copied().unwrap_or_default());
        }
        let call = &call;
        let run =
            self.connection.run(|mut redis| async move { call.invoke_async(&mut redis).await });
        let refusal: Option<String> = run.await?;
        match refusal {
            None => self.finished = true,
            Some(why) => return Err(RedisFault::Refused(format!("{why}; nothing was changed"))),
        }
        Ok(())
    }
}

#[async_trait]
impl StoreImport for RedisImport {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let mut writes = RedisWrites::default();
        for part in &parts {
            match part {
                Part::Row(row) => {
                    self.meta.count(row);
                    self.groups.count(row);
                    writes.row(row);
                }
                Part::Event(event) => writes.event(event),
            }
        }
        self.send(writes).await.map_err(|fault| fault.unsent())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let mut writes = RedisWrites::default();
        std::mem::take(&mut self.groups).into_rows().for_each(|row| writes.row(&row));
        self.send(writes).await.map_err(|fault| fault.unsent())?;
        self.adopt().await.map_err(|fault| match fault {
            RedisFault::Gone(why) => StoreError::Unknown(format!("redis: {why}")),
            fault => fault.unsent(),
        })
    }
}

impl Drop for RedisImport {
    /// Removes the staged keys. If that fails, they expire.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (connection, keys) = (self.connection.clone(), self.staged.all().to_vec());
        runtime.spawn(async move {
            let unlink = async |mut redis| -> RedisResult<()> {
                redis::cmd("UNLINK").arg(keys).query_async(&mut redis).await
            };
            if let Err(fault) = connection.run(unlink).await {
                tracing::debug!(%fault, "an import that was given up is left to expire");
            }
        });
    }
}

/// The number of rows, including remembered requests and expired rows.
async fn count_rows(access: &RedisAccess, format: u64) -> Result<u64, RedisFault> {
    let hashes: Vec<String> = match format {
        OLD_FORMAT => OLD_ROWS.iter().map(|name| access.keys.old_key(name)).collect(),
        _ => [RedisKey::Row, RedisKey::Kept].map(|key| access.keys.of(key).to_owned()).into(),
    };
    let mut pipe = redis::pipe();
    for hash in hashes {
        pipe.hlen(hash);
    }
    let pipe = &pipe;
    let run = access.connection.run(|mut redis| async move { pipe.query_async(&mut redis).await });
    let counts: Vec<u64> = run.await?;
    Ok(counts.iter().sum())
}
