//! MCP: the tools over Streamable HTTP and over a pipe.
pub mod tools;
