//! MCP as clients use it: over a real listener with raw requests, and over a pipe.

mod bad_input;
mod cancelled;
mod fast_path;
mod guarded;
mod node;
mod pipe;
mod protocol;
#[path = "../stories/schema.rs"]
mod schema;
