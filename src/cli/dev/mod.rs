//! `dev`: a whole cluster in one terminal, in which each node is a process of its own.
//!
//! | file | holds |
//! |---|---|
//! | `command` | the command, and the checks before the start |
//! | `cluster` | the nodes, from their start to their stop |
//! | `events` | what happens meanwhile: signals, and nodes that end |
//! | `node` | the process of one node |
//! | `layout` | ports, directories and settings files |

mod cluster;
mod command;
mod events;
mod layout;
mod node;

pub use command::{DevArgs, run};
