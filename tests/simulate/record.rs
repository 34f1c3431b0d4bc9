//! What happened in a run: the trace, line by line, and what clients saw, in
//! the checker's terms.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use support::checker::events::Fact;
use support::checker::hold::Hold;
use support::checker::key::Key;
use support::checker::runs::Asked;
use support::checker::search::Model;
use support::checker::{Operation, Violation, check};

/// Shared by everybody in a simulation, which is one thread.
pub type Shared = Rc<RefCell<Record>>;

/// Calls about one thing after which a new one is taken: the search stays quick.
pub const CALLS_ABOUT_ONE_MAX: usize = 150;

#[derive(Default)]
pub struct Record {
    pub trace: String,
    pub keys: BTreeMap<String, Vec<Operation<Key>>>,
    pub leases: BTreeMap<String, Vec<Operation<Hold>>>,
    pub runs: BTreeMap<String, Vec<Operation<Hold>>>,
    pub facts: Vec<Fact>,
    /// What runs of the queue were asked to be.
    pub asked: BTreeMap<String, Asked>,
    pub calls: u64,
    pub answered: u64,
    pub unknown: u64,
    pub faults: u64,
    /// Clients that have done all that they are to do.
    pub finished: u64,
    /// What went wrong on the way, if anything did.
    pub violation: Option<String>,
}

/// Microseconds since the simulation began.
pub fn now() -> u64 {
    turmoil::sim_elapsed().unwrap_or_default().as_micros() as u64
}

impl Record {
    /// One line of the trace.
    pub fn say(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.trace, "{:>12} {line}", now());
    }

    /// Counts a call, and writes down how it ended.
    pub fn call(&mut self, client: &str, call: impl std::fmt::Debug, ended: &Ended) {
        self.calls += 1;
        match ended {
            Ended::Answered => self.answered += 1,
            Ended::Unavailable => {}
            Ended::Unknown => self.unknown += 1,
        }
        self.say(format_args!("{client} {call:?} {ended:?}"));
    }

    /// Notes a violation that was seen on the way; the first one counts.
    pub fn broke(&mut self, why: impl Into<String>) {
        let why = why.into();
        self.say(format_args!("VIOLATION {why}"));
        self.violation.get_or_insert(why);
    }

    /// Whether what clients saw of every key, lease and run has an order.
    pub fn has_orders(&self) -> Result<(), Violation> {
        all("key", &self.keys)?;
        all("lease", &self.leases)?;
        all("run", &self.runs)
    }
}

fn all<M: Model>(
    what: &str,
    things: &BTreeMap<String, Vec<Operation<M>>>,
) -> Result<(), Violation> {
    things.iter().try_for_each(|(name, operations)| check(&format!("{what} {name}"), operations))
}

/// How a call ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Answered,
    /// Nothing was done.
    Unavailable,
    /// It may have been.
    Unknown,
}
