//! `connect`: MCP on standard input and output, answered by running nodes. It only carries
//! messages. While one node is down, it calls the next.
//!
//! | file | holds |
//! |---|---|
//! | `command` | the command: reads messages and writes answers |
//! | `requests` | the requests under way, so that the client can cancel them |
//! | `forwarder` | carries one message to a node that is up |
//! | `headers` | the headers that a message needs |
//! | `attempts` | which node is called next, and for how long |
//! | `listen` | subscriptions, which go on at another node |

mod attempts;
mod command;
mod forwarder;
mod headers;
mod listen;
mod requests;

pub use command::{ConnectArgs, run};
