//! Calls that wait for work, for a lease, for a change or for runs, and subscriptions: which caller is woken, in which
//! order, how much that costs the store, and what happens if a caller goes away. The tests
//! use tokio's paused clock, which moves only when nothing else can happen, so none of them
//! depends on how fast the machine is.

mod changes;
mod leases;
mod lost_callers;
mod random;
mod runs;
mod stage;
mod subscriptions;
mod work;
