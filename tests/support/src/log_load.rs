//! A load on the log, drawn from a seed: appends of 100 bytes to a megabyte,
//! votes, truncates with appends anew, purges. What it does next depends on the
//! seed and on what it did, never on what was answered.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use mcp_state_sidecar::store::raft::consensus::entry::{Entry, Vote, log_id};
use mcp_state_sidecar::store::raft::consensus::types::{Proposal, TypeConfig};
use mcp_state_sidecar::store::raft::log::LogStore;
use openraft::EntryPayload;
use openraft::alias::OneshotReceiverOf;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::log_model::{Ledger, Model, Step};

/// Appends in flight before the load waits for the oldest.
const IN_FLIGHT_MAX: usize = 8;
/// Entries that the load keeps before it purges.
const ENTRIES_MAX: usize = 300;

/// Draws one step after another.
pub struct Load {
    rng: StdRng,
    model: Model,
    term: u64,
    /// The largest entry, in bytes.
    entry_bytes_max: usize,
}

impl Load {
    pub fn new(seed: u64, base: &Model, entry_bytes_max: usize) -> Self {
        let vote_term = base.vote.map_or(1, |vote| vote.leader_id.term);
        let log_term = base.last.map_or(1, |id| id.leader_id.term);
        Self {
            rng: StdRng::seed_from_u64(seed),
            model: base.clone(),
            term: vote_term.max(log_term),
            entry_bytes_max,
        }
    }

    pub fn draw(&mut self) -> Step {
        let last = self.model.last;
        let step = match (self.rng.random_range(0..100), last) {
            (0..10, _) => {
                self.term += 1;
                Step::Vote(Vote::new(self.term, self.rng.random_range(1..4)))
            }
            (10..18, Some(last)) if !self.model.entries.is_empty() => {
                // As a new leader's entries replace those of the old one.
                self.term += 1;
                let first = self.model.entries.keys().next().copied().unwrap_or(last.index);
                let after =
                    self.rng.random_range(first.max(last.index.saturating_sub(5))..=last.index);
                let kept = after.checked_sub(1).and_then(|index| self.model.entries.get(&index));
                match kept {
                    Some((term, ..)) => Step::Truncate(Some(log_id(*term, after - 1))),
                    None => Step::Truncate(self.model.purged),
                }
            }
            (18..26, Some(last)) if self.model.entries.len() > 20 => self.purge(last.index, 2),
            (26..34, Some(last)) => Step::Committed(last),
            (_, Some(last)) if self.model.entries.len() > ENTRIES_MAX => self.purge(last.index, 0),
            _ => self.append(),
        };
        self.model.apply(&step);
        step
    }

    fn purge(&mut self, last: u64, keep: u64) -> Step {
        let first = *self.model.entries.keys().next().expect("there are entries to purge");
        let upto = self.rng.random_range(first..=last.saturating_sub(keep).max(first));
        Step::Purge(log_id(self.model.entries[&upto].0, upto))
    }

    fn append(&mut self) -> Step {
        let next = self.model.last.map_or(1, |id| id.index + 1);
        let entries = (next..next + self.rng.random_range(1..6)).map(|index| self.entry(index));
        let entries: Vec<Entry> = entries.collect();
        Step::Append(entries)
    }

    fn entry(&mut self, index: u64) -> Entry {
        let most = self.entry_bytes_max;
        let bytes = match self.rng.random_range(0..100) {
            0..70 => self.rng.random_range(100..1000),
            70..97 => self.rng.random_range(1000..20_000.min(most)),
            _ => self.rng.random_range(100..most),
        };
        let mut payload = vec![0; bytes];
        // Long runs of zeros are what a torn record looks like.
        if self.rng.random_range(0..3) > 0 {
            self.rng.fill_bytes(&mut payload);
        }
        let payload = EntryPayload::Normal(Proposal(Bytes::from(payload)));
        Entry { log_id: log_id(self.term, index), payload }
    }
}

/// How an append went, once it is known.
pub type Answer = OneshotReceiverOf<TypeConfig, Result<(), io::Error>>;

/// Runs a load on a store, with appends in flight, and writes down what was
/// acknowledged.
pub struct Run<'a> {
    store: &'a mut LogStore,
    load: Load,
    pub ledger: Ledger,
    in_flight: VecDeque<(usize, Answer)>,
    /// Called with the number of requests now known durable.
    acknowledge: Box<dyn FnMut(usize) + 'a>,
}

impl<'a> Run<'a> {
    pub fn new(
        store: &'a mut LogStore,
        base: Model,
        load: Load,
        acknowledge: impl FnMut(usize) + 'a,
    ) -> Self {
        let ledger = Ledger::new(base);
        let in_flight = VecDeque::new();
        Self { store, load, ledger, in_flight, acknowledge: Box::new(acknowledge) }
    }

    /// One step.
    ///
    /// # Errors
    /// When the log refused; nothing later was acknowledged.
    pub async fn step(&mut self) -> Result<(), io::Error> {
        let step = self.load.draw();
        self.ledger.steps.push(step.clone());
        let number = self.ledger.steps.len();
        match step {
            Step::Append(entries) => {
                let (tx, rx) = TypeConfig::oneshot();
                self.store.append(entries, IOFlushed::signal(tx)).await?;
                self.in_flight.push_back((number, rx));
            }
            Step::Vote(vote) => {
                self.store.save_vote(&vote).await?;
                self.acknowledged(number);
            }
            Step::Truncate(after) => self.store.truncate_after(after).await?,
            Step::Purge(upto) => self.store.purge(upto).await?,
            Step::Committed(upto) => self.store.save_committed(Some(upto)).await?,
        }
        if self.in_flight.len() > IN_FLIGHT_MAX {
            self.wait_one().await?;
        }
        Ok(())
    }

    /// Waits for what is in flight.
    pub async fn settle(&mut self) -> Result<(), io::Error> {
        while !self.in_flight.is_empty() {
            self.wait_one().await?;
        }
        Ok(())
    }

    async fn wait_one(&mut self) -> Result<(), io::Error> {
        if let Some((number, answer)) = self.in_flight.pop_front() {
            answer.await.map_err(io::Error::other)??;
            self.acknowledged(number);
        }
        Ok(())
    }

    fn acknowledged(&mut self, number: usize) {
        if number > self.ledger.acknowledged {
            self.ledger.acknowledged = number;
            (self.acknowledge)(number);
        }
    }
}
