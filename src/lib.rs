//! MCP State Sidecar.
pub mod machine;
pub mod store;
