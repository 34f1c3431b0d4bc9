//! Whole states that enter or leave a cluster: exported while it runs, imported as
//! the first state of a new cluster, or recovered from the folder of a node whose
//! cluster has lost its majority.
//!
//! | file | holds |
//! |---|---|
//! | `export` | the state of a running cluster, as a stream of rows and events |
//! | `seed` | the folder of a new cluster's node, made from a state |
//! | `recover` | the state that a stopped node's folder holds |

pub(crate) mod export;
pub mod recover;
pub mod seed;
