//! The replicated store.
pub mod types;
