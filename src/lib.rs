//! MCP State Sidecar.
pub mod access;
pub mod api;
pub mod codec;
pub mod limits;
pub mod machine;
pub mod observe;
pub mod proto;
pub mod service;
pub mod store;
