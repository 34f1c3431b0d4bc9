//! How large the parts of the log may grow.

/// How large the log's parts may grow.
#[derive(Clone, Debug)]
pub struct Options {
    /// The size of a segment. Small enough that a purge frees room soon, large
    /// enough that sealing is rare.
    pub segment_bytes: u64,
    /// Entries kept in memory: those a replica or the state machine reads next.
    pub cache_bytes: u64,
    /// Entries that may wait for the disk; an append waits beyond that.
    pub queue_bytes: u64,
    /// Entries given out by one read: a message to a replica.
    pub read_bytes: u64,
    /// Refuse an empty folder: the node has run before, so its log was lost.
    pub must_exist: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            cache_bytes: 32 << 20,
            queue_bytes: 64 << 20,
            read_bytes: 4 << 20,
            must_exist: false,
        }
    }
}
