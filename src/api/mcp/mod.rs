//! MCP: the tools over Streamable HTTP and over a pipe, for clients of revision
//! 2026-07-28 of the protocol and for older ones. rmcp implements the protocol;
//! the files here put the tools behind it, and deal with what it leaves open.
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `tools` | the tools themselves, free of the protocol |
//! | `handler` | [`Handler`]: the tools as rmcp serves them |
//! | `endpoint` | the route `/mcp` |
//! | `fast_path` | plain calls over HTTP, answered without rmcp |
//! | `in_flight` | calls over HTTP that another request may cancel |
//! | `pipe`, `stdio_filter` | one client on standard input and output, and the lines that rmcp would ignore |
//! | `too_deep`, `malformed` | messages that rmcp must not see, or cannot read |
//! | `call_result` | the answer to a call, as text |

mod call_result;
pub mod endpoint;
pub mod fast_path;
mod handler;
mod in_flight;
mod malformed;
mod pipe;
mod stdio_filter;
mod too_deep;
pub mod tools;

pub use handler::Handler;
pub use pipe::{serve_pipe, serve_stdio};
