//! Footprints: which rows a command may touch, known before it is decided. A
//! store that keeps its rows elsewhere fetches exactly these in one round trip
//! and locks no more.

use std::collections::BTreeSet;

use super::command::{Command, Envelope, Fence, Operation};
use super::rules;
use super::value::Text;
use super::view::ClaimFilter;

/// What the decision on one command may read or change, besides
/// [`super::Meta`], which every command does.
///
/// Rows that a declared [`Lookup`] returns are part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    pub keys: BTreeSet<Text>,
    pub leases: BTreeSet<Text>,
    pub runs: BTreeSet<Text>,
    /// By run and step.
    pub steps: BTreeSet<(Text, u64)>,
    pub sessions: BTreeSet<Text>,
    /// A remembered request with this key, and the oldest one.
    pub request: Option<Text>,
    /// A node's session, and the answer to one sequence of it. Answers to lower
    /// ones may go, unread.
    pub origin: Option<(u64, u64)>,
    pub lookup: Option<Lookup>,
}

/// A look-up whose rows are not known by name. A command needs one at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The best claimable run; it may change.
    Candidate(ClaimFilter),
    /// The runs below this one, at any depth; they may change.
    Descendants(Text),
    /// At most this many rows that are due; they may go.
    Due(usize),
    /// The counts of everything; everything goes.
    Everything,
}

/// What `envelope` may touch.
pub fn footprint(envelope: &Envelope) -> Footprint {
    let mut footprint = Footprint {
        request: envelope.idempotency.as_ref().map(|idempotency| idempotency.key.clone()),
        origin: envelope.origin.map(|origin| (origin.session, origin.sequence)),
        ..Footprint::default()
    };
    footprint.add(&envelope.command, envelope.chance);
    footprint
}

impl Footprint {
    fn add(&mut self, command: &Command, chance: u64) {
        match command {
            Command::Set(set) => self.key(&set.key).fence(set.fence.as_ref()),
            Command::Delete(delete) => self.key(&delete.key).fence(delete.fence.as_ref()),
            Command::Transact(transact) => {
                let operations = transact.then.iter().chain(&transact.otherwise);
                self.keys.extend(transact.compare.iter().map(|compare| compare.key.clone()));
                self.keys.extend(operations.map(|operation| operation_key(operation).clone()));
                self.fence(transact.fence.as_ref())
            }
            Command::Create(create) => {
                self.runs.extend(rules::run_ids(chance));
                self.runs.extend(create.parent_run_id.clone());
                self
            }
            Command::Claim(claim) => self.run(&claim.run_id),
            Command::ClaimNext(claim) => self.lookup(Lookup::Candidate(ClaimFilter {
                name: claim.name.clone(),
                tags: claim.tags.clone(),
            })),
            Command::Heartbeat(held) | Command::Release(held) => self.run(&held.run_id),
            Command::Checkpoint(checkpoint) => {
                self.steps.insert((checkpoint.run_id.clone(), checkpoint.step));
                self.run(&checkpoint.run_id)
            }
            Command::Complete(complete) => self.run(&complete.run_id),
            Command::Fail(fail) => self.run(&fail.run_id),
            Command::Cancel(cancel) => {
                self.run(&cancel.run_id).lookup(Lookup::Descendants(cancel.run_id.clone()))
            }
            Command::Acquire(acquire) => self.lease(&acquire.resource_id),
            Command::Renew(renew) => self.lease(&renew.resource_id),
            Command::ReleaseLease(release) => self.lease(&release.resource_id),
            Command::SaveSession(save) => self.session(&save.session_id).fence(save.fence.as_ref()),
            Command::DeleteSession(delete) => self.session(&delete.session_id),
            Command::Reset => self.lookup(Lookup::Everything),
            // One more than it may remove, to know whether more are due.
            Command::Sweep { limit } => {
                self.lookup(Lookup::Due((*limit).min(rules::SWEEP_MAX) as usize + 1))
            }
        };
    }

    fn key(&mut self, key: &Text) -> &mut Self {
        self.keys.insert(key.clone());
        self
    }

    fn lease(&mut self, resource_id: &Text) -> &mut Self {
        self.leases.insert(resource_id.clone());
        self
    }

    fn run(&mut self, run_id: &Text) -> &mut Self {
        self.runs.insert(run_id.clone());
        self
    }

    fn session(&mut self, session_id: &Text) -> &mut Self {
        self.sessions.insert(session_id.clone());
        self
    }

    fn fence(&mut self, fence: Option<&Fence>) -> &mut Self {
        self.leases.extend(fence.map(|fence| fence.resource_id.clone()));
        self
    }

    fn lookup(&mut self, lookup: Lookup) -> &mut Self {
        self.lookup = Some(lookup);
        self
    }
}

fn operation_key(operation: &Operation) -> &Text {
    match operation {
        Operation::Set { key, .. } | Operation::Delete { key } | Operation::Get { key } => key,
    }
}
