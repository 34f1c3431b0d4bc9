//! Timetables: when a schedule fires, and what it does while its last run is not over.
//! The rules never compute a firing of a cron expression: nodes may know different rules
//! of time zones, so whoever proposes a command computes it.

use std::str::FromStr;

use super::value::Text;

/// When a schedule fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timetable {
    /// At the times that a cron expression gives in a time zone, by the wall clock.
    Cron { expression: Text, time_zone: Text },
    /// Again and again after this time, by the cluster clock.
    Every { ms: u64 },
}

/// A moment, in milliseconds since the Unix epoch, on the clock by which a schedule
/// goes: the wall clock for a cron expression, and the cluster clock for an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiringMs(pub u64);

impl FiringMs {
    /// The moment `ms` milliseconds later; one that databases can hold at most.
    pub fn plus(self, ms: u64) -> FiringMs {
        FiringMs(self.0.saturating_add(ms).min(i64::MAX as u64))
    }
}

/// What a firing does while the run of the firing before it is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It creates no run.
    #[default]
    Skip,
    /// It creates a run all the same.
    Queue,
    /// It cancels the last run with all below it, and creates a run.
    Replace,
}

impl Overlap {
    /// Every way, under the name that tools use.
    pub const NAMED: [(Overlap, &str); 3] =
        [(Overlap::Skip, "skip"), (Overlap::Queue, "queue"), (Overlap::Replace, "replace")];

    pub fn as_str(self) -> &'static str {
        match self {
            Overlap::Skip => "skip",
            Overlap::Queue => "queue",
            Overlap::Replace => "replace",
        }
    }
}

impl FromStr for Overlap {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let named = Overlap::NAMED.into_iter().find(|(_, name)| *name == text);
        named.map(|(overlap, _)| overlap).ok_or(())
    }
}
