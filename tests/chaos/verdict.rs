//! The verdict: does the cluster's own history explain every answer that an
//! agent got? The history is chained by hash and equal on all nodes, so it is
//! the one order in which things happened; each answer must fit into it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Value, json};

use crate::chain;
use crate::client::{Client, Outcome};
use crate::record::Call;

/// Events fetched at a time.
const PAGE: u64 = 10_000;

/// The history, by id.
pub struct History(BTreeMap<u64, Value>);

/// Fetches the whole history of one node.
pub async fn fetch(client: &Client) -> History {
    let mut events = BTreeMap::new();
    let mut before = None;
    loop {
        let page = client.answer("history_log", json!({"n": PAGE, "before_id": before})).await;
        let entries = page["entries"].as_array().unwrap();
        let Some(last) = entries.last() else { return History(events) };
        before = Some(last["id"].as_u64().unwrap());
        events.extend(entries.iter().map(|entry| (entry["id"].as_u64().unwrap(), entry.clone())));
    }
}

/// Checks everything; panics with what does not fit.
pub fn check(history: &History, calls: &[Call]) {
    chain::verify(&history.0);
    history.each_token_has_one_claimant();
    history.leases_do_not_overlap();
    for call in calls {
        if call.outcome == Outcome::Unavailable {
            history.lacks(call);
        }
        match call.tool {
            "workflow_claim" => history.explains_claim(call),
            "workflow_checkpoint" => history.explains_checkpoint(call),
            "state_set" => history.explains_set(call),
            "lease_acquire" => history.explains_lease(call),
            _ => {}
        }
    }
    nothing_is_done_twice(history);
    reads_are_fresh(history, calls);
}

impl History {
    fn of<'a>(&'a self, action: &'a str) -> impl Iterator<Item = (u64, &'a Value)> {
        let of_it = move |event: &Value| event["action"] == json!(action);
        self.0.iter().filter(move |(_, event)| of_it(event)).map(|(id, event)| (*id, event))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a lease was granted and neither given back nor swept.
    pub fn has_open_leases(&self) -> bool {
        let mut open = BTreeSet::new();
        for event in self.0.values() {
            match event["action"].as_str().unwrap() {
                "lease_acquire" => open.insert(event["key"].as_str().unwrap()),
                "lease_release" | "lease_expire" => open.remove(event["key"].as_str().unwrap()),
                _ => false,
            };
        }
        !open.is_empty()
    }

    /// That two nodes hold the very same events.
    pub fn assert_equal(&self, other: &History) {
        for (id, event) in &self.0 {
            assert_eq!(Some(event), other.0.get(id), "nodes differ at event {id}");
        }
        assert_eq!(self.0.len(), other.0.len(), "nodes hold histories of different length");
    }

    /// Ids only rise and each is one event of one agent, so a token that is its
    /// event's id has one claimant and is above every earlier one.
    fn each_token_has_one_claimant(&self) {
        for (id, event) in self.of("workflow_claim") {
            assert_eq!(event["new_value"]["claim_token"], json!(id), "{event}");
        }
    }

    /// Between two grants of one lease there is its end: released, expired, or
    /// its own deadline passed by the grant's time.
    fn leases_do_not_overlap(&self) {
        let mut held: BTreeMap<&str, &Value> = BTreeMap::new();
        for event in self.0.values() {
            let key = event["key"].as_str().unwrap();
            match event["action"].as_str().unwrap() {
                "lease_acquire" => {
                    if let Some(earlier) = held.insert(key, event) {
                        let over = earlier["new_value"]["expires_at"].as_f64().unwrap();
                        let again = event["new_value"]["expires_at"].as_f64().unwrap() - 2.0;
                        assert!(over <= again + 0.001, "{key} granted twice: {earlier} {event}");
                    }
                }
                "lease_renew" => {
                    held.insert(key, event);
                }
                "lease_release" | "lease_expire" => {
                    held.remove(key);
                }
                _ => {}
            }
        }
    }

    fn event(&self, id: &Value, call: &Call) -> &Value {
        id.as_u64().and_then(|id| self.0.get(&id)).unwrap_or_else(|| panic!("lost: {call:?}"))
    }

    /// Nothing was written, it was said. What agents write is unique.
    fn lacks(&self, call: &Call) {
        let (action, path, written) = match call.tool {
            "state_set" => ("state_set", "/new_value", &call.arguments["value"]),
            "workflow_checkpoint" => {
                ("workflow_checkpoint", "/new_value/output", &call.arguments["output"])
            }
            _ => return,
        };
        let there = self.of(action).any(|(_, event)| event.pointer(path) == Some(written));
        assert!(!there, "refused, but written: {call:?}");
    }

    fn explains_claim(&self, call: &Call) {
        let Some(answer) = call.answer() else { return };
        if answer["claimed"] != json!(true) {
            return;
        }
        let event = self.event(&answer["claim_token"], call);
        assert_eq!(event["action"], json!("workflow_claim"), "{call:?} {event}");
        assert_eq!(event["key"], json!(format!("workflow:{}", call.argument("run_id"))));
        assert_eq!(event["agent_id"], json!(call.agent), "{call:?} {event}");
    }

    fn explains_checkpoint(&self, call: &Call) {
        let written = self
            .of("workflow_checkpoint")
            .filter(|(_, event)| event["new_value"]["output"] == call.arguments["output"]);
        let count = written.count();
        match call.answer() {
            Some(answer) if answer["ok"] == json!(true) => {
                assert_eq!(count, 1, "an acknowledged checkpoint is there once: {call:?}");
            }
            Some(_) => assert_eq!(count, 0, "a refused checkpoint is not there: {call:?}"),
            None => assert!(count <= 1, "a checkpoint in doubt is there twice: {call:?}"),
        }
    }

    fn explains_set(&self, call: &Call) {
        let Some(answer) = call.answer() else { return };
        if answer["ok"] != json!(true) {
            return;
        }
        let event = self.event(&answer["revision"], call);
        assert_eq!(event["key"], call.arguments["key"], "{call:?} {event}");
        assert_eq!(event["new_value"], call.arguments["value"], "{call:?} {event}");
        if let Some(expected) = call.arguments["if_revision"].as_u64() {
            let id = answer["revision"].as_u64().unwrap();
            let previous = self.previous_of(call.argument("key"), id);
            assert_eq!(previous, expected, "compare-and-set lost an update: {call:?}");
        }
    }

    /// The event that wrote `key` last before `id`; 0 where there is none.
    fn previous_of(&self, key: &str, id: u64) -> u64 {
        let mut earlier = self.0.range(..id).rev();
        earlier.find(|(_, event)| event["key"] == json!(key)).map_or(0, |(id, _)| *id)
    }

    fn explains_lease(&self, call: &Call) {
        let Some(answer) = call.answer() else { return };
        if answer["acquired"] != json!(true) {
            return;
        }
        let event = self.event(&answer["fencing_token"], call);
        assert_eq!(event["action"], json!("lease_acquire"), "{call:?} {event}");
        assert_eq!(event["agent_id"], json!(call.agent), "{call:?} {event}");
    }
}

