//! What the agents saw: every call, when it began and ended, and how.

use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use crate::client::Outcome;

/// One call of one agent.
#[derive(Clone, Debug)]
pub struct Call {
    pub agent: String,
    pub tool: &'static str,
    pub arguments: Value,
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
}

/// All calls, in the order in which they ended.
#[derive(Default)]
pub struct Record(Mutex<Vec<Call>>);

impl Record {
    pub fn add(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }
}

impl Call {
    /// The answer, where there was one.
    pub fn answer(&self) -> Option<&Value> {
        match &self.outcome {
            Outcome::Answer(value) => Some(value),
            Outcome::Unavailable | Outcome::Unknown => None,
        }
    }

    /// A text argument.
    pub fn argument(&self, name: &str) -> &str {
        self.arguments[name].as_str().unwrap_or_default()
    }
}
