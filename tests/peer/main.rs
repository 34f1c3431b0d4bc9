//! The peer network under openraft, three nodes in one process on loopback.
//! One module a promise; log and state machine are as little as will do.

mod cluster;
mod forwarding;
mod rate;
mod refusal;
mod replication;
mod snapshot;
mod store;
