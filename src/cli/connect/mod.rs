//! `connect`: MCP on standard input and output, answered by running nodes. It only carries
//! messages. While one node is down, it calls the next.
//!
//! | file | holds |
//! |---|---|
//! | `command` | the command: reads messages and writes answers |
//! | `forwarder` | carries one message to a node that is up |
//! | `requests` | the requests under way, so that the client can cancel them |

mod command;
mod forwarder;
mod requests;

pub use command::{ConnectArgs, run};
