//! The position of a state in its own history, and how large the state is.

use super::command::Rules;
use super::event::Chain;
use super::value::{ClusterMs, Revision, WallMs};

/// The position of a state in its own history. There is one per state.
///
/// Invariants: `revision` grows by one with each event; `clock` and `wall`
/// never fall; `chain` is the chain value of the event at `revision`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    pub revision: Revision,
    pub chain: Chain,
    pub clock: ClusterMs,
    pub wall: WallMs,
    /// The history up to here is gone; the chain goes on from the value kept.
    pub anchor: Anchor,
    /// `state_set` events since the last reset, which the reference counts
    /// among the things a reset clears.
    pub sets: u64,
    /// The size of the state as [`super::size`] counts it.
    pub state_bytes: u64,
    /// The number of rows; [`super::size`] keeps it up to date.
    pub counts: Counts,
    /// The newest [`Rules`] that a command was decided by.
    pub rules: Rules,
}

/// The number of rows of each kind. Expired rows count until a sweep removes
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub keys: u64,
    pub runs: u64,
    pub steps: u64,
    pub leases: u64,
    pub sessions: u64,
    /// Remembered requests.
    pub requests: u64,
    /// Cancelled trees in which the sweep has not reached every run yet.
    pub cancellations: u64,
    pub schedules: u64,
}

/// The event before the first one that the history still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    pub revision: Revision,
    pub chain: Chain,
}