/// Values and names are unique, so one that shows up twice was applied twice.
fn nothing_is_done_twice(history: &History) {
    let mut seen = BTreeMap::new();
    let unique = [("state_set", "/new_value"), ("workflow_create", "/new_value/name")];
    for (action, path) in unique {
        for (id, event) in history.of(action) {
            let value = event.pointer(path).unwrap().to_string();
            if let Some(first) = seen.insert((action, value), id) {
                panic!("applied twice, at {first} and {id}: {event}");
            }
        }
    }
}

/// A read shows a write of its key that had begun before the read ended, and
/// none that another, acknowledged before the read began, had replaced.
fn reads_are_fresh(history: &History, calls: &[Call]) {
    let mut began: BTreeMap<u64, Instant> = BTreeMap::new();
    let mut acknowledged: BTreeMap<&str, Vec<(Instant, u64)>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.tool == "state_set") {
        if let Some(revision) = call
            .answer()
            .and_then(|answer| answer["revision"].as_u64().filter(|_| answer["ok"] == json!(true)))
        {
            began.insert(revision, call.began);
            acknowledged.entry(call.argument("key")).or_default().push((call.ended, revision));
        }
    }
    let fresh = |call: &&Call| call.tool == "state_get" && call.arguments["consistency"].is_null();
    for read in calls.iter().filter(fresh) {
        let Some(answer) = read.answer() else { continue };
        let shown = answer["revision"].as_u64().unwrap_or(0);
        if shown > 0 {
            let event = history.event(&answer["revision"], read);
            assert_eq!(event["new_value"], answer["value"], "{read:?} {event}");
            let before = began.get(&shown).is_none_or(|began| *began < read.ended);
            assert!(before, "a read saw a write that had not begun: {read:?}");
        }
        for (ended, revision) in acknowledged.get(read.argument("key")).into_iter().flatten() {
            let stale = *ended < read.began && *revision > shown;
            assert!(!stale, "a stale read: {read:?} shows {shown}, {revision} was acknowledged");
        }
    }
}

/// Every acknowledged key and checkpoint, asked of `client`'s own node.
pub async fn assert_present(client: &Client, calls: &[Call]) {
    for call in calls {
        let Some(answer) = call.answer() else { continue };
        if answer["ok"] != json!(true) {
            continue;
        }
        match call.tool {
            "state_set" if call.argument("key").starts_with("own/") => {
                let key = &call.arguments["key"];
                let got = client.answer("state_get", json!({"key": key})).await;
                assert_eq!(got["value"], call.arguments["value"], "{call:?}");
            }
            "workflow_checkpoint" => {
                let run_id = &call.arguments["run_id"];
                let run = client.answer("workflow_resume", json!({"run_id": run_id})).await;
                let step = call.arguments["step"].to_string();
                assert!(run["step_outputs"].get(&step).is_some(), "lost step: {call:?}");
            }
            _ => {}
        }
    }
}
