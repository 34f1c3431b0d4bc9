//! The command line, tested with the real programs: what they print, how they end, and that
//! a node speaks MCP on a pipe and over HTTP.

mod addresses;
mod connect;
mod cut;
mod dev;
mod node;
mod pipe;
mod run;
mod settings;
mod tls;
