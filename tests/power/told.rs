//! Callers of a node that loses power: what they were told, and whether it holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::machine::command::{Delete, Set};
use mcp_state_sidecar::machine::filter::HistoryFilter;
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::{
    Answer, Chain, Command, Event, Json, Question, Reply, Revision, Text,
};
use mcp_state_sidecar::store::raft::RaftStore;
use mcp_state_sidecar::store::{Consistency, Request, Store, StoreError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

/// Callers at a time, each with keys of its own.
pub const WRITERS: usize = 4;
const KEYS_OF_A_WRITER: usize = 12;
/// Commands of one writer after which a load ends without a cut, which then
/// comes at rest.
const COMMANDS_MAX: usize = 150;
/// Long enough for a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(30);
const PAGE: usize = 100;

/// What a key was last told to be.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The last change that was acknowledged, and its revision.
    pub known: Option<(Revision, Option<Json>)>,
    /// A change that nobody knows about: it may be there or not.
    pub doubt: Option<Option<Json>>,
}

/// What callers were told, by key.
pub type Ledger = BTreeMap<Text, Told>;

impl Told {
    /// The row that must be there, where nothing is in doubt.
    fn row(&self) -> Option<(Revision, Json)> {
        self.known.clone().and_then(|(revision, value)| Some((revision, value?)))
    }

