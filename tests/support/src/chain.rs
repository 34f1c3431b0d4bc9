//! The chain, as a client can check it with what `history_log` gives alone.

use std::collections::BTreeMap;

use mcp_state_sidecar::machine::{Chain, Event, Json, Revision, Text, WallMs};
use serde_json::Value;

/// Checks a history from its first event on, none missing, and gives its head.
/// A value that is `null` reads as none, so nobody may have stored one.
pub fn verify(history: &BTreeMap<u64, Value>) -> String {
    let mut chain = Chain::default();
    for (expected, (id, entry)) in (1..).zip(history) {
        assert_eq!(expected, *id, "an event is missing");
        assert_eq!(entry["revision"].as_u64(), Some(*id), "{entry}");
        let sealed = event(entry).seal(chain);
        assert_eq!(entry["chain"].as_str(), Some(&*sealed.chain.to_string()), "broken at {entry}");
        chain = sealed.chain;
    }
    chain.to_string()
}

/// The event that an entry tells of, not sealed yet.
fn event(entry: &Value) -> Event {
    let text = |name: &str| entry[name].as_str().map(Text::from);
    let json = |name: &str| {
        let value = &entry[name];
        (!value.is_null()).then(|| Json::new(value.to_string()))
    };
    let seconds = entry["written_at"].as_f64().expect("a time");
    Event {
        revision: Revision(entry["revision"].as_u64().expect("a revision")),
        at: WallMs((seconds * 1_000.0).round() as u64),
        actor: text("agent_id"),
        action: entry["action"].as_str().and_then(|name| name.parse().ok()).expect("an action"),
        subject: text("key").expect("a subject"),
        new: json("new_value"),
        previous: json("previous_value"),
        chain: Chain::default(),
    }
}
