//! The data that the tests are made of.

use std::collections::BTreeMap;

use crate::machine::status::Status;
use crate::machine::{ClusterMs, Json};
use crate::store::migration::{ReferenceKey, ReferenceRun, ReferenceSet, ReferenceStep};

/// The moment of every conversion.
pub(super) const NOW: ClusterMs = ClusterMs(1_800_000_000_000);

pub(super) fn run(
    run_id: &str,
    status: Status,
    agent_id: Option<&str>,
    last_step: i64,
) -> ReferenceRun {
    ReferenceRun {
        run_id: run_id.into(),
        name: "etl".into(),
        status,
        tags: BTreeMap::from([("team".into(), "data".into())]),
        agent_id: agent_id.map(Into::into),
        last_step,
        created_at: 1_700_000_000.25,
        updated_at: 1_700_000_010.5,
    }
}

pub(super) fn step(run_id: &str, step: i64) -> ReferenceStep {
    let output = Json::new(format!("{{\"rows\": {step}}}"));
    ReferenceStep { run_id: run_id.into(), step, output }
}

pub(super) fn set(key: &str, new: &str, written_at: f64) -> ReferenceSet {
    let (key, new) = (key.into(), Json::new(new));
    ReferenceSet { key, new, previous: None, agent_id: None, written_at }
}

pub(super) fn key(key: &str, value: &str, expires_at: Option<f64>) -> ReferenceKey {
    ReferenceKey { key: key.into(), value: Json::new(value), expires_at }
}