    /// Whether `row` is what the change in doubt would have made.
    fn may_be(&self, row: &Option<(Revision, Json)>, doubt: &Option<Json>) -> bool {
        match (row, doubt) {
            (None, None) => true,
            (Some((revision, value)), Some(doubt)) => {
                let later = self.known.as_ref().is_none_or(|known| *revision > known.0);
                later && value == doubt
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

fn keys_of(writer: usize) -> impl Iterator<Item = Text> {
    (0..KEYS_OF_A_WRITER).map(move |key| format!("key/{writer}/{key}").into())
}

/// What a check found besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub events: usize,
    /// Changes in doubt that are there, and that are not.
    pub doubts_kept: usize,
    pub doubts_gone: usize,
}

/// A caller that waits for each answer.
pub struct Writer {
    store: Arc<RaftStore>,
    keys: Ledger,
    rng: StdRng,
    acknowledged: usize,
}

/// How a caller ended.
pub struct Ended {
    pub told: Ledger,
    pub acknowledged: usize,
    /// Why it could not go on, if so.
    pub refused: Option<StoreError>,
}

impl Writer {
    /// The `number`th of [`WRITERS`], who goes on from what it was told.
    pub fn new(store: Arc<RaftStore>, ledger: &Ledger, number: usize, seed: u64) -> Writer {
        let told = |key: Text| (key.clone(), ledger.get(&key).cloned().unwrap_or_default());
        let keys = keys_of(number).map(told).collect();
        let rng = StdRng::seed_from_u64(seed ^ number as u64);
        Writer { store, keys, rng, acknowledged: 0 }
    }

    /// Writes until the store fails or it has written enough.
    pub async fn write(mut self) -> Ended {
        for _ in 0..COMMANDS_MAX {
            let at = self.rng.random_range(0..self.keys.len());
            let key = self.keys.keys().nth(at).unwrap().clone();
            let value = (!self.rng.random_bool(0.1)).then(|| value(&mut self.rng));
            let request = match &value {
                Some(value) => set(&key, value.clone()),
                None => delete(&key),
            };
            let told = self.keys.get_mut(&key).unwrap();
            match self.store.submit(request, Instant::now() + PATIENCE).await {
                Ok(Reply::Set(written)) => told.known = Some((written.revision, value)),
                Ok(Reply::Deleted(written)) if written.ok => {
                    told.known = Some((written.revision, None));
                }
                // There was none.
                Ok(Reply::Deleted(_)) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    told.doubt = Some(value);
                    return self.ended(Some(error));
                }
            }
            self.acknowledged += 1;
        }
        self.ended(None)
    }

    fn ended(self, refused: Option<StoreError>) -> Ended {
        Ended { told: self.keys, acknowledged: self.acknowledged, refused }
    }
}

/// A write of a key.
pub fn set(key: &Text, value: Json) -> Request {
    let key = key.clone();
    let set = Set { key, value, ttl_ms: None, agent_id: None, if_revision: None, fence: None };
    request(Command::Set(set))
}

fn delete(key: &Text) -> Request {
    let key = key.clone();
    request(Command::Delete(Delete { key, agent_id: None, if_revision: None, fence: None }))
}

fn request(command: Command) -> Request {
    Request { command, idempotency: None, actor: None, random: 0, attempt: false }
}

/// Mostly small; one in a hundred is up to a megabyte.
fn value(rng: &mut StdRng) -> Json {
    let bytes = match rng.random_range(0..100) {
        0 => rng.random_range(100_000..1 << 20),
        1..10 => rng.random_range(1_000..20_000),
        _ => rng.random_range(100..1_000),
    };
    Json::new(format!("\"{:016x}{}\"", rng.random::<u64>(), "v".repeat(bytes - 18)))
}

/// Checks that all that was acknowledged is there, in the tables and in the
/// history; what was in doubt is settled then.
pub async fn check(store: &RaftStore, ledger: &mut Ledger) -> Result<Found, StoreError> {
    let ready = Instant::now() + PATIENCE;
    let mut rows = BTreeMap::new();
    let mut after = None;
    loop {
        let scan = Scan { after, ..Default::default() };
        let question = Question::Keys { scan, page: Page::of_rows(WRITERS * KEYS_OF_A_WRITER) };
        let answered = store.ask(question, Consistency::Linearizable, ready).await?;
        let Answer::Keys { rows: page, next } = answered.answer else { panic!("{answered:?}") };
        rows.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut found = Found::default();
    for (key, told) in ledger.iter_mut() {
        let row = rows.remove(key).map(|row| (row.revision, row.value));
        let as_known = row == told.row();
        let kept = told.doubt.as_ref().is_some_and(|doubt| told.may_be(&row, doubt));
        assert!(
            as_known || kept,
            "{key} is {}, but was {}, in doubt {}",
            shown(&row),
            shown(&told.row()),
            told.doubt.is_some()
        );
        if told.doubt.is_some() {
            found.doubts_kept += usize::from(!as_known);
            found.doubts_gone += usize::from(as_known);
        }
        let known = row.map(|(revision, value)| (revision, Some(value)));
        *told = Told { known, doubt: None };
    }
    assert!(rows.is_empty(), "nobody wrote {:?}", rows.keys());
    let events = whole_history(store).await?;
    for (key, told) in ledger.iter() {
        let last = events.iter().rfind(|event| event.subject == *key);
        let last = last.and_then(|event| event.new.clone().map(|new| (event.revision, new)));
        assert!(last == told.row(), "the history of {key} ends with {}", shown(&last));
    }
    found.events = events.len();
    Ok(found)
}

/// The history of the node, oldest first, which links up from the first event
/// to the head that the state names.
async fn whole_history(store: &RaftStore) -> Result<Vec<Event>, StoreError> {
    let health = store.health().await;
    let mut events: Vec<Event> = Vec::new();
    loop {
        let before = events.last().map(|event| event.revision);
        let question = Question::History {
            filter: HistoryFilter::default(),
            before,
            page: Page::of_rows(PAGE),
        };
        let answered = store.ask(question, Consistency::Local, Instant::now() + PATIENCE).await?;
        let Answer::History { events: page, more } = answered.answer else {
            panic!("{answered:?}")
        };
        events.extend(page);
        if !more {
            break;
        }
    }
    events.reverse();
    let mut chain = Chain::default();
    for (event, revision) in events.iter().zip(1..) {
        assert_eq!(event.revision, Revision(revision), "a gap");
        assert!(event.follows(chain), "the chain breaks at {revision}");
        chain = event.chain;
    }
    assert_eq!((events.len() as u64, chain), (health.revision.0, health.chain));
    Ok(events)
}

fn shown(row: &Option<(Revision, Json)>) -> String {
    row.as_ref().map_or("absent".to_owned(), |(revision, value)| {
        format!("at {revision}: {} bytes {:.20}", value.as_str().len(), value.as_str())
    })
}
