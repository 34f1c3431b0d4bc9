//! Imports: a whole state comes in under keys of its own, in any number of
//! round trips, and takes the place of the present one in a single script.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::connection::{RedisConnection, script};
use super::error::{OpenError, RedisFault};
use super::fetch::Fetched;
use super::layout::{KeyPlace, Keys, OLD_ROWS};
use super::open::{FORMAT, Options, RedisAccess};
use super::upgrade::OLD_FORMAT;
use super::writes::{BYTES_MAX, Write, Writes, bytes_of};
use crate::codec::{self, StateRecord};
use crate::machine::Meta;
use crate::store::StoreError;
use crate::store::export::{NotEmpty, Part, StoreImport};

/// What has come in of an import that was broken off goes by itself after
/// this. Each piece that is sent begins it anew, and none takes so long.
const LEFT_BEHIND: Duration = Duration::from_secs(3_600);

/// Why a Redis takes no import. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RedisImportError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{place}, '{prefix}': {refused}")]
    NotEmpty { place: String, prefix: String, refused: NotEmpty },
    /// Under a sidecar that serves the old state, revisions could fall.
    #[error(
        "{place}, '{prefix}': served by {sidecars} sidecars; stop them before their state is \
         replaced"
    )]
    InUse { place: String, prefix: String, sidecars: u64 },
    #[error("{place}: {error}")]
    Store { place: String, error: StoreError },
}

impl RedisImportError {
    /// Whether the target only has to be given up to take the import.
    pub fn is_not_empty(&self) -> bool {
        matches!(self, RedisImportError::NotEmpty { .. })
    }
}

/// What may be there when the state that comes takes its place.
#[derive(Clone, Debug)]
enum Takes {
    /// Nothing.
    Place,
    /// A state, which goes.
    Any,
    /// The same state in its old form, if nothing was committed since this
    /// version and commit; its history stays.
    Form(u64, String),
}

/// A state under a prefix that is being filled.
pub struct RedisImport {
    link: Arc<RedisConnection>,
    keys: Arc<Keys>,
    coming: Keys,
    meta: Meta,
    takes: Takes,
    /// How much was sent to each place. There is less where a name came twice,
    /// or where Redis has lost something.
    sent: BTreeMap<KeyPlace, usize>,
    finished: bool,
}

impl RedisImport {
    /// Begins an import of the state at `meta`; one that is there already goes
    /// only where `replace` says so.
    ///
    /// # Errors
    /// See [`RedisImportError`].
    pub async fn begin(
        options: Options,
        meta: Meta,
        replace: bool,
    ) -> Result<RedisImport, RedisImportError> {
        let way = RedisAccess::to(options)?;
        let (found, format) = way.first_look().await?;
        let found = found.meta.revision;
        let (place, prefix) = (way.place(), way.prefix.clone());
        let failed = |fault: RedisFault| RedisImportError::Store {
            place: way.place(),
            error: fault.unsent(),
        };
        let rows = rows(&way, format).await.map_err(failed)?;
        if !replace && (rows > 0 || found.0 > 0) {
            let refused = NotEmpty { found, rows, incoming: meta.revision };
            return Err(RedisImportError::NotEmpty { place, prefix, refused });
        }
        let sidecars = listeners(&way.link, &way.keys).await.map_err(failed)?;
        if replace && sidecars > 0 {
            return Err(RedisImportError::InUse { place, prefix, sidecars });
        }
        Ok(RedisImport::filling(&way, meta, replace))
    }

    /// An import into a place that was looked at.
    pub(crate) fn filling(way: &RedisAccess, meta: Meta, replace: bool) -> RedisImport {
        RedisImport::taking(way, meta, if replace { Takes::Any } else { Takes::Place })
    }

    /// The rows of the state that was found, in their present form.
    pub(super) fn bringing_up(way: &RedisAccess, found: Fetched) -> RedisImport {
        RedisImport::taking(way, found.meta, Takes::Form(found.version, found.last))
    }

    fn taking(way: &RedisAccess, mut meta: Meta, takes: Takes) -> RedisImport {
        // Counted as the rows come.
        meta.uncount_all();
        let id = format!("{:016x}", rand::random::<u64>());
        RedisImport {
            link: way.link.clone(),
            keys: way.keys.clone(),
            coming: Keys::coming(&way.prefix, &id),
            meta,
            takes,
            sent: BTreeMap::new(),
            finished: false,
        }
    }

    /// Sends in pieces, each of which Redis takes at once.
    async fn send(&mut self, writes: Writes) -> Result<(), RedisFault> {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        for command in writes.commands() {
            let more = bytes_of(&command.2);
            if !piece.is_empty() && bytes + more > BYTES_MAX {
                self.send_piece(std::mem::take(&mut piece)).await?;
                bytes = 0;
            }
            bytes += more;
            piece.push(command);
        }
        self.send_piece(piece).await
    }

