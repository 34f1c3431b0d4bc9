//! MCP State Sidecar.
pub mod access;
pub mod api;
pub mod cli;
pub mod codec;
pub mod config;
pub mod limits;
pub mod machine;
mod nearest;
pub mod observe;
pub mod proto;
pub mod server;
pub mod service;
pub mod store;
pub mod sweep;
