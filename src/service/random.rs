//! Random numbers for the commands that need them. Drawing a number here, and never
//! in the rules, lets every replica decide a command alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the numbers come from that new run ids are made of.
#[derive(Clone)]
pub struct RandomSource(Arc<dyn Fn() -> u64 + Send + Sync>);

impl RandomSource {
    /// Draws from the operating system's random numbers.
    pub fn random() -> RandomSource {
        RandomSource(Arc::new(rand::random::<u64>))
    }

    /// Gives the same numbers for the same seed, in every version (SplitMix64,
    /// Steele, Lea and Flood, 2014).
    pub fn seeded(seed: u64) -> RandomSource {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = AtomicU64::new(seed);
        RandomSource(Arc::new(move || {
            let mut z = state.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    pub(super) fn draw(&self) -> u64 {
        (self.0)()
    }
}
