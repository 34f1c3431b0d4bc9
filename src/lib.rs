//! MCP State Sidecar.
pub mod access;
pub mod api;
pub mod limits;
pub mod machine;
pub mod service;
pub mod store;
