//! Random numbers for the commands that need them. Drawing a number here, and never
//! in the rules, lets every replica decide a command alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::machine::random::{SPLITMIX64_STEP, splitmix64};

/// Where the numbers come from that new run ids are made of.
#[derive(Clone)]
pub struct RandomSource(Arc<dyn Fn() -> u64 + Send + Sync>);

impl RandomSource {
    /// Draws from the operating system's random numbers.
    pub fn random() -> RandomSource {
        RandomSource(Arc::new(rand::random::<u64>))
    }

    /// Gives the same numbers for the same seed, in every version.
    pub fn seeded(seed: u64) -> RandomSource {
        let state = AtomicU64::new(seed);
        RandomSource(Arc::new(move || {
            splitmix64(state.fetch_add(SPLITMIX64_STEP, Ordering::Relaxed))
        }))
    }

    pub fn draw(&self) -> u64 {
        (self.0)()
    }
}
