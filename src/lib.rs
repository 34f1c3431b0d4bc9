//! MCP State Sidecar.
pub mod access;
pub mod config;
pub mod limits;
pub mod machine;
mod nearest;
pub mod proto;
pub mod service;
pub mod store;
