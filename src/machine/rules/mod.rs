//! The rules, one noun a file. Each reads and writes through a
//! [`super::draft::Draft`]; none knows a clock or a store.
//!
//! Read `dispatch` first: it hands each command to its rule.
//!
//! | file | rules |
//! |---|---|
//! | `kv`, `transact` | keys |
//! | `create`, `claim`, `heartbeat`, `checkpoint`, `approval`, `finish`, `cancel`, `retry`, `remove` | runs |
//! | `concurrency` | how many runs of a key may be claimed |
//! | `dependencies` | runs that wait for others |
//! | `pause` | names of which nobody gets a run who asks for any |
//! | `present` | the run that a command is about, as it is now |
//! | `lease` | leases |
//! | `session` | sessions |
//! | `schedule` | schedules |
//! | `reset`, `sweep` | the whole state |
//! | `claimant`, `fence` | who may write |
//! | `outcome` | replies that several rules give |

mod approval;
mod cancel;
mod checkpoint;
mod claim;
mod claimant;
mod concurrency;
mod create;
mod dependencies;
mod dispatch;
mod fence;
mod finish;
mod heartbeat;
mod kv;
mod lease;
mod outcome;
mod pause;
mod present;
mod remove;
mod reset;
mod retry;
mod schedule;
mod session;
mod sweep;
mod transact;

pub use create::run_ids;
pub use dispatch::carry_out;
