//! The replicated store.
pub mod archive;
pub mod entry;
pub mod history;
pub mod log;
pub mod types;
