//! A batch: the commands that one sidecar commits together. Which fit into
//! one, what all of them need, and what they decide.

use std::collections::BTreeSet;

use super::error::Fault;
use super::fetch::{Fetch, Fetched};
use super::index;
use super::layout::Place;
use super::touched::Touched;
use super::working::Working;
use super::writes::Writes;
use crate::machine::footprint::Lookup;
use crate::machine::view::ClaimFilter;
use crate::machine::{
    Command, Envelope, Footprint, Meta, Reply, Revision, Text, decide, footprint,
};
use crate::store::Request;

/// Most commands of a batch. Redis works on one script at a time, and this
/// many small ones keep it for some milliseconds.
const COMMANDS_MAX: usize = 256;

/// A batch takes no more commands once it writes this much.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Different filters of `workflow_claim_next` in one batch: each looks up as
/// many runs as the batch might take.
const FILTERS_MAX: usize = 8;

/// Chooses the commands of one batch from those that wait, first come first
/// served.
#[derive(Default)]
pub struct Selection {
    commands: usize,
    bytes: usize,
    filters: Vec<ClaimFilter>,
    /// Holds a command that needs the batch to itself.
    full: bool,
}

impl Selection {
    /// Whether the next command goes along.
    pub fn admits(&mut self, request: &Request) -> bool {
        let alone = needs_all(&request.command);
        if self.full
            || self.commands == COMMANDS_MAX
            || self.bytes > BYTES_MAX
            || (alone && self.commands > 0)
        {
            return false;
        }
        if let Command::ClaimNext(claim) = &request.command {
            let filter = ClaimFilter { name: claim.name.clone(), tags: claim.tags.clone() };
            if !self.filters.contains(&filter) {
                if self.filters.len() == FILTERS_MAX {
                    return false;
                }
                self.filters.push(filter);
            }
        }
        self.full = alone;
        self.commands += 1;
        self.bytes += request.command.value_bytes();
        true
    }
}

/// What the commands of a batch need to be decided.
#[derive(Default)]
pub struct Needs {
    keys: BTreeSet<Text>,
    leases: BTreeSet<Text>,
    runs: BTreeSet<Text>,
    steps: BTreeSet<(Text, u64)>,
    sessions: BTreeSet<Text>,
    requests: BTreeSet<Text>,
    filters: Vec<ClaimFilter>,
    /// Commands that may take a run away from those that could be claimed.
    takers: usize,
    /// Rows that are due, as many as may be looked at.
    due: Option<usize>,
    other: Option<Lookup>,
}

impl Needs {
    pub fn of<'a>(envelopes: impl Iterator<Item = &'a Envelope>) -> Needs {
        let mut needs = Needs::default();
        for envelope in envelopes {
            needs.add(footprint(envelope));
        }
        needs
    }

    fn add(&mut self, footprint: Footprint) {
        self.takers += usize::from(!footprint.runs.is_empty() || footprint.lookup.is_some());
        self.keys.extend(footprint.keys);
        self.leases.extend(footprint.leases);
        self.runs.extend(footprint.runs);
        self.steps.extend(footprint.steps);
        self.sessions.extend(footprint.sessions);
        self.requests.extend(footprint.request);
        match footprint.lookup {
            Some(Lookup::Candidate(filter)) if self.filters.contains(&filter) => {}
            Some(Lookup::Candidate(filter)) => self.filters.push(filter),
            // Of several, the one that looks furthest; see [`needs_all`].
            Some(Lookup::Due(limit)) => self.due = self.due.max(Some(limit)),
            Some(other) => self.other = Some(other),
            None => {}
        }
    }

    /// The rows to fetch, all in one round trip.
    pub fn fetch(&self) -> Fetch {
        let mut fetch = Fetch::default();
        let named = [
            (Place::Kv, &self.keys),
            (Place::Lease, &self.leases),
            (Place::Run, &self.runs),
            (Place::Session, &self.sessions),
            (Place::Request, &self.requests),
        ];
        for (place, names) in named.into_iter().filter(|(_, names)| !names.is_empty()) {
            fetch.rows(place, names.iter().map(|name| name.as_bytes().to_vec()).collect());
        }
        if !self.steps.is_empty() {
            let fields = self.steps.iter().map(|(run_id, step)| index::step(run_id, *step));
            fetch.rows(Place::Step, fields.collect());
        }
        if !self.requests.is_empty() {
            // Each new one may make the oldest go, and then the next.
            fetch.oldest(self.requests.len() + 1);
        }
        for filter in &self.filters {
            // Whatever the others take, the best that is left is among these.
            fetch.candidates(index::facets_of_claim(filter), self.takers + 1);
        }
        if let Some(limit) = self.due {
            // Whichever of the named ones the others take away, the first that
            // is left is among these.
            fetch.due(limit + self.keys.len() + self.leases.len() + self.requests.len());
        }
        match &self.other {
            Some(Lookup::Descendants(run_id)) => fetch.descendants(run_id),
            // Last of all: what it finds is no rows.
            Some(Lookup::Everything) => fetch.counts(),
            Some(Lookup::Candidate(_) | Lookup::Due(_)) | None => {}
        }
        fetch
    }

    /// The rows that were fetched.
    pub fn working(&self, fetched: Fetched) -> Result<Working, Fault> {
        let Fetched { meta, requests, mut found, .. } = fetched;
        let counts = match self.other {
            Some(Lookup::Everything) => found.pop().map(|found| found.counts()).transpose()?,
            Some(Lookup::Candidate(_) | Lookup::Descendants(_) | Lookup::Due(_)) | None => None,
        };
        let mut rows = Vec::new();
        for found in found {
            rows.extend(found.rows()?);
        }
        Ok(Working::new(meta, rows, requests, counts))
    }
}

/// What a batch has come to.
pub struct Decided {
    /// One for each command, in order.
    pub replies: Vec<Reply>,
    pub meta: Meta,
    /// The revision over which all was decided.
    pub before: Revision,
    pub writes: Writes,
    /// Nothing has changed that anybody could see.
    pub idle: bool,
}

/// Decides the commands one after another, each over what those before it
/// changed.
pub fn decide_all(envelopes: &[Envelope], before: Working, late: bool) -> Decided {
    let mut after = before.clone();
    let mut touched = Touched::default();
    let mut replies = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        let Ok(decision) = decide(envelope, &after);
        touched.note(&decision);
        after.apply(&decision);
        replies.push(decision.reply);
    }
    let steps_before = before.counted_steps();
    let writes = Writes::of(&touched, before.tables(), after.tables(), steps_before);
    let meta = after.tables().meta().clone();
    // Where a deadline has passed, the clock is a change too: what has been
    // told to be gone must not come back.
    let before = before.tables().meta().revision;
    Decided { replies, meta, before, writes, idle: touched.is_nothing() && !late }
}

/// Whether what the command looks up depends on more than the batch can know.
fn needs_all(command: &Command) -> bool {
    match command {
        Command::Cancel(_) | Command::Reset => true,
        // Those that only move the clock on are many, and wait for readers.
        Command::Sweep { limit } => *limit > 0,
        _ => false,
    }
}
