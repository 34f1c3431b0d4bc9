//! RandomSource that can be had again: seeded, printed when a test fails, and taken
//! from the environment.

use mcp_state_sidecar::machine::Text;

/// SplitMix64: the same numbers for a seed on every machine and version.
pub struct RandomSource(u64);

impl RandomSource {
    pub fn new(seed: u64) -> Self {
        RandomSource(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    pub fn maybe<T>(&mut self, percent: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.percent(percent).then(|| make(self))
    }

    pub fn text(&mut self, of: &[&str]) -> Text {
        Text::from(*self.one_of(of))
    }
}

/// The seeds to run: `SEED` alone, where it is set.
fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => vec![1, 2, 3, 4],
    }
}

/// Runs `test` for every seed and says which one failed.
pub fn for_each_seed(test: impl Fn(&mut RandomSource) + std::panic::RefUnwindSafe) {
    for seed in seeds() {
        let outcome = std::panic::catch_unwind(|| test(&mut RandomSource::new(seed)));
        if let Err(panic) = outcome {
            eprintln!("failed with SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
