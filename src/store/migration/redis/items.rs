//! The reference's data as it is stored in a Redis: one string for each key.
//!
//! ```text
//! kv:<key>                  the value, JSON; expires with the key
//! lease:<resource_id>       {"holder_id", "expires_at"}
//! session:<session_id>      the context, JSON
//! wf:meta:<run_id>          {"name", "status", "tags", "agent_id", "last_step", …}
//! wf:step:<run_id>:<step>   the output, JSON
//! wf:index                  the set of all run ids, which wf:meta: gives as well
//! ```
//!
//! Keys with other names belong to other programs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::machine::{ClusterMs, Text};
use crate::store::migration::check::{self, ForeignData};
use crate::store::migration::model::{
    Reference, ReferenceKey, ReferenceLease, ReferenceRun, ReferenceSession, ReferenceStep,
};

const INDEX: &str = "wf:index";

/// One key of a Redis.
#[derive(Clone, Debug)]
pub(super) struct RedisItem {
    pub key: Vec<u8>,
    /// Its remaining time to live (`PTTL`), counted from the moment at which the
    /// migration began. `None` if it never expires.
    pub ttl_ms: Option<u64>,
    pub value: RedisValue,
}

/// What a key holds.
#[derive(Clone, Debug)]
pub(super) enum RedisValue {
    /// A string's bytes.
    String(Vec<u8>),
    /// A value of another type, as `TYPE` names it.
    Other(String),
}

