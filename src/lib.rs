//! MCP State Sidecar.
pub mod store;
