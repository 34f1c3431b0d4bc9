//! How much of the history stays in memory, and how long a node waits for the
//! archive and for peers.

use std::time::Duration;

use crate::store::window::WindowLimits;

/// How the history behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What stays in memory once it is archived.
    pub keep: WindowLimits,
    /// What memory holds at most before applying waits for the archive.
    pub cap: WindowLimits,
    /// How long applying waits for an archive that makes no progress.
    pub stall: Duration,
    /// How many events a peer is asked for at once.
    pub fetch_events: u64,
    /// How long a peer may take to send them.
    pub fetch: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let keep = WindowLimits::ARCHIVED;
        let cap = WindowLimits { events_max: 4 * keep.events_max, bytes_max: 4 * keep.bytes_max };
        let (stall, fetch) = (Duration::from_secs(10), Duration::from_secs(10));
        Options { keep, cap, stall, fetch_events: 1_024, fetch }
    }
}
