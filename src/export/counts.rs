//! Counts: how many rows and events of each kind a stream holds.

use std::fmt;

use crate::machine::Row;
use crate::store::export::Part;

/// The number of rows and events of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportCounts {
    pub keys: u64,
    pub leases: u64,
    pub runs: u64,
    pub steps: u64,
    pub sessions: u64,
    pub schedules: u64,
    /// Names that are paused.
    pub pauses: u64,
    /// Cancelled trees that the sweep has not finished.
    pub cancellations: u64,
    /// Remembered requests.
    pub requests: u64,
    pub events: u64,
}

impl ExportCounts {
    /// Counts one part. Rows that a node keeps for itself are never exported.
    pub fn count(&mut self, part: &Part) {
        let place = match part {
            Part::Row(Row::Key(..)) => &mut self.keys,
            Part::Row(Row::Lease(..)) => &mut self.leases,
            Part::Row(Row::Run(..)) => &mut self.runs,
            Part::Row(Row::Step(..)) => &mut self.steps,
            Part::Row(Row::Session(..)) => &mut self.sessions,
            Part::Row(Row::Schedule(..)) => &mut self.schedules,
            Part::Row(Row::Pause(..)) => &mut self.pauses,
            Part::Row(Row::Cancellation(..)) => &mut self.cancellations,
            Part::Row(Row::Request(..)) => &mut self.requests,
            Part::Event(_) => &mut self.events,
            Part::Row(Row::Group(..) | Row::Origin(..) | Row::Answer(..)) => return,
        };
        *place += 1;
    }

    /// The number of rows of all kinds.
    pub fn rows(&self) -> u64 {
        self.keys
            + self.leases
            + self.runs
            + self.steps
            + self.sessions
            + self.schedules
            + self.pauses
            + self.cancellations
            + self.requests
    }
}

impl fmt::Display for ExportCounts {
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
        let rare = [
            (self.schedules, "schedule"),
            (self.pauses, "paused name"),
            (self.cancellations, "unfinished cancellation"),
        ];
        let counts = counts.into_iter().chain(rare.into_iter().filter(|(count, _)| *count > 0));
        for (at, (count, name)) in counts.enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{comma}{count} {name}{plural}")?;
        }
        Ok(())
    }
}
