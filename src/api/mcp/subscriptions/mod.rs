//! Subscriptions to resources: clients are told when one has changed, and read it again.
//!
//! Read in this order:
//!
//! | File | Holds |
//! |---|---|
//! | `updates` | [`ResourceUpdates`]: which URIs have changed, as the node's own apply tells it |
//! | `listen` | `subscriptions/listen` of revision 2026-07-28 |
//! | `subscribe` | `resources/subscribe` of older revisions, for a client on a pipe |

mod listen;
mod subscribe;
mod updates;

pub use listen::REVISION;
pub(super) use listen::{ListenRequest, listen};
pub(super) use subscribe::PipeSubscriptions;
