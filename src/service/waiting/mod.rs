//! Calls that wait: for work, for a lease, or for a change of keys; and subscriptions.
//!
//! The callers of this node that wait for work or a lease form a line, first come,
//! first served. Each sleeps until its turn comes, attempts once, and sleeps again if
//! another node was faster. So a thousand waiting callers cost a busy log nothing, and
//! one run wakes one of them. A waiting call writes to the log only when there seems
//! to be something to grant; that there is nothing is read, not written.
//!
//! The files, in reading order:
//!
//! | file | holds |
//! |---|---|
//! | `grants` | `claim_next` and `acquire`: the loop of one waiting call |
//! | `grant_request` | what such a call asks for, and what the state says about it |
//! | `wait_limits` | how long a waiting call may take |
//! | `ticket` | the place of one call in the line, which it leaves when dropped |
//! | `dispatcher` | the task that follows the store's events and wakes callers |
//! | `line` | the queues, as callers and the dispatcher share them |
//! | `queues` | who waits for what, in which order, and who is offered a run |
//! | `group` | the callers that wait for the same thing, asleep or awake |
//! | `facets` | the index by which a run finds the queues that may want it |
//! | `wanted` | what a queue waits for |
//! | `changes` | waiting for a change of keys |
//! | `watches` | the task that tells waiting callers of such changes |
//! | `subject` | what a subscription is about, and which events concern it |
//! | `subscriptions` | subscriptions, and the task that marks in each what has changed |
//! | `runs` | waiting until a run has got somewhere, or all children of a run are over |
//! | `local_reads` | what both tasks ask of this node's own state |

mod changes;
mod dispatcher;
mod facets;
mod grant_request;
mod grants;
mod group;
mod line;
mod local_reads;
mod queues;
mod runs;
mod subject;
mod subscriptions;
mod ticket;
mod wait_limits;
mod wanted;
mod watches;

pub use changes::KeyChanges;
pub(super) use line::WaitingLine;
pub use runs::{ChildrenWaited, RunWaited};
pub use subject::SubscribedSubject;
pub(super) use subscriptions::Subscriptions;
pub use subscriptions::{SUBJECTS_MAX, SubjectChanges, Subscription};
pub(super) use watches::Watches;
