//! The clock of a store that a single process orders. It goes by the wall clock. If an
//! administrator sets that back, it counts on from where it was by the monotonic clock,
//! so that leases, claims and keys live for as long as they were meant to.

use std::sync::{Mutex, PoisonError};

use super::clock::Clock;
use crate::machine::ClusterMs;

/// Clocks are set back by less than this all the time.
const AHEAD_MS_MAX: u64 = 5_000;

pub(super) struct SteadyClock {
    clock: Clock,
    last: Mutex<SteadyReading>,
}

/// The last value that the clock returned, from which it counts on.
#[derive(Clone, Copy)]
struct SteadyReading {
    time: ClusterMs,
    monotonic_ms: u64,
    /// Whether it has been logged that the time is ahead of the wall clock.
    is_ahead: bool,
}

impl SteadyClock {
    /// A clock that never shows a time before `from`.
    pub fn new(clock: Clock, from: ClusterMs) -> SteadyClock {
        let monotonic_ms = clock.monotonic_ms();
        let last = SteadyReading { time: from, monotonic_ms, is_ahead: false };
        SteadyClock { clock, last: Mutex::new(last) }
    }

    pub fn now(&self) -> ClusterMs {
        self.at_least(ClusterMs::default())
    }

    /// The time, which is not before `seen`: another process has got that far.
    pub fn at_least(&self, seen: ClusterMs) -> ClusterMs {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall_ms, monotonic_ms) = (self.clock.wall_ms(), self.clock.monotonic_ms());
        let counted = last.time.plus(monotonic_ms.saturating_sub(last.monotonic_ms));
        let time = counted.max(seen).max(ClusterMs(wall_ms));
        let ahead_ms = time.0.saturating_sub(wall_ms);
        let is_ahead = ahead_ms > AHEAD_MS_MAX;
        if is_ahead && !last.is_ahead {
            tracing::warn!("{}", set_back(ahead_ms));
        }
        *last = SteadyReading { time, monotonic_ms, is_ahead };
        time
    }

    /// A warning for the operator, if the wall clock was set back.
    pub fn warning(&self) -> Option<String> {
        let ahead_ms = self.now().0.saturating_sub(self.clock.wall_ms());
        (ahead_ms > AHEAD_MS_MAX).then(|| set_back(ahead_ms))
    }
}

fn set_back(ahead_ms: u64) -> String {
    let ahead_s = ahead_ms / 1_000;
    format!(
        "the time of the state is {ahead_s} s ahead of this machine's clock, which was set back; \
         deadlines are counted on from there"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::clock::ManualClock;

    const START_MS: u64 = 1_700_000_000_000;
    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn time_goes_on_after_the_clock_was_set_forward_and_back() {
        let clock = ManualClock::at(START_MS);
        let steady = SteadyClock::new(clock.clone(), ClusterMs(0));
        assert_eq!((steady.now(), steady.warning()), (ClusterMs(START_MS), None));
        clock.set_wall_ms(START_MS + HOUR_MS);
        assert_eq!(steady.now(), ClusterMs(START_MS + HOUR_MS));
        clock.set_wall_ms(START_MS);
        clock.advance_ms(10_000);
        assert_eq!(steady.now(), ClusterMs(START_MS + HOUR_MS + 10_000));
        let warning = steady.warning().expect("an operator should know");
        assert!(warning.contains("3600 s ahead"), "{warning}");
    }

    #[test]
    fn time_goes_on_after_a_restart_and_with_other_processes() {
        let clock = ManualClock::at(START_MS);
        let steady = SteadyClock::new(clock.clone(), ClusterMs(START_MS + HOUR_MS));
        clock.advance_ms(1_000);
        assert_eq!(steady.now(), ClusterMs(START_MS + HOUR_MS + 1_000));
        assert_eq!(steady.at_least(ClusterMs(START_MS + 2 * HOUR_MS)).0, START_MS + 2 * HOUR_MS);
        clock.advance_ms(1_000);
        assert_eq!(steady.now(), ClusterMs(START_MS + 2 * HOUR_MS + 1_000));
    }
}
