//! The peer network with openraft on top: three nodes in one process, on loopback.
//! Each module tests one promise; log and state machine are minimal.

mod cluster;
mod forwarding;
mod rate;
mod refusal;
mod replication;
mod snapshot;
mod store;
