//! Membership: who belongs to the cluster, and how that changes while it runs.
//!
//! Read in this order:
//!
//! | file | holds |
//! |---|---|
//! | `view` | the members and former members that this node has applied |
//! | `progress` | how far each member has come, as the leader sees it |
//! | `join` | whether a node may join |
//! | `admin` | adding and removing members, transferring leadership, snapshots |
//! | `tasks` | registering the founders, and noticing that this node was removed |

pub(crate) mod admin;
mod join;
mod progress;
pub(crate) mod tasks;
pub mod view;
