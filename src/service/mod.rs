//! The service stands between the protocols and a store. It admits a bounded number
//! of calls, adds the actor and a random number to each command, gives it a deadline,
//! and turns refusals and faults into one kind of error.
//!
//! The files, in reading order:
//!
//! | file | holds |
//! |---|---|
//! | `options` | how a service is set up, and what comes with a call |
//! | `random` | the random numbers that new run ids are made of |
//! | `admission` | how many calls may be under way at once |
//! | `calls` | [`Service`]: it submits commands and asks questions |
//! | `undelivered` | gives back a grant whose caller has gone away |
//! | `recent` | a table that forgets what is a few seconds old |
//! | `cancellable` | the calls of this node that another request may cancel |
//! | `cancellation` | cancelling such a call, on whichever node it is |
//! | [`waiting`] | calls that wait for work, for a lease or for a change |

mod admission;
mod calls;
mod cancellable;
mod cancellation;
mod options;
mod random;
mod recent;
mod undelivered;
pub mod waiting;

pub use calls::Service;
pub use cancellable::CancellableCall;
pub use options::{Context, Options};
pub use random::RandomSource;

pub use crate::error::{Code, ServiceError};