/// What a key's name says about its value.
enum ItemName<'a> {
    Key(&'a str),
    Lease(&'a str),
    Session(&'a str),
    Run(&'a str),
    Step(&'a str),
    Index,
}

/// A lease as the reference's scripts write it. Further fields are not allowed,
/// because other programs store leases too, in their own formats.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseJson {
    holder_id: Text,
    expires_at: f64,
}

/// A run as the reference's model and scripts write it. Its id is in the name.
#[derive(Deserialize)]
struct RunJson {
    name: Text,
    status: Text,
    #[serde(default)]
    tags: BTreeMap<Text, Text>,
    #[serde(default)]
    agent_id: Option<Text>,
    /// Lua writes large numbers as `1e+15`.
    #[serde(default)]
    last_step: f64,
    created_at: f64,
    updated_at: f64,
}

/// Whether a key's name is one that the reference uses.
pub(super) fn is_named(key: &[u8]) -> bool {
    item_name(&String::from_utf8_lossy(key)).is_some()
}

/// Whether a key with this name can prove that the reference wrote it. Keys named
/// `kv:…` or `session:…` cannot: many caches have such keys, and any JSON in them
/// looks like the reference's.
pub(super) fn may_prove(key: &[u8]) -> bool {
    match item_name(&String::from_utf8_lossy(key)) {
        Some(ItemName::Index | ItemName::Run(_) | ItemName::Lease(_)) => true,
        Some(ItemName::Key(_) | ItemName::Session(_) | ItemName::Step(_)) | None => false,
    }
}

/// Whether a key proves that the reference wrote it: it is the index of runs, a
/// run or a lease, in the format that only the reference uses.
pub(super) fn proves(item: &RedisItem) -> bool {
    let place = String::from_utf8_lossy(&item.key);
    match (item_name(&place), &item.value) {
        (Some(ItemName::Index), RedisValue::Other(kind)) => kind == "set",
        (Some(ItemName::Run(_) | ItemName::Lease(_)), RedisValue::String(_)) => {
            add(&mut Reference::default(), item, ClusterMs::default()).is_ok()
        }
        (Some(_) | None, _) => false,
    }
}

/// Everything under the reference's names. `now` is the moment from which the
/// items' `ttl_ms` counts.
///
/// # Errors
/// A key with such a name does not have the reference's format.
pub(super) fn gather(
    items: impl IntoIterator<Item = RedisItem>,
    now: ClusterMs,
) -> Result<Reference, ForeignData> {
    let mut all = Reference::default();
    for item in items {
        add(&mut all, &item, now)?;
    }
    // The order of a scan is arbitrary, and the result must not depend on it.
    all.keys.sort_by(|a, b| a.key.cmp(&b.key));
    all.leases.sort_by(|a, b| a.resource_id.cmp(&b.resource_id));
    all.sessions.sort_by(|a, b| a.session_id.cmp(&b.session_id));
    all.steps.sort_by(|a, b| (&a.run_id, a.step).cmp(&(&b.run_id, b.step)));
    all.runs.sort_by(|a, b| {
        a.created_at.total_cmp(&b.created_at).then_with(|| a.run_id.cmp(&b.run_id))
    });
    Ok(all)
}

fn add(all: &mut Reference, item: &RedisItem, now: ClusterMs) -> Result<(), ForeignData> {
    let place = String::from_utf8_lossy(&item.key);
    let Some(name) = item_name(&place) else { return Ok(()) };
    if matches!(place, Cow::Owned(_)) {
        return Err(ForeignData::at(&place, "the name is not UTF-8"));
    }
    if matches!(name, ItemName::Index) {
        return Ok(());
    }
    let text = string(&place, &item.value)?;
    match name {
        ItemName::Key(key) => all.keys.push(ReferenceKey {
            key: key.into(),
            value: check::json(&place, "the value", text)?,
            expires_at: item.ttl_ms.map(|ttl_ms| now.plus(ttl_ms).0 as f64 / 1000.0),
        }),
        ItemName::Lease(resource_id) => {
            let LeaseJson { holder_id, expires_at } = parsed(&place, "a lease", text)?;
            let resource_id = resource_id.into();
            all.leases.push(ReferenceLease { resource_id, holder_id, expires_at });
        }
        ItemName::Session(session_id) => all.sessions.push(ReferenceSession {
            session_id: session_id.into(),
            context: check::object(&place, "the context", text)?,
            saved_at: None,
            updated_at: None,
        }),
        ItemName::Run(run_id) => all.runs.push(run(&place, run_id, text)?),
        ItemName::Step(name) => all.steps.push(step(&place, name, text)?),
        ItemName::Index => {}
    }
    Ok(())
}

fn run(place: &str, run_id: &str, text: &str) -> Result<ReferenceRun, ForeignData> {
    let RunJson { name, status, tags, agent_id, last_step, created_at, updated_at } =
        parsed(place, "a run", text)?;
    if last_step.fract() != 0.0 {
        return Err(ForeignData::at(
            place,
            format!("last_step is a whole number, not {last_step}"),
        ));
    }
    let status = check::status(place, &status)?;
    let (run_id, last_step) = (run_id.into(), last_step as i64);
    Ok(ReferenceRun { run_id, name, status, tags, agent_id, last_step, created_at, updated_at })
}

/// The step named `<run_id>:<step>`. The id may contain colons.
fn step(place: &str, name: &str, text: &str) -> Result<ReferenceStep, ForeignData> {
    let parts = name.rsplit_once(':');
    let step = parts.and_then(|(run_id, step)| Some((run_id, step.parse().ok()?)));
    let Some((run_id, step)) = step else {
        return Err(ForeignData::at(place, "the name does not end in a step's number"));
    };
    let output = check::json(place, "the output", text)?;
    Ok(ReferenceStep { run_id: run_id.into(), step, output })
}

fn string<'a>(place: &str, value: &'a RedisValue) -> Result<&'a str, ForeignData> {
    match value {
        RedisValue::String(bytes) => std::str::from_utf8(bytes)
            .map_err(|error| ForeignData::at(place, format!("the value is not UTF-8: {error}"))),
        RedisValue::Other(kind) => {
            Err(ForeignData::at(place, format!("a {kind}, where a string belongs")))
        }
    }
}

fn parsed<'a, T: Deserialize<'a>>(
    place: &str,
    what: &str,
    text: &'a str,
) -> Result<T, ForeignData> {
    serde_json::from_str(text)
        .map_err(|error| ForeignData::at(place, format!("not {what} ({error}): {text}")))
}

fn item_name(key: &str) -> Option<ItemName<'_>> {
    if key == INDEX {
        return Some(ItemName::Index);
    }
    let after = |prefix: &str| key.strip_prefix(prefix);
    None.or_else(|| after("kv:").map(ItemName::Key))
        .or_else(|| after("lease:").map(ItemName::Lease))
        .or_else(|| after("session:").map(ItemName::Session))
        .or_else(|| after("wf:meta:").map(ItemName::Run))
        .or_else(|| after("wf:step:").map(ItemName::Step))
}
