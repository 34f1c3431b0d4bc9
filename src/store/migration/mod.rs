//! What the Python reference (MCP State Sidecar 0.1.0) wrote, in plain types,
//! and as a state of ours ([`convert()`]). How it is read out of a file is
//! [`super::sqlite`]'s, out of a Redis [`items`]'s.
//!
//! Nothing is lost on the way:
//!
//! - Values stay as they were written, byte for byte. The reference stored
//!   numbers that JSON has no form for (`NaN`, `Infinity`) and could not read
//!   them again; those become the strings `"NaN"` and `"Infinity"`.
//! - Deadlines are kept to the millisecond. What has expired comes along, reads
//!   as absent, and the sweep removes it as it removes everything else.
//! - The history's entries become `state_set` events, in their order, with
//!   agent, time and value before. Every other row gets the events that explain
//!   it, under the agent that it names, so that each row's revision is an
//!   event's and the chain is whole from its first one.
//! - Names longer than ours and values deeper or larger than ours are kept.
//!
//! Where the reference's data has no place among our rows:
//!
//! - A claim of the reference is for ever; ours lapse. A run that an agent had
//!   claimed stays that agent's, and the claim lives for our default time from
//!   the conversion on: workers that still run go on without a token, as
//!   before, and a crashed one's run can be taken over.
//! - The reference stored steps of runs that it did not know. Such a run is
//!   created under its id, as `running` and nobody's, so that its steps can be
//!   resumed and further ones be stored.
//! - A step below zero is kept in the history alone.
//! - A run's last step without an output (a Redis may have evicted it) gets
//!   `null` for one, so that nobody does again what was done.

mod check;
mod convert;
pub mod redis;
pub mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use check::{json, object, status, tags};
pub use convert::convert;

use crate::machine::row::Status;
use crate::machine::{Event, Json, Meta, Row, Text};

/// The version that all of this is about.
pub const VERSION: &str = "0.1.0";

/// All that one reference kept. Times are Unix seconds, as it kept them.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    pub keys: Vec<Key>,
    pub leases: Vec<Lease>,
    /// In the order in which they were created, where that is known.
    pub runs: Vec<Run>,
    pub steps: Vec<Step>,
    pub sessions: Vec<Session>,
    /// Oldest first. Its Redis backend kept none.
    pub history: Vec<Entry>,
}

/// A key's value.
#[derive(Clone, Debug)]
pub struct Key {
    pub key: Text,
    pub value: Json,
    pub expires_at: Option<f64>,
}

/// A lease that somebody holds, or held until `expires_at`.
#[derive(Clone, Debug)]
pub struct Lease {
    pub resource_id: Text,
    pub holder_id: Text,
    pub expires_at: f64,
}

/// A workflow run.
#[derive(Clone, Debug)]
pub struct Run {
    pub run_id: Text,
    pub name: Text,
    pub status: Status,
    pub tags: BTreeMap<Text, Text>,
    pub agent_id: Option<Text>,
    pub last_step: i64,
    pub created_at: f64,
    pub updated_at: f64,
}

/// A step's output, of a run that may be unknown.
#[derive(Clone, Debug)]
pub struct Step {
    pub run_id: Text,
    pub step: i64,
    pub output: Json,
}

/// A session's context. Its Redis backend kept no times of them.
#[derive(Clone, Debug)]
pub struct Session {
    pub session_id: Text,
    pub context: Json,
    pub saved_at: Option<f64>,
    pub updated_at: Option<f64>,
}

/// One `state_set`, as the history has it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Text,
    pub new: Json,
    pub previous: Option<Json>,
    pub agent_id: Option<Text>,
    pub written_at: f64,
}

/// A state of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    pub meta: Meta,
    pub rows: Vec<Row>,
    /// From the first revision to the one of `meta`.
    pub events: Vec<Event>,
}

/// Something that the reference did not write where it stands: somebody else
/// did, and nobody knows what was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ForeignData {
    /// The table and the row's name, or the key in a Redis.
    pub place: String,
    pub reason: String,
}

impl ForeignData {
    /// `reason` holds of what stands at `place`.
    pub fn at(place: &str, reason: impl Into<String>) -> ForeignData {
        ForeignData { place: check::line(place), reason: check::line(&reason.into()) }
    }
}
