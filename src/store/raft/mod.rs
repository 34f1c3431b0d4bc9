//! The replicated store.
pub mod entry;
pub mod log;
pub mod network;
pub mod options;
pub mod snapshot_file;
pub mod types;
