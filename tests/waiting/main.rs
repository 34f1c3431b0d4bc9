//! Calls that wait for work, for a lease or for a change: who is woken, in which
//! order, what that costs the store, and what becomes of those who go away. Time
//! stands still while anything can still happen, so nothing here hopes.

mod changes;
mod drawn;
mod gone;
mod leases;
mod stage;
mod work;
