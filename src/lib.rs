//! MCP State Sidecar.
pub mod access;
pub mod limits;
pub mod machine;
pub mod service;
pub mod store;
