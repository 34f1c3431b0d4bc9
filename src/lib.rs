//! MCP State Sidecar.
pub mod proto;
pub mod store;
