//! How long the peer network waits for a peer.

use std::time::Duration;

/// The timeouts of the peer network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// After this, a connection attempt has failed. Within a cluster a handshake
    /// takes a millisecond; a lost packet is sent again after one second.
    pub connect_timeout: Duration,
    /// An append that is not acknowledged for this long breaks its stream, and is
    /// tried again on a new one. Openraft itself waits without limit, so without
    /// this timeout a peer that accepts appends and never answers would be cut off
    /// from replication until it restarts. It is well above the slowest sync that is
    /// still worth waiting for.
    pub ack_timeout: Duration,
    /// A connection that is silent for this long is pinged, and is dead if the ping
    /// is not answered in the same time. This frees calls to a machine that vanished
    /// without closing its connections.
    pub keep_alive: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(1_500),
            ack_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(2),
        }
    }
}
