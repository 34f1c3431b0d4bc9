//! Imports: a whole state comes in under keys of its own, in any number of
//! round trips, and takes the place of the present one in a single script.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::error::{Fault, OpenError};
use super::fetch::Fetch;
use super::layout::{Keys, Place};
use super::link::{Link, script};
use super::open::{FORMAT, Options, Way};
use super::writes::Writes;
use crate::codec::{self, StateRecord};
use crate::machine::Meta;
use crate::store::StoreError;
use crate::store::transfer::{Intake, NotEmpty, Part};

/// What has come in of an import that was broken off goes by itself after
/// this. No part of one takes so long.
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
    /// Rows by the hash that holds them: a name that came twice would have
    /// left one row of two.
    taken: BTreeMap<usize, u64>,
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
        let sidecars = listeners(&way).await.map_err(failed)?;
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
            meta,
            replace,
            steps: 0,
            taken: BTreeMap::new(),
            finished: false,
        }
    }

    async fn send(&self, writes: Writes) -> Result<(), Fault> {
        let mut pipe = redis::pipe();
        let mut written = BTreeSet::new();
        for (command, place, args) in writes.commands() {
            pipe.cmd(command).arg(self.coming.of(place)).arg(args).ignore();
            written.insert(place);
        }
        for place in written {
            let seconds = LEFT_BEHIND.as_secs();
            pipe.cmd("EXPIRE").arg(self.coming.of(place)).arg(seconds).ignore();
        }
        let mut connection = self.link.connection().await?;
        let sent: Result<(), _> = pipe.query_async(&mut connection).await;
        sent.map_err(|error| Fault::of(&error))
    }

    async fn adopt(&self) -> Result<String, Fault> {
        let script = script(include_str!("adopt.lua"));
        let state = codec::encode_state_record(&StateRecord::Meta(self.meta.clone()));
        let mut call = script.prepare_invoke();
        call.key(self.keys.all()).key(self.coming.all());
        call.arg(u8::from(self.replace)).arg(&self.keys.channel).arg(&state[..]);
        call.arg(self.meta.clock.0).arg(self.meta.revision.0).arg(self.steps);
        call.arg(FORMAT).arg(self.coming.of(Place::Meta));
        call.arg(self.taken.len());
        for (place, count) in &self.taken {
            call.arg(place).arg(count);
        }
        let mut connection = self.link.connection().await?;
        let outcome: Result<String, _> = call.invoke_async(&mut connection).await;
        outcome.map_err(|error| Fault::of(&error))
    }
}

#[async_trait]
impl Intake for RedisIntake {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let mut writes = Writes::default();
        for part in &parts {
            match part {
                Part::Row(row) => {
                    if let Some(place) = place_of(row) {
                        *self.taken.entry(place.number()).or_default() += 1;
                    }
                    writes.put_row(row);
                }
                Part::Event(event) => writes.event(event),
            }
        }
        self.steps += writes.steps;
        self.send(writes).await.map_err(|fault| fault.unsent())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        match self.adopt().await {
            Ok(outcome) if outcome == "done" => {
                self.finished = true;
                Ok(())
            }
            Ok(outcome) if outcome == "not empty" => Err(StoreError::Unavailable(
                "another state has come to this place meanwhile; nothing was changed".into(),
            )),
            Ok(_) => Err(StoreError::Storage(
                "rows are missing of what was sent: a name came twice, or somebody removed keys"
                    .into(),
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

fn place_of(row: &StateRecord) -> Option<Place> {
    match row {
        StateRecord::Key(..) => Some(Place::Kv),
        StateRecord::Lease(..) => Some(Place::Lease),
        StateRecord::Run(_) => Some(Place::Run),
        StateRecord::Step(..) => Some(Place::Step),
        StateRecord::Session(..) => Some(Place::Session),
        StateRecord::Request(..) => Some(Place::Request),
        StateRecord::Meta(_) | StateRecord::Origin(..) | StateRecord::Answer(..) => None,
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
async fn listeners(way: &Way) -> Result<u64, Fault> {
    let mut connection = way.link.connection().await?;
    let mut asked = redis::cmd("PUBSUB");
    asked.arg("NUMSUB").arg(&way.keys.channel);
    let counts: Result<(String, u64), _> = asked.query_async(&mut connection).await;
    counts.map(|(_, count)| count).map_err(|error| Fault::of(&error))
}
