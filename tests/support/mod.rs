//! What the tests of the log share: a seeded load, and a model of what the log
//! must hold after it.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod load;
pub mod model;

use mcp_state_sidecar::store::raft::log::Options;

/// The seed of a test: `SEED` from the environment, or a fresh one. Printed, so
/// that a failure can be run again.
pub fn seed(test: &str) -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => rand::random(),
    };
    eprintln!("{test}: SEED={seed}");
    seed
}

/// Small parts, so that a short load crosses every boundary.
pub fn small_options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        cache_bytes: 32 << 10,
        queue_bytes: 8 << 20,
        read_bytes: 16 << 10,
        must_exist: false,
    }
}
