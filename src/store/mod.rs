//! The stores.
pub mod raft;
