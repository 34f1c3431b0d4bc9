//! Imports: a whole state comes in under keys of its own, in any number of
//! round trips, and takes the place of the present one in a single script.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::error::{Fault, OpenError};
use super::fetch::Fetch;
use super::layout::{Keys, Place};
use super::link::{Link, script};
use super::open::{FORMAT, Options, Way};
use super::writes::{BYTES_MAX, Writes, bytes_of};
use crate::codec::{self, StateRecord};
use crate::machine::Meta;
use crate::store::transfer::{Intake, NotEmpty, Part};
use crate::store::{StoreError, row_record};

/// What has come in of an import that was broken off goes by itself after
/// this. Each piece that is sent begins it anew, and none takes so long.
const LEFT_BEHIND: Duration = Duration::from_secs(3_600);

/// Why a Redis takes no import. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
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

impl IntakeError {
    /// Whether the target only has to be given up to take the import.
    pub fn is_not_empty(&self) -> bool {
        matches!(self, IntakeError::NotEmpty { .. })
    }
}

/// A state under a prefix that is being filled.
pub struct RedisIntake {
    link: Arc<Link>,
    keys: Arc<Keys>,
    coming: Keys,
    meta: Meta,
    replace: bool,
    steps: i64,
    /// How much was sent to each place. There is less where a name came twice,
    /// or where Redis has lost something.
    sent: BTreeMap<Place, usize>,
    finished: bool,
}

impl RedisIntake {
    /// Begins an import of the state at `meta`; one that is there already goes
    /// only where `replace` says so.
    ///
    /// # Errors
    /// See [`IntakeError`].
    pub async fn begin(
        options: Options,
        meta: Meta,
        replace: bool,
    ) -> Result<RedisIntake, IntakeError> {
        let way = Way::to(options)?;
        let found = way.first_look().await?.meta.revision;
        let (place, prefix) = (way.place(), way.prefix.clone());
        let failed =
            |fault: Fault| IntakeError::Store { place: way.place(), error: fault.unsent() };
        let rows = rows(&way.link).await.map_err(failed)?;
        if !replace && (rows > 0 || found.0 > 0) {
            let refused = NotEmpty { found, rows, incoming: meta.revision };
            return Err(IntakeError::NotEmpty { place, prefix, refused });
        }
        let sidecars = listeners(&way.link, &way.keys).await.map_err(failed)?;
        if replace && sidecars > 0 {
            return Err(IntakeError::InUse { place, prefix, sidecars });
        }
        Ok(RedisIntake::filling(&way, meta, replace))
    }

    /// An import into a place that was looked at.
    pub(super) fn filling(way: &Way, meta: Meta, replace: bool) -> RedisIntake {
        let id = format!("{:016x}", rand::random::<u64>());
        RedisIntake {
            link: way.link.clone(),
            keys: way.keys.clone(),
            coming: Keys::coming(&way.prefix, &id),
            // Counted as the rows come.
            meta: Meta { state_bytes: 0, ..meta },
            replace,
            steps: 0,
            sent: BTreeMap::new(),
            finished: false,
        }
    }

