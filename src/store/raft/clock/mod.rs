//! Time in a cluster: the clock by which deadlines are judged, and how far the
//! members' own clocks differ.
//!
//! | file | holds |
//! |---|---|
//! | `cluster_clock` | cluster time, as the leader computes it |
//! | `peer_status` | what a node learns of its peers' clocks and protocol versions |

pub(crate) mod cluster_clock;
pub(crate) mod peer_status;
