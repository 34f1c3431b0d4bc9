//! The replicated store.
pub mod archive;
pub mod types;
