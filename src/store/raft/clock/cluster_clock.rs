//! The cluster clock: the time by which deadlines are judged. The leader computes
//! it.
//!
//! A leader starts from the time that the log had reached at its election and
//! counts on by its own monotonic clock. Between the last command of the former
//! leader and the election, it can rely only on wall clocks: it adds the
//! difference between its own wall clock and the one that stamped that command,
//! less the skew that is allowed between the two. While clocks agree within this
//! allowance, cluster time never runs faster than real time, so that no change of
//! leader shortens a lease. A change of leader may prolong a lease, by the
//! allowance plus the actual skew, but never by more than the time in which no
//! command was logged.

use std::sync::{Arc, Mutex, PoisonError};

use crate::machine::{ClusterMs, WallMs};
use crate::store::clock::Clock;

/// How far the wall clocks of two leaders may differ before deadlines suffer.
pub const SKEW_ALLOWED_MS: u64 = 5_000;

/// Computes cluster time. What it returns is authoritative only while the node
/// leads.
#[derive(Clone)]
pub struct ClusterClock {
    clock: Clock,
    last_reading: Arc<Mutex<Option<ClockReading>>>,
}

/// The time that the log has reached: cluster time, and the leader's wall clock
/// when it logged the last command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTime {
    pub clock: ClusterMs,
    pub wall: WallMs,
}

impl LogTime {
    /// The least cluster time at the moment when the wall clock shows `wall_ms`.
    fn at_wall_clock(self, wall_ms: u64) -> ClusterMs {
        let passed_ms = wall_ms.saturating_sub(self.wall.0);
        self.clock.plus(passed_ms.saturating_sub(SKEW_ALLOWED_MS))
    }
}

/// The last value that the clock returned, from which it counts on.
#[derive(Clone, Copy)]
struct ClockReading {
    term: u64,
    time: ClusterMs,
    monotonic_ms: u64,
}

impl ClusterClock {
    /// A cluster clock that is driven by the node's own `clock`.
    pub fn new(clock: Clock) -> ClusterClock {
        ClusterClock { clock, last_reading: Arc::default() }
    }

    /// The node's wall clock.
    pub fn wall(&self) -> WallMs {
        WallMs(self.clock.wall_ms())
    }

    /// Cluster time for the leader of `term`. `log_time` must cover every entry of
    /// earlier terms.
    pub fn now(&self, term: u64, log_time: LogTime) -> ClusterMs {
        let wall_ms = self.clock.wall_ms();
        let monotonic_ms = self.clock.monotonic_ms();
        let mut last_reading = self.last_reading.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = match *last_reading {
            // A reading from another term is of no use: other leaders have set the
            // time since.
            Some(last) if last.term == term => {
                last.time.plus(monotonic_ms.saturating_sub(last.monotonic_ms))
            }
            // No command was ever logged.
            _ if log_time == LogTime::default() => ClusterMs(wall_ms),
            _ => log_time.at_wall_clock(wall_ms),
        };
        let time = counted.max(log_time.clock);
        // A late call of an earlier term must not replace a reading of a later term.
        if last_reading.is_none_or(|last| last.term <= term) {
            *last_reading = Some(ClockReading { term, time, monotonic_ms });
        }
        time
    }

    /// An estimate, for reads that are not linearizable.
    pub fn estimate(&self, log_time: LogTime) -> ClusterMs {
        log_time.at_wall_clock(self.clock.wall_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::clock::ManualClock;

    const START_MS: u64 = 1_700_000_000_000;

    fn log_time(clock_ms: u64, wall_ms: u64) -> LogTime {
        LogTime { clock: ClusterMs(clock_ms), wall: WallMs(wall_ms) }
    }

    #[test]
    fn a_first_leader_starts_at_its_wall_clock_and_counts_on() {
        let clock = ManualClock::at(START_MS);
        let cluster_clock = ClusterClock::new(clock.clone());
        assert_eq!(cluster_clock.now(1, LogTime::default()), ClusterMs(START_MS));
        clock.advance_ms(700);
        let at = cluster_clock.now(1, log_time(START_MS, START_MS));
        assert_eq!(at, ClusterMs(START_MS + 700));
    }

    #[test]
    fn setting_the_wall_clock_of_a_leader_changes_nothing() {
        for set_ms in [START_MS - 3_600_000, START_MS + 3_600_000] {
            let clock = ManualClock::at(START_MS);
            let cluster_clock = ClusterClock::new(clock.clone());
            let first = cluster_clock.now(1, LogTime::default());
            clock.advance_ms(5);
            clock.set_wall_ms(set_ms);
            assert_eq!(cluster_clock.now(1, log_time(START_MS, START_MS)), first.plus(5));
        }
    }

    #[test]
    fn cluster_time_never_outruns_real_time_while_clocks_agree() {
        // The skews that are allowed between two leaders, and the times between them.
        for apart_ms in [-5_000_i64, -1_000, 0, 1_000, 5_000] {
            for passed_ms in [0_u64, 500, 4_000, 6_000, 60_000] {
                // The log's clock lags, because of earlier changes of leader.
                let last = log_time(START_MS - 7_000, START_MS);
                let clock = ManualClock::at((START_MS + passed_ms).saturating_add_signed(apart_ms));
                let counted_ms = ClusterClock::new(clock).now(2, last).0 - last.clock.0;
                assert!(
                    counted_ms <= passed_ms,
                    "{counted_ms} of {passed_ms} ms, {apart_ms} ms apart"
                );
                let lost_ms = passed_ms - counted_ms;
                let most_ms = SKEW_ALLOWED_MS.saturating_add_signed(-apart_ms).min(passed_ms);
                assert_eq!(lost_ms, most_ms, "{passed_ms} ms, {apart_ms} ms apart");
            }
        }
    }

    #[test]
    fn within_a_term_time_continues_from_the_log() {
        let clock = ManualClock::at(START_MS);
        let cluster_clock = ClusterClock::new(clock.clone());
        let last = log_time(START_MS - 9_000, START_MS - 2_000);
        assert_eq!(cluster_clock.now(3, last), last.clock, "two seconds are within the allowance");
        clock.advance_ms(10);
        assert_eq!(cluster_clock.now(3, last), last.clock.plus(10));
    }
}
