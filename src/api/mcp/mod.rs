//! MCP: tools, resources and prompts over Streamable HTTP and over a pipe, for clients of
//! revision 2026-07-28 of the protocol and for older ones. rmcp implements the protocol;
//! the files here put the tools behind it, and deal with what it leaves open.
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `tools` | the tools themselves, free of the protocol |
//! | `resources` | the state by URI, its list, and completion of names |
//! | `prompts` | what agents are told to do |
//! | `subscriptions` | telling clients which resources have changed |
//! | `info` | what the server says about itself |
//! | `methods` | what each method takes, and errors about methods |
//! | `completion` | what a completion is about |
//! | `tasks` | calls that wait, for clients that know tasks |
//! | `progress` | telling clients that a call still waits |
//! | `handler` | [`Handler`]: all of this as rmcp serves it |
//! | `endpoint` | the route `/mcp` |
//! | `accepted` | what a client accepts as an answer |
//! | `fast_path` | plain calls over HTTP, answered without rmcp |
//! | `in_flight` | calls over HTTP, and other messages over HTTP that cancel them |
//! | `lines` | the messages that a client writes to a pipe, one on each line |
//! | `pipe`, `pipe_service`, `stdio_filter` | one client on standard input and output, and the lines that rmcp would ignore |
//! | `streams` | answers over HTTP: streams of events, and errors in the right form |
//! | `too_deep`, `malformed` | messages that rmcp must not see, or cannot read |
//! | `call_result` | the answer to a call, as text and as rmcp has it |
//! | `carried` | messages as `connect` carries them |

mod accepted;
mod call_result;
pub mod carried;
mod completion;
pub mod endpoint;
pub mod fast_path;
mod handler;
mod in_flight;
mod info;
mod lines;
mod malformed;
mod methods;
mod pipe;
mod pipe_service;
mod progress;
mod prompts;
mod resources;
mod stdio_filter;
mod streams;
mod subscriptions;
mod tasks;
mod too_deep;
pub mod tools;

pub use handler::Handler;
pub use lines::{MessageLine, MessageLines};
pub use pipe::{serve_pipe, serve_stdio};