    /// Sends in pieces, each of which Redis takes at once.
    async fn send(&mut self, writes: Writes) -> Result<(), Fault> {
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

    async fn send_piece(
        &mut self,
        piece: Vec<(&'static str, Place, Vec<Vec<u8>>)>,
    ) -> Result<(), Fault> {
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
        sent.map_err(|error| Fault::of(&error))
    }

    /// Makes what has come in the state, if nothing is in the way.
    async fn adopt(&mut self) -> Result<Adopted, Fault> {
        if self.replace {
            // The script asks again, where its user may.
            let sidecars = listeners(&self.link, &self.keys).await?;
            if sidecars > 0 {
                return Ok(Adopted::InUse(sidecars.to_string()));
            }
        }
        let script = script(include_str!("adopt.lua"));
        let state = codec::encode_state_record(&StateRecord::Meta(self.meta.clone()));
        let mut call = script.prepare_invoke();
        call.key(self.keys.all()).key(self.coming.all());
        call.arg(u8::from(self.replace)).arg(&self.keys.channel).arg(&state[..]);
        call.arg(self.meta.clock.0).arg(self.meta.revision.0).arg(self.steps);
        call.arg(FORMAT).arg(self.coming.of(Place::Meta));
        for place in Place::all() {
            call.arg(self.sent.get(&place).copied().unwrap_or_default());
        }
        let mut connection = self.link.connection().await?;
        let outcome: Result<(String, String), _> = call.invoke_async(&mut connection).await;
        let (outcome, what) = outcome.map_err(|error| Fault::of(&error))?;
        Ok(match &*outcome {
            "done" => {
                self.finished = true;
                Adopted::Done
            }
            "not empty" => Adopted::NotEmpty,
            "in use" => Adopted::InUse(what),
            "incomplete" => Adopted::Incomplete(what),
            "foreign" => Adopted::Foreign(what),
            other => return Err(Fault::Damaged(format!("an import that is '{other}'"))),
        })
    }
}

/// What became of a state that was to be the state. Unless it is done, nothing
/// was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Adopted {
    Done,
    /// Another state came first.
    NotEmpty,
    /// So many sidecars serve what was to be replaced.
    InUse(String),
    /// Less is there than was sent.
    Incomplete(String),
    /// A key of ours holds what is not ours.
    Foreign(String),
}

#[async_trait]
impl Intake for RedisIntake {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let mut writes = Writes::default();
        for part in &parts {
            match part {
                Part::Row(row) => {
                    self.meta.state_bytes += row_record::bytes(row);
                    writes.put_row(row);
                }
                Part::Event(event) => writes.event(event),
            }
        }
        self.steps += writes.steps;
        self.send(writes).await.map_err(|fault| fault.unsent())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let refused = |why: String| Err(StoreError::Unavailable(why));
        match self.adopt().await {
            Ok(Adopted::Done) => Ok(()),
            Ok(Adopted::NotEmpty) => refused(
                "another state has come to this place meanwhile; nothing was changed".into(),
            ),
            Ok(Adopted::InUse(sidecars)) => refused(format!(
                "served by {sidecars} sidecars by now; stop them before their state is replaced; \
                 nothing was changed"
            )),
            Ok(Adopted::Incomplete(what)) => Err(StoreError::Storage(format!(
                "not all that was sent is there: a name came twice, or keys were removed or \
                 evicted ({what}); nothing was changed"
            ))),
            Ok(Adopted::Foreign(what)) => refused(format!(
                "{what}, which another program wrote: set SIDECAR_REDIS_PREFIX; nothing was changed"
            )),
            Err(Fault::Gone(why)) => Err(StoreError::Unknown(format!("redis: {why}"))),
            Err(fault) => Err(fault.unsent()),
        }
    }
}

impl Drop for RedisIntake {
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
async fn rows(link: &Link) -> Result<u64, Fault> {
    let mut fetch = Fetch::default();
    fetch.counts();
    let mut found = link.read(&fetch, None).await?;
    let counts = found.found.pop().map(|found| found.counts()).transpose()?;
    let counts = counts.unwrap_or_default();
    let rows = counts.keys + counts.runs + counts.steps + counts.leases + counts.sessions;
    Ok(rows + found.requests)
}

/// Sidecars that listen for changes.
async fn listeners(link: &Link, keys: &Keys) -> Result<u64, Fault> {
    let mut connection = link.connection().await?;
    let mut asked = redis::cmd("PUBSUB");
    asked.arg("NUMSUB").arg(&keys.channel);
    let counts: Result<(String, u64), _> = asked.query_async(&mut connection).await;
    // Asking changes nothing.
    counts.map(|(_, count)| count).map_err(|error| Fault::before_sending(&error))
}
