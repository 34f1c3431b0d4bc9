//! Rust code that `proto/codegen` generates from the `.proto` files. After a
//! change of one of them, `cargo run -p proto-codegen` writes it anew.
//!
//! It is checked in, so that building the program needs neither a Protobuf
//! compiler nor the crates that replace one.

pub mod peer;
pub mod record;
pub mod sidecar;
pub mod state;