    async fn send_piece(&mut self, piece: Vec<Write>) -> Result<(), RedisFault> {
        let mut pipe = redis::pipe();
        for (command, place, args) in piece {
            // An entry of a stream, or pairs of a field and a value, a score
            // and a member.
            let count = if command == "XADD" { 1 } else { args.len() / 2 };
            *self.sent.entry(place).or_default() += count;
            pipe.cmd(command).arg(self.coming.of(place)).arg(args).ignore();
        }
        // Each of them, or those that get nothing for long would go.
        for key in self.coming.all() {
            pipe.cmd("EXPIRE").arg(key).arg(LEFT_BEHIND.as_secs()).ignore();
        }
        let mut connection = self.link.connection().await?;
        let sent: Result<(), _> = pipe.query_async(&mut connection).await;
        sent.map_err(|error| RedisFault::of(&error))
    }

    /// Makes what has come in the state, if nothing is in the way.
    async fn adopt(&mut self) -> Result<(), RedisFault> {
        let (takes, version, last) = match &self.takes {
            Takes::Place => ("place", 0, ""),
            Takes::Any => ("any", 0, ""),
            Takes::Form(version, last) => ("form", *version, &**last),
        };
        if takes != "place" {
            // The script asks again, where its user may.
            let sidecars = listeners(&self.link, &self.keys).await?;
            if sidecars > 0 {
                let why = format!("served by {sidecars} sidecars by now; stop them first");
                return Err(RedisFault::Refused(format!("{why}; nothing was changed")));
            }
        }
        let script = script(include_str!("adopt.lua"));
        let state = codec::encode_state_record(&StateRecord::Meta(self.meta.clone()));
        let mut call = script.prepare_invoke();
        call.key(self.keys.all()).key(self.coming.all()).key(self.keys.old().collect::<Vec<_>>());
        call.arg(takes).arg(version).arg(last).arg(&self.keys.channel).arg(&state[..]);
        call.arg(self.meta.clock.0).arg(self.meta.revision.0);
        call.arg(FORMAT).arg(self.coming.of(KeyPlace::Meta));
        for place in KeyPlace::all() {
            call.arg(self.sent.get(&place).copied().unwrap_or_default());
        }
        let mut connection = self.link.connection().await?;
        let outcome: Result<Option<String>, _> = call.invoke_async(&mut connection).await;
        match outcome.map_err(|error| RedisFault::of(&error))? {
            None => self.finished = true,
            Some(why) => return Err(RedisFault::Refused(format!("{why}; nothing was changed"))),
        }
        Ok(())
    }
}

#[async_trait]
impl StoreImport for RedisImport {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let mut writes = Writes::default();
        for part in &parts {
            match part {
                Part::Row(row) => {
                    self.meta.count(row);
                    writes.row(row);
                }
                Part::Event(event) => writes.event(event),
            }
        }
        self.send(writes).await.map_err(|fault| fault.unsent())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.adopt().await.map_err(|fault| match fault {
            RedisFault::Gone(why) => StoreError::Unknown(format!("redis: {why}")),
            fault => fault.unsent(),
        })
    }
}

impl Drop for RedisImport {
    /// Takes away what has come in. Where that fails, it goes by itself.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (link, keys) = (self.link.clone(), self.coming.all().to_vec());
        runtime.spawn(async move {
            let Ok(mut connection) = link.connection().await else { return };
            let gone: Result<Value, _> =
                redis::cmd("UNLINK").arg(keys).query_async(&mut connection).await;
            if let Err(error) = gone {
                tracing::debug!(%error, "an import that was given up is left to expire");
            }
        });
    }
}

/// How many rows there are, remembered requests among them, expired or not.
async fn rows(way: &RedisAccess, format: u64) -> Result<u64, RedisFault> {
    let hashes: Vec<String> = match format {
        OLD_FORMAT => OLD_ROWS.iter().map(|name| way.keys.old_place(name)).collect(),
        _ => [KeyPlace::Row, KeyPlace::Kept].map(|place| way.keys.of(place).to_owned()).into(),
    };
    let mut pipe = redis::pipe();
    for hash in hashes {
        pipe.hlen(hash);
    }
    let mut connection = way.link.connection().await?;
    let counts: Result<Vec<u64>, _> = pipe.query_async(&mut connection).await;
    counts.map(|counts| counts.iter().sum()).map_err(|error| RedisFault::of(&error))
}

/// Sidecars that listen for changes.
pub(super) async fn listeners(link: &RedisConnection, keys: &Keys) -> Result<u64, RedisFault> {
    let mut connection = link.connection().await?;
    let mut asked = redis::cmd("PUBSUB");
    asked.arg("NUMSUB").arg(&keys.channel);
    let counts: Result<(String, u64), _> = asked.query_async(&mut connection).await;
    // Asking changes nothing.
    counts.map(|(_, count)| count).map_err(|error| RedisFault::before_sending(&error))
}
