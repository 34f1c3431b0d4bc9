//! The protocols by which the service is reached. Each converts its requests
//! into commands and questions, and answers back, and does nothing else.
//!
//! | Module | Holds |
//! |---|---|
//! | `mcp` | the tools that agents call, over HTTP and over a pipe |
//! | `grpc` | the same commands and questions for programs |
//! | `http` | what both sides of the HTTP listener share: authorization, connections, metrics and health |
//! | `routes` | everything on the HTTP listener |
//! | `json_rpc` | JSON-RPC errors, with which HTTP requests are refused |
//! | `observed` | counting calls, and containing their panics |
//!
//! The protocols never import one another, so that each can be read alone.

pub mod grpc;
pub mod http;
mod json_rpc;
pub mod mcp;
mod observed;
mod routes;

pub use routes::{routes, routes_with};
