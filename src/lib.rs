//! MCP State Sidecar.
pub mod codec;
pub mod machine;
pub mod proto;
pub mod store;
