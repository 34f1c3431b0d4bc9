//! What a log must hold. Requests reach the disk in the order they were made,
//! so after a crash the log holds what some prefix of them led to, one that
//! contains every request acknowledged.

use std::collections::BTreeMap;

use mcp_state_sidecar::store::raft::consensus::entry::{Entry, LogId, Vote};
use mcp_state_sidecar::store::raft::log::LogStore;
use openraft::EntryPayload;
use openraft::storage::{RaftLogReader, RaftLogStorage};

/// One request to the log.
#[derive(Clone, Debug)]
pub enum Step {
    Append(Vec<Entry>),
    Vote(Vote),
    Truncate(Option<LogId>),
    Purge(LogId),
    Committed(LogId),
}

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
    /// Term, payload length and checksum by index.
    pub entries: BTreeMap<u64, (u64, usize, u32)>,
}

impl Model {
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Append(entries) => {
                for entry in entries {
                    self.entries.insert(entry.log_id.index, digest(entry));
                    self.last = Some(entry.log_id);
                }
            }
            Step::Vote(vote) => self.vote = Some(*vote),
            Step::Truncate(after) => {
                self.entries.split_off(&after.map_or(0, |id| id.index + 1));
                self.last = after.or(self.purged);
            }
            Step::Purge(upto) => {
                self.entries = self.entries.split_off(&(upto.index + 1));
                self.purged = Some(*upto);
                self.last = self.last.max(Some(*upto));
            }
            Step::Committed(_) => {}
        }
    }

    /// What `store` holds, read as openraft would.
    pub async fn observe(store: &mut LogStore) -> Self {
        let state = store.get_log_state().await.unwrap();
        let entries = store.try_get_log_entries(..).await.unwrap();
        let committed = store.read_committed().await.unwrap();
        assert!(committed <= state.last_log_id, "{committed:?} is beyond {state:?}");
        Self {
            vote: store.read_vote().await.unwrap(),
            purged: state.last_purged_log_id,
            last: state.last_log_id,
            entries: entries.iter().map(|entry| (entry.log_id.index, digest(entry))).collect(),
        }
    }

    fn summary(&self) -> String {
        let (first, last) = (self.entries.first_key_value(), self.entries.last_key_value());
        let Self { vote, purged, last: last_id, entries } = self;
        let entries = entries.len();
        format!("{vote:?} {purged:?} {last_id:?}, {entries} entries {first:?}..{last:?}")
    }
}

/// The requests of one run of a log, and how many of them are acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub base: Model,
    pub steps: Vec<Step>,
    /// Requests known durable: all up to here were answered, or precede one
    /// that was.
    pub acknowledged: usize,
}

impl Ledger {
    pub fn new(base: Model) -> Self {
        Self { base, ..Self::default() }
    }

    /// Checks that `found` is what a prefix of the requests led to, with every
    /// acknowledged one in it; panics with both otherwise.
    pub fn check(&self, found: &Model) {
        let mut model = self.base.clone();
        let mut acknowledged = model.clone();
        for n in 0..=self.steps.len() {
            if n >= self.acknowledged && model == *found {
                return;
            }
            if n == self.acknowledged {
                acknowledged = model.clone();
            }
            if let Some(step) = self.steps.get(n) {
                model.apply(step);
            }
        }
        panic!(
            "the log holds what no allowed prefix led to\n  found {}\n  acknowledged {}: {}\n  \
             all {}: {}",
            found.summary(),
            self.acknowledged,
            acknowledged.summary(),
            self.steps.len(),
            model.summary(),
        );
    }
}

fn digest(entry: &Entry) -> (u64, usize, u32) {
    let bytes = match &entry.payload {
        EntryPayload::Blank => &[][..],
        EntryPayload::Normal(proposal) => &proposal.0,
        EntryPayload::Membership(_) => b"membership",
    };
    (entry.log_id.leader_id.term, bytes.len(), crc32c::crc32c(bytes))
}
