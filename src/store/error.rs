//! Errors of stores: what a caller may conclude about its command.

/// A fault: the store could not do what it was asked to. If a rule refuses a
/// command, that is a [`crate::machine::Reply`] instead.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no leader or no quorum, or the store is closing or too busy.
    /// Nothing was written.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The command may or may not have been applied, or may be applied later.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The disk failed or its contents are damaged. Nothing was written.
    #[error("storage failed: {0}")]
    Storage(String),
}
