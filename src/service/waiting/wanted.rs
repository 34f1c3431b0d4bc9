//! What is waited for. Callers that wait for the same thing form one group.

use crate::machine::Text;
use crate::machine::filter::ClaimFilter;

/// What a group of callers waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// A run that the filter admits.
    Work(ClaimFilter),
    /// The lease of this resource, for callers who say that so many may hold it.
    Lease(Text, u32),
}
