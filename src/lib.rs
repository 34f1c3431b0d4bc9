//! MCP State Sidecar.
pub mod machine;
pub mod proto;
pub mod store;
