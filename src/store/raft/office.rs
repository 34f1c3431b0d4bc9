//! Cluster time: the clock by which deadlines run, as a leader tells it.
//!
//! A leader's time is the greater of two: the last time in the log plus what
//! its own monotonic clock has counted since, and its wall clock less the
//! allowed skew. So it never falls while it is in office; a new leader starts
//! from what the log holds, and is behind the old one by no more than the
//! allowance while the clocks of both agree within it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::machine::{ClusterMs, WallMs};
use crate::store::clock::Clock;

/// How far a leader's wall clock may be wrong before deadlines suffer.
pub const SKEW_ALLOWED_MS: u64 = 5_000;

/// A node's idea of cluster time, good for as long as it leads.
#[derive(Clone)]
pub struct Office {
    clock: Clock,
    reckoning: Arc<Mutex<Option<Reckoning>>>,
}

/// Where the reckoning stood last.
#[derive(Clone, Copy)]
struct Reckoning {
    term: u64,
    at: ClusterMs,
    monotonic_ms: u64,
}

impl Office {
    /// Tells time by `clock`.
    pub fn new(clock: Clock) -> Office {
        Office { clock, reckoning: Arc::default() }
    }

    /// The wall clock.
    pub fn wall(&self) -> WallMs {
        WallMs(self.clock.wall_ms())
    }

    /// Cluster time for the leader of `term`, where the log's clock stands at
    /// `logged`.
    pub fn now(&self, term: u64, logged: ClusterMs) -> ClusterMs {
        let wall_ms = self.clock.wall_ms();
        let monotonic_ms = self.clock.monotonic_ms();
        let mut held = self.reckoning.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = match *held {
            // A reckoning from another term says nothing: others told the time since.
            Some(last) if last.term == term => {
                last.at.plus(monotonic_ms.saturating_sub(last.monotonic_ms))
            }
            _ if logged == ClusterMs::default() => ClusterMs(wall_ms),
            _ => logged,
        };
        let floor = ClusterMs(wall_ms.saturating_sub(SKEW_ALLOWED_MS));
        let at = counted.max(floor).max(logged);
        // A call of an earlier term that comes late must not undo a later one's.
        if held.is_none_or(|last| last.term <= term) {
            *held = Some(Reckoning { term, at, monotonic_ms });
        }
        at
    }

    /// An estimate for reads that promise nothing: the log's clock, or the
    /// wall's less the allowance where that is later.
    pub fn estimate(&self, logged: ClusterMs) -> ClusterMs {
        logged.max(ClusterMs(self.clock.wall_ms().saturating_sub(SKEW_ALLOWED_MS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::clock::{Manual, TimeSource};

    const START_MS: u64 = 1_700_000_000_000;

    #[test]
    fn a_first_leader_starts_at_its_wall_clock_and_counts_on() {
        let clock = Manual::at(START_MS);
        let office = Office::new(clock.clone());
        assert_eq!(office.now(1, ClusterMs(0)), ClusterMs(START_MS));
        clock.advance_ms(700);
        assert_eq!(office.now(1, ClusterMs(START_MS)), ClusterMs(START_MS + 700));
    }

    #[test]
    fn a_new_leader_goes_on_from_the_log_within_the_allowance() {
        let clock = Manual::at(START_MS + 60_000);
        let office = Office::new(clock.clone());
        let logged = ClusterMs(START_MS + 58_000);
        assert_eq!(office.now(2, logged), logged, "the wall less its allowance is earlier");
        let long_ago = ClusterMs(START_MS);
        let at = office.now(3, long_ago);
        assert_eq!(at, ClusterMs(START_MS + 60_000 - SKEW_ALLOWED_MS));
        clock.advance_ms(10);
        assert_eq!(office.now(3, long_ago), at.plus(10), "counted on within the term");
    }

    #[test]
    fn a_wall_clock_set_back_does_not_turn_time_back() {
        struct Torn(Arc<Manual>);
        impl TimeSource for Torn {
            fn wall_ms(&self) -> u64 {
                START_MS - 3_600_000
            }
            fn monotonic_ms(&self) -> u64 {
                self.0.monotonic_ms()
            }
        }
        let manual = Manual::at(START_MS);
        let office = Office::new(Arc::new(Torn(manual.clone())));
        let first = office.now(1, ClusterMs(START_MS));
        manual.advance_ms(5);
        assert_eq!(office.now(1, ClusterMs(START_MS)), first.plus(5));
    }
}
