//! What a stream held, counted by kind.

use std::fmt;

use crate::codec::StateRecord;
use crate::store::transfer::Part;

/// Rows and events that went by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub keys: u64,
    pub leases: u64,
    pub runs: u64,
    pub steps: u64,
    pub sessions: u64,
    /// Remembered requests.
    pub requests: u64,
    pub events: u64,
}

impl Tally {
    /// Counts one more. What a node keeps for itself is never exported.
    pub fn count(&mut self, part: &Part) {
        let place = match part {
            Part::Row(StateRecord::Key(..)) => &mut self.keys,
            Part::Row(StateRecord::Lease(..)) => &mut self.leases,
            Part::Row(StateRecord::Run(..)) => &mut self.runs,
            Part::Row(StateRecord::Step(..)) => &mut self.steps,
            Part::Row(StateRecord::Session(..)) => &mut self.sessions,
            Part::Row(StateRecord::Request(..)) => &mut self.requests,
            Part::Event(_) => &mut self.events,
            Part::Row(StateRecord::Meta(_) | StateRecord::Origin(..) | StateRecord::Answer(..)) => {
                return;
            }
        };
        *place += 1;
    }

    /// All rows.
    pub fn rows(&self) -> u64 {
        self.keys + self.leases + self.runs + self.steps + self.sessions + self.requests
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.keys, "key"),
            (self.leases, "lease"),
            (self.runs, "run"),
            (self.steps, "step"),
            (self.sessions, "session"),
            (self.requests, "remembered request"),
            (self.events, "event"),
        ];
        for (at, (count, name)) in counts.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{comma}{count} {name}{plural}")?;
        }
        Ok(())
    }
}
