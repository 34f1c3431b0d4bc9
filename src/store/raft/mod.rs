//! The replicated store.
pub mod entry;
pub mod log;
pub mod types;
