//! Time in a cluster: the clock that deadlines are judged by, and how far the
//! members' own clocks are apart.
//!
//! | file | holds |
//! |---|---|
//! | `cluster_clock` | cluster time, as the leader computes it |
//! | `skew` | what a node learns of its peers' clocks and protocol versions |

pub(crate) mod cluster_clock;
pub(crate) mod skew;
