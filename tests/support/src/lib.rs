//! What the integration tests share.
//!
//! | module | holds |
//! |---|---|
//! | `sidecar` | the real program as a process, to be killed and started again |
//! | `command_line` | the program as a person runs it |
//! | `client` | MCP over plain HTTP |
//! | `cluster`, `raft_calls` | nodes of a Raft cluster in one process, and calls to them |
//! | `probe_store` | a memory store that counts its calls and can hold them up |
//! | `redis_server` | a Redis server of the test's own |
//! | `crash_disk` | a disk that loses what was not synced |
//! | `log_load`, `log_model` | a seeded load on the log, and what it must hold after that |
//! | `agent`, `record`, `verdict` | agents that work under faults, what they saw, and whether that is possible |
//! | `checker` | a checker of linearizability |
//! | `chain` | the audit chain, read back and verified |
//! | `draw` | commands drawn at random |
//! | `generated` | the parts of pages that a test writes |
//! | `recorded` | recorded answers of the Python reference |

pub mod agent;
pub mod chain;
pub mod checker;
pub mod client;
pub mod cluster;
pub mod command_line;
pub mod crash_disk;
pub mod draw;
pub mod generated;
pub mod log_load;
pub mod log_model;
pub mod probe_store;
pub mod raft_calls;
pub mod record;
pub mod recorded;
pub mod redis_server;
pub mod sidecar;
pub mod verdict;

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
