//! Members of a running cluster: added, removed, replaced, under load, and
//! every change that would do harm refused.

#[allow(dead_code, reason = "each test binary uses a part")]
#[path = "../raft/calls.rs"]
mod calls;
mod change;
#[allow(dead_code, reason = "each test binary uses a part")]
#[path = "../raft/cluster.rs"]
mod cluster;
mod expelled;
mod load;
mod refused;
