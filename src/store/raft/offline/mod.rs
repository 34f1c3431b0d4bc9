//! Whole states that enter or leave a cluster: as an export while it runs, as the
//! first state of a new cluster, and out of the folder of a node whose cluster
//! has lost its majority.
//!
//! | file | holds |
//! |---|---|
//! | `export` | the state of a running cluster, as a stream of rows and events |
//! | `seed` | the folder of a new cluster's node, made from a state |
//! | `recover` | the state that a stopped node's folder holds |

pub(crate) mod export;
pub mod recover;
pub mod seed;
