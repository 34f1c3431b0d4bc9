//! What load generators have counted.

use std::collections::BTreeMap;
use std::time::Duration;

/// Calls that one or more generators made, all of them answered well.
#[derive(Default)]
pub struct Burst {
    pub calls: u64,
    /// For how long they were made.
    pub time: Duration,
    /// What was received: messages over gRPC, whole responses over HTTP; zero where a
    /// generator does not tell.
    pub bytes: u64,
    /// How many calls took how many microseconds.
    pub took: BTreeMap<u64, u64>,
}

impl Burst {
    /// Adds what happened at the same time.
    pub fn join(&mut self, other: Burst) {
        self.calls += other.calls;
        self.time = self.time.max(other.time);
        self.bytes += other.bytes;
        for (micros, count) in other.took {
            *self.took.entry(micros).or_default() += count;
        }
    }

    /// Adds what happened afterwards.
    pub fn append(&mut self, other: Burst) {
        let time = self.time + other.time;
        self.join(other);
        self.time = time;
    }

    /// What so many of a hundred calls took at the most.
    pub fn percentile(&self, percent: u64) -> Duration {
        let all: u64 = self.took.values().sum();
        let mut left = (all * percent).div_ceil(100);
        for (micros, count) in &self.took {
            left = left.saturating_sub(*count);
            if left == 0 {
                return Duration::from_micros(*micros);
            }
        }
        Duration::ZERO
    }
}
