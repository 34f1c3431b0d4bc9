//! The reference's data in plain types, as both of its backends kept it, and the
//! state that it becomes. All times of the reference are Unix seconds.

use std::collections::BTreeMap;

use crate::machine::status::Status;
use crate::machine::{Event, Json, Meta, Row, Text};

/// The reference's version whose data is migrated.
pub const VERSION: &str = "0.1.0";

/// Everything that one reference kept.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    pub keys: Vec<ReferenceKey>,
    pub leases: Vec<ReferenceLease>,
    /// In the order of their creation, if it is known.
    pub runs: Vec<ReferenceRun>,
    pub steps: Vec<ReferenceStep>,
    pub sessions: Vec<ReferenceSession>,
    /// Oldest first. The Redis backend kept no history.
    pub history: Vec<ReferenceSet>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct ReferenceKey {
    pub key: Text,
    pub value: Json,
    pub expires_at: Option<f64>,
}

/// A lease that somebody holds, or held until `expires_at`.
#[derive(Clone, Debug)]
pub struct ReferenceLease {
    pub resource_id: Text,
    pub holder_id: Text,
    pub expires_at: f64,
}

/// A workflow run.
#[derive(Clone, Debug)]
pub struct ReferenceRun {
    pub run_id: Text,
    pub name: Text,
    pub status: Status,
    pub tags: BTreeMap<Text, Text>,
    pub agent_id: Option<Text>,
    pub last_step: i64,
    pub created_at: f64,
    pub updated_at: f64,
}

/// The output of a step. The reference may not know its run.
#[derive(Clone, Debug)]
pub struct ReferenceStep {
    pub run_id: Text,
    pub step: i64,
    pub output: Json,
}

/// The context of a session. The Redis backend kept no times for sessions.
#[derive(Clone, Debug)]
pub struct ReferenceSession {
    pub session_id: Text,
    pub context: Json,
    pub saved_at: Option<f64>,
    pub updated_at: Option<f64>,
}

/// One `state_set` in the history.
#[derive(Clone, Debug)]
pub struct ReferenceSet {
    pub key: Text,
    pub new: Json,
    pub previous: Option<Json>,
    pub agent_id: Option<Text>,
    pub written_at: f64,
}

/// The state of ours that a reference's data becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    pub meta: Meta,
    pub rows: Vec<Row>,
    /// From the first revision to the one in `meta`.
    pub events: Vec<Event>,
}
