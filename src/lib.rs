//! MCP State Sidecar.
pub mod access;
pub mod codec;
pub mod limits;
pub mod machine;
pub mod proto;
pub mod service;
pub mod store;
