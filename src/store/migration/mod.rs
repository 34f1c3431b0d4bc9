//! The migration: what the Python reference (MCP State Sidecar 0.1.0) wrote
//! becomes a state of ours. The SQLite and Redis stores call it when they open a
//! place that the reference filled.
//!
//! | module | holds |
//! |---|---|
//! | `model` | the reference's data in plain types, and the state that it becomes |
//! | `check` | judging text that was found: what the reference wrote is accepted, anything else is refused by name |
//! | `convert` | from the one to the other: rows, and a history that explains them |
//! | `sqlite` | the reference's data in a SQLite file |
//! | `redis` | the reference's data in a Redis |
//!
//! Nothing is lost:
//!
//! - Values stay as they were written, byte for byte. The reference stored
//!   numbers that JSON cannot express (`NaN`, `Infinity`) and could not read them
//!   again; those become the strings `"NaN"` and `"Infinity"`.
//! - Deadlines are kept to the millisecond. Rows that have expired are migrated
//!   too; they read as absent until the sweep removes them.
//! - The entries of the history become `state_set` events, in their order, with
//!   agent, time and previous value. Every other row gets the events that explain
//!   it, in the name of the agent that it mentions. So the revision of each row is
//!   the revision of an event, and the chain is whole from the first one.
//! - Names and values beyond our limits are kept.
//!
//! Some of the reference's data has no equivalent among our rows:
//!
//! - The reference's claims never expire, but ours do. A run that an agent had
//!   claimed stays that agent's, and the claim lives for our default time from
//!   the conversion on. So workers that still run continue without a token, as
//!   before, and the run of a crashed worker can be taken over.
//! - The reference stored steps of runs that it did not know. Such a run is
//!   created under its id as `running` and without an agent, so that it can be
//!   resumed after these steps and further steps can be stored.
//! - Steps with a negative number are kept only in the history.
//! - If the last step of a run has no output, because Redis evicted it, its
//!   output becomes `null`. Otherwise the step would be done again.

mod check;
mod convert;
mod model;
pub(in crate::store) mod redis;
pub(in crate::store) mod sqlite;
#[cfg(test)]
mod tests;

pub use check::ForeignData;
pub use convert::convert;
pub use model::{
    Converted, Reference, ReferenceKey, ReferenceLease, ReferenceRun, ReferenceSession,
    ReferenceSet, ReferenceStep, VERSION,
};
