//! What a batch of decisions touches: which rows, and what it recorded.

use std::collections::BTreeSet;

use crate::machine::{Change, Decision, Event, Text};

/// The rows that some decisions have touched, and what they recorded.
#[derive(Debug, Default)]
pub struct Touched {
    pub keys: BTreeSet<Text>,
    pub leases: BTreeSet<Text>,
    pub runs: BTreeSet<Text>,
    pub steps: BTreeSet<(Text, u64)>,
    pub sessions: BTreeSet<Text>,
    pub requests: BTreeSet<Text>,
    pub events: Vec<Event>,
    pub cleared: bool,
}

impl Touched {
    /// Notes what `decision` touches.
    pub fn note(&mut self, decision: &Decision) {
        for change in &decision.changes {
            self.note_change(change);
        }
        self.events.extend(decision.events.iter().cloned());
    }

    /// Whether nothing is to be written.
    pub fn is_nothing(&self) -> bool {
        !self.cleared
            && self.keys.is_empty()
            && self.leases.is_empty()
            && self.runs.is_empty()
            && self.steps.is_empty()
            && self.sessions.is_empty()
            && self.requests.is_empty()
            && self.events.is_empty()
    }

    fn note_change(&mut self, change: &Change) {
        match change {
            Change::PutKey(key, _) | Change::DropKey(key) => {
                self.keys.insert(key.clone());
            }
            Change::PutLease(id, _) | Change::DropLease(id) => {
                self.leases.insert(id.clone());
            }
            Change::PutRun(run) => {
                self.runs.insert(run.run_id.clone());
            }
            Change::PutStep(run_id, step, _) => {
                self.steps.insert((run_id.clone(), *step));
            }
            Change::PutSession(id, _) | Change::DropSession(id) => {
                self.sessions.insert(id.clone());
            }
            Change::PutRequest(key, _) | Change::DropRequest(key) => {
                self.requests.insert(key.clone());
            }
            // Commands that reach this store have no origin.
            Change::PutOrigin(..)
            | Change::DropOrigin(..)
            | Change::PutAnswer(..)
            | Change::DropAnswersBelow(..) => {}
            Change::Clear => self.cleared = true,
        }
    }
}
