//! Cluster time: the clock by which deadlines run, as a leader tells it.
//!
//! In office a leader counts by its own monotonic clock, from where the log's
//! clock stood when it came. For the time between the last command in the log
//! and its own first it must rely on wall clocks: it adds what its wall clock is
//! ahead of the one that stamped that command, less what the two may differ by.
//! So while clocks agree within the allowance, cluster time never runs faster
//! than time: no change of leader shortens a lease. It prolongs one by the time
//! without commands in the log at most, and of that by no more than the
//! allowance and the difference of the clocks.

use std::sync::{Arc, Mutex, PoisonError};

use crate::machine::{ClusterMs, WallMs};
use crate::store::clock::Clock;

/// How far the wall clocks of two leaders may differ before deadlines suffer.
pub const SKEW_ALLOWED_MS: u64 = 5_000;

/// A node's idea of cluster time, good for as long as it leads.
#[derive(Clone)]
pub struct ClusterClock {
    clock: Clock,
    reckoning: Arc<Mutex<Option<Reckoning>>>,
}

/// Where the clocks of the log stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    pub clock: ClusterMs,
    pub wall: WallMs,
}

impl Logged {
    /// The log's clock where the wall clock shows `wall_ms`, at the least.
    fn until(self, wall_ms: u64) -> ClusterMs {
        let passed_ms = wall_ms.saturating_sub(self.wall.0);
        self.clock.plus(passed_ms.saturating_sub(SKEW_ALLOWED_MS))
    }
}

/// Where the reckoning stood last.
#[derive(Clone, Copy)]
struct Reckoning {
    term: u64,
    at: ClusterMs,
    monotonic_ms: u64,
}

impl ClusterClock {
    /// Tells time by `clock`.
    pub fn new(clock: Clock) -> ClusterClock {
        ClusterClock { clock, reckoning: Arc::default() }
    }

    /// The wall clock.
    pub fn wall(&self) -> WallMs {
        WallMs(self.clock.wall_ms())
    }

    /// Cluster time for the leader of `term`, where the log's clocks stand at
    /// `logged`: with all that was logged before this term.
    pub fn now(&self, term: u64, logged: Logged) -> ClusterMs {
        let wall_ms = self.clock.wall_ms();
        let monotonic_ms = self.clock.monotonic_ms();
        let mut held = self.reckoning.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = match *held {
            // A reckoning from another term says nothing: others told the time since.
            Some(last) if last.term == term => {
                last.at.plus(monotonic_ms.saturating_sub(last.monotonic_ms))
            }
            // The first command ever.
            _ if logged == Logged::default() => ClusterMs(wall_ms),
            _ => logged.until(wall_ms),
        };
        let at = counted.max(logged.clock);
        // A call of an earlier term that comes late must not undo a later one's.
        if held.is_none_or(|last| last.term <= term) {
            *held = Some(Reckoning { term, at, monotonic_ms });
        }
        at
    }

    /// An estimate for reads that promise nothing.
    pub fn estimate(&self, logged: Logged) -> ClusterMs {
        logged.until(self.clock.wall_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::clock::ManualClock;

    const START_MS: u64 = 1_700_000_000_000;

    fn logged(clock_ms: u64, wall_ms: u64) -> Logged {
        Logged { clock: ClusterMs(clock_ms), wall: WallMs(wall_ms) }
    }

    #[test]
    fn a_first_leader_starts_at_its_wall_clock_and_counts_on() {
        let clock = ManualClock::at(START_MS);
        let cluster_clock = ClusterClock::new(clock.clone());
        assert_eq!(cluster_clock.now(1, Logged::default()), ClusterMs(START_MS));
        clock.advance_ms(700);
        let at = cluster_clock.now(1, logged(START_MS, START_MS));
        assert_eq!(at, ClusterMs(START_MS + 700));
    }

    #[test]
    fn a_wall_clock_that_is_set_in_office_changes_nothing() {
        for set_ms in [START_MS - 3_600_000, START_MS + 3_600_000] {
            let clock = ManualClock::at(START_MS);
            let cluster_clock = ClusterClock::new(clock.clone());
            let first = cluster_clock.now(1, Logged::default());
            clock.advance_ms(5);
            clock.set_wall_ms(set_ms);
            assert_eq!(cluster_clock.now(1, logged(START_MS, START_MS)), first.plus(5));
        }
    }

    #[test]
    fn a_new_leader_never_gains_time_while_clocks_agree() {
        // All clocks that two leaders may have, and times between them.
        for apart_ms in [-5_000_i64, -1_000, 0, 1_000, 5_000] {
            for passed_ms in [0_u64, 500, 4_000, 6_000, 60_000] {
                // The log's clock is behind by what earlier changes have cost.
                let last = logged(START_MS - 7_000, START_MS);
                let clock = ManualClock::at((START_MS + passed_ms).saturating_add_signed(apart_ms));
                let at = ClusterClock::new(clock).now(2, last).0 - last.clock.0;
                assert!(at <= passed_ms, "{at} of {passed_ms} ms, {apart_ms} ms apart");
                let lost_ms = passed_ms - at;
                let most_ms = SKEW_ALLOWED_MS.saturating_add_signed(-apart_ms).min(passed_ms);
                assert_eq!(lost_ms, most_ms, "{passed_ms} ms, {apart_ms} ms apart");
            }
        }
    }

    #[test]
    fn time_goes_on_from_the_log_within_a_term() {
        let clock = ManualClock::at(START_MS);
        let cluster_clock = ClusterClock::new(clock.clone());
        let last = logged(START_MS - 9_000, START_MS - 2_000);
        assert_eq!(cluster_clock.now(3, last), last.clock, "two seconds are within the allowance");
        clock.advance_ms(10);
        assert_eq!(cluster_clock.now(3, last), last.clock.plus(10));
    }
}
