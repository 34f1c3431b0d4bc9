//! Rust code that `tests/proto.rs` generates from the `.proto` files.
//!
//! It is checked in, so that building the program needs neither a Protobuf
//! compiler nor the crates that replace one. A test compares it with the
//! `.proto` files and fails when it is out of date. To bring it up to date, run
//!
//! ```text
//! UPDATE_GENERATED=1 cargo test --test proto
//! ```
//!
//! directly after editing a `.proto` file: the test is compiled together with
//! this crate, so the crate must still compile at that moment.

pub mod peer;
pub mod record;
pub mod sidecar;
pub mod state;
