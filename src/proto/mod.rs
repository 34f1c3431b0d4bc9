//! Protobuf messages and services of this program. The `.proto` files say what
//! each of them means.
//!
//! | module | from | holds |
//! |---|---|---|
//! | [`state`] | `proto/state.proto` | commands, replies, rows and questions |
//! | [`record`] | `proto/record.proto` | what the log and the network carry; uses `state` |
//! | [`peer`] | `proto/peer.proto` | how the nodes of one cluster talk to each other; uses `record` |
//! | [`sidecar`] | `proto/sidecar.proto` | the public API with its client and server; uses `state` |
//! | [`strict`] | written by hand | the codec of the public API, which refuses unknown fields |
//!
//! The first four are generated, and the code is checked in. To change one, edit
//! its `.proto` file and then follow the instructions in `generated/mod.rs`.

// Generated code follows the style of its generator, not ours.
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, rustdoc::all)]
mod generated;
pub mod strict;

pub use generated::{peer, record, sidecar, state};
