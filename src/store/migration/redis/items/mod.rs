//! The reference's data as it lies in a Redis: one string a key.
//!
//! ```text
//! kv:<key>                  the value, JSON; expires with the key
//! lease:<resource_id>       {"holder_id", "expires_at"}
//! session:<session_id>      the context, JSON
//! wf:meta:<run_id>          {"name", "status", "tags", "agent_id", "last_step", …}
//! wf:step:<run_id>:<step>   the output, JSON
//! wf:index                  the set of all run ids; found again by wf:meta:
//! ```
//!
//! What lies under other names is somebody else's.

#[cfg(test)]
mod tests;
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::machine::{ClusterMs, Text};
use crate::store::migration::{ForeignData, Key, Lease, Reference, Run, Session, Step, check};

const INDEX: &str = "wf:index";

/// One key of a Redis.
#[derive(Clone, Debug)]
pub struct Item {
    pub key: Vec<u8>,
    /// What is left of its time (`PTTL`), counted from the time that all of
    /// this is read at; nothing where it has no end.
    pub left_ms: Option<u64>,
    pub value: Value,
}

/// What a key holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string's bytes.
    String(Vec<u8>),
    /// Another type, as `TYPE` names it.
    Other(String),
}

/// What a name says.
enum Name<'a> {
    Key(&'a str),
    Lease(&'a str),
    Session(&'a str),
    Run(&'a str),
    Step(&'a str),
    Index,
}

/// A lease as the reference's scripts write it, and nothing beside it: leases
/// are what others store too, in forms of their own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseForm {
    holder_id: Text,
    expires_at: f64,
}

/// A run as its model and its scripts write it; the id is in the name.
#[derive(Deserialize)]
struct RunForm {
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

/// Whether a key has a name as the reference gives them.
pub fn is_named(key: &[u8]) -> bool {
    parts(&String::from_utf8_lossy(key)).is_some()
}

/// Whether a key with this name can show that the reference was here. What is
/// called `kv:…` or `session:…` cannot: half of all caches have such keys, and
/// any JSON in them looks like the reference's.
pub fn may_show(key: &[u8]) -> bool {
    match parts(&String::from_utf8_lossy(key)) {
        Some(Name::Index | Name::Run(_) | Name::Lease(_)) => true,
        Some(Name::Key(_) | Name::Session(_) | Name::Step(_)) | None => false,
    }
}

/// Whether a key shows that the reference was here: its index of runs, a run
/// or a lease, of a form that only the reference gives them.
pub fn shows(item: &Item) -> bool {
    let place = String::from_utf8_lossy(&item.key);
    match (parts(&place), &item.value) {
        (Some(Name::Index), Value::Other(kind)) => kind == "set",
        (Some(Name::Run(_) | Name::Lease(_)), Value::String(_)) => {
            take(&mut Reference::default(), item, ClusterMs::default()).is_ok()
        }
        (Some(_) | None, _) => false,
    }
}

/// All that lies under the reference's names, read at `now` by the clock that
/// `left_ms` is counted by.
///
/// # Errors
/// Something under such a name is not of the reference's form.
pub fn gather(
    items: impl IntoIterator<Item = Item>,
    now: ClusterMs,
) -> Result<Reference, ForeignData> {
    let mut all = Reference::default();
    for item in items {
        take(&mut all, &item, now)?;
    }
    // A scan's order is chance.
    all.keys.sort_by(|a, b| a.key.cmp(&b.key));
    all.leases.sort_by(|a, b| a.resource_id.cmp(&b.resource_id));
    all.sessions.sort_by(|a, b| a.session_id.cmp(&b.session_id));
    all.steps.sort_by(|a, b| (&a.run_id, a.step).cmp(&(&b.run_id, b.step)));
    all.runs.sort_by(|a, b| {
        a.created_at.total_cmp(&b.created_at).then_with(|| a.run_id.cmp(&b.run_id))
    });
    Ok(all)
}

fn take(all: &mut Reference, item: &Item, now: ClusterMs) -> Result<(), ForeignData> {
    let place = String::from_utf8_lossy(&item.key);
    let Some(name) = parts(&place) else { return Ok(()) };
    if matches!(place, Cow::Owned(_)) {
        return Err(ForeignData::at(&place, "the name is not UTF-8"));
    }
    if matches!(name, Name::Index) {
        return Ok(());
    }
    let text = string(&place, &item.value)?;
    match name {
        Name::Key(key) => all.keys.push(Key {
            key: key.into(),
            value: check::json(&place, "the value", text)?,
            expires_at: item.left_ms.map(|left_ms| now.plus(left_ms).0 as f64 / 1000.0),
        }),
        Name::Lease(resource_id) => {
            let LeaseForm { holder_id, expires_at } = form(&place, "a lease", text)?;
            let resource_id = resource_id.into();
            all.leases.push(Lease { resource_id, holder_id, expires_at });
        }
        Name::Session(session_id) => all.sessions.push(Session {
            session_id: session_id.into(),
            context: check::object(&place, "the context", text)?,
            saved_at: None,
            updated_at: None,
        }),
        Name::Run(run_id) => all.runs.push(run(&place, run_id, text)?),
        Name::Step(name) => all.steps.push(step(&place, name, text)?),
        Name::Index => {}
    }
    Ok(())
}

fn run(place: &str, run_id: &str, text: &str) -> Result<Run, ForeignData> {
    let RunForm { name, status, tags, agent_id, last_step, created_at, updated_at } =
        form(place, "a run", text)?;
    if last_step.fract() != 0.0 {
        return Err(ForeignData::at(
            place,
            format!("last_step is a whole number, not {last_step}"),
        ));
    }
    let status = check::status(place, &status)?;
    let (run_id, last_step) = (run_id.into(), last_step as i64);
    Ok(Run { run_id, name, status, tags, agent_id, last_step, created_at, updated_at })
}

/// By `<run_id>:<step>`; the id may have colons of its own.
fn step(place: &str, name: &str, text: &str) -> Result<Step, ForeignData> {
    let parts = name.rsplit_once(':');
    let step = parts.and_then(|(run_id, step)| Some((run_id, step.parse().ok()?)));
    let Some((run_id, step)) = step else {
        return Err(ForeignData::at(place, "the name does not end in a step's number"));
    };
    Ok(Step { run_id: run_id.into(), step, output: check::json(place, "the output", text)? })
}

fn string<'a>(place: &str, value: &'a Value) -> Result<&'a str, ForeignData> {
    match value {
        Value::String(bytes) => std::str::from_utf8(bytes)
            .map_err(|error| ForeignData::at(place, format!("the value is not UTF-8: {error}"))),
        Value::Other(kind) => {
            Err(ForeignData::at(place, format!("a {kind}, where a string belongs")))
        }
    }
}

fn form<'a, T: Deserialize<'a>>(place: &str, what: &str, text: &'a str) -> Result<T, ForeignData> {
    serde_json::from_str(text)
        .map_err(|error| ForeignData::at(place, format!("not {what} ({error}): {text}")))
}

fn parts(key: &str) -> Option<Name<'_>> {
    if key == INDEX {
        return Some(Name::Index);
    }
    let after = |prefix: &str| key.strip_prefix(prefix);
    None.or_else(|| after("kv:").map(Name::Key))
        .or_else(|| after("lease:").map(Name::Lease))
        .or_else(|| after("session:").map(Name::Session))
        .or_else(|| after("wf:meta:").map(Name::Run))
        .or_else(|| after("wf:step:").map(Name::Step))
}
