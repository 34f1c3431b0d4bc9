//! Membership: who belongs to the cluster, and how that changes while it runs.
//!
//! | file | holds |
//! |---|---|
//! | `view` | the members and former members that this node has applied |
//! | `change` | adding and removing members, transferring leadership |
//! | `tasks` | registering the founders, and noticing that this node was removed |

pub(crate) mod change;
pub(crate) mod tasks;
pub mod view;
