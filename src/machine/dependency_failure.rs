//! What a failed prerequisite means to the run that waits for it.

/// What becomes of a run if one that it depends on fails or is cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDependencyFailure {
    #[default]
    Fail,
    Cancel,
    /// The run can be claimed as though the other were done.
    Continue,
}
