//! Invariants: what holds of every state and of every step between two, as
//! functions that tests run under the names they have here. The rules never
//! call them.

mod state;
mod step;

use std::collections::BTreeMap;

use super::change::{Change, Decision};
use super::command::Envelope;
use super::reply::Reply;
use super::row::{KeyRow, LeaseRow, Meta, OriginRow, RequestRow, RunRow, SessionRow, StepRow};
use super::value::Text;

/// A whole state, laid out for looking at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub meta: Meta,
    pub keys: BTreeMap<Text, KeyRow>,
    pub leases: BTreeMap<Text, LeaseRow>,
    pub runs: BTreeMap<Text, RunRow>,
    pub steps: BTreeMap<(Text, u64), StepRow>,
    pub sessions: BTreeMap<Text, SessionRow>,
    pub requests: BTreeMap<Text, RequestRow>,
    pub origins: BTreeMap<u64, OriginRow>,
    pub answers: BTreeMap<(u64, u64), Reply>,
}

/// One command and what it did.
pub struct Step<'a> {
    pub before: &'a Rows,
    pub envelope: &'a Envelope,
    pub decision: &'a Decision,
    pub after: &'a Rows,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    /// The values that break it.
    pub what: String,
}

/// Every broken invariant of a state.
pub fn check_state(rows: &Rows) -> Vec<Violation> {
    run(state::ALL.iter().map(|(name, check)| (*name, check(rows))))
}

/// Every broken invariant of a step.
pub fn check_step(step: &Step<'_>) -> Vec<Violation> {
    run(step::ALL.iter().map(|(name, check)| (*name, check(step))))
}

impl Rows {
    /// Lays out a state that is given as the changes that make it.
    pub fn collect(meta: Meta, rows: impl IntoIterator<Item = Change>) -> Rows {
        let mut all = Rows { meta, ..Rows::default() };
        for row in rows {
            all.put(row);
        }
        all
    }

    /// The state after a decision: the plainest store there can be.
    pub fn after(&self, decision: &Decision) -> Rows {
        let mut after = self.clone();
        for change in &decision.changes {
            after.put(change.clone());
        }
        after.meta = decision.meta.clone();
        after
    }

    fn put(&mut self, change: Change) {
        match change {
            Change::PutKey(key, row) => drop(self.keys.insert(key, row)),
            Change::DropKey(key) => drop(self.keys.remove(&key)),
            Change::PutLease(id, row) => drop(self.leases.insert(id, row)),
            Change::DropLease(id) => drop(self.leases.remove(&id)),
            Change::PutRun(row) => drop(self.runs.insert(row.run_id.clone(), row)),
            Change::PutStep(run_id, step, row) => drop(self.steps.insert((run_id, step), row)),
            Change::PutSession(id, row) => drop(self.sessions.insert(id, row)),
            Change::DropSession(id) => drop(self.sessions.remove(&id)),
            Change::PutRequest(key, row) => drop(self.requests.insert(key, row)),
            Change::DropRequest(key) => drop(self.requests.remove(&key)),
            Change::PutOrigin(session, row) => drop(self.origins.insert(session, row)),
            Change::DropOrigin(session) => {
                self.origins.remove(&session);
                self.answers.retain(|(of, _), _| *of != session);
            }
            Change::PutAnswer(session, sequence, reply) => {
                self.answers.insert((session, sequence), reply);
            }
            Change::DropAnswersBelow(session, lowest) => {
                self.answers.retain(|(of, sequence), _| *of != session || *sequence >= lowest);
            }
            Change::Clear => {
                self.keys.clear();
                self.leases.clear();
                self.runs.clear();
                self.steps.clear();
                self.sessions.clear();
            }
        }
    }
}

fn run(checks: impl Iterator<Item = (&'static str, Result<(), String>)>) -> Vec<Violation> {
    checks
        .filter_map(|(invariant, result)| result.err().map(|what| Violation { invariant, what }))
        .collect()
}

/// Says what is wrong, unless `holds`.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
