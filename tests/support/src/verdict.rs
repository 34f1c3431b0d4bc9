//! The verdict: does the cluster's own history explain every answer that an
//! agent got? The history is chained by hash and equal on all nodes, so it is
//! the one order in which things happened; each answer must fit into it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Value, json};

use crate::chain;
use crate::checker::runs::{Asked, RunEvent, judge};
use crate::client::{Client, Outcome};
use crate::record::Call;

/// Events fetched at a time.
const PAGE: u64 = 10_000;

/// The history, by id.
pub struct History(BTreeMap<u64, Value>);

/// How often each value was written. What agents write is unique.
struct Written<'a>(BTreeMap<(&'static str, &'a str), usize>);

impl Written<'_> {
    fn of(history: &History) -> Written<'_> {
        let mut written = BTreeMap::new();
        let places = [("state_set", "/new_value"), ("workflow_checkpoint", "/new_value/output")];
        for (action, path) in places {
            for (_, event) in history.of(action) {
                let value = event.pointer(path).and_then(Value::as_str).unwrap_or_default();
                *written.entry((action, value)).or_default() += 1;
            }
        }
        Written(written)
    }

    /// Nothing was written, it was said.
    fn lacks(&self, call: &Call) {
        let there = match call.tool {
            "state_set" => self.count("state_set", &call.arguments["value"]),
            "workflow_checkpoint" => self.count(call.tool, &call.arguments["output"]),
            _ => 0,
        };
        assert_eq!(there, 0, "refused, but written: {call:?}");
    }

    fn explains_checkpoint(&self, call: &Call) {
        let count = self.count("workflow_checkpoint", &call.arguments["output"]);
        match call.answer() {
            Some(answer) if answer["ok"] == json!(true) => {
                assert_eq!(count, 1, "an acknowledged checkpoint is there once: {call:?}");
            }
            Some(_) => assert_eq!(count, 0, "a refused checkpoint is not there: {call:?}"),
            None => assert!(count <= 1, "a checkpoint in doubt is there twice: {call:?}"),
        }
    }

    fn count(&self, action: &'static str, value: &Value) -> usize {
        let value = value.as_str().unwrap_or_default();
        self.0.get(&(action, value)).copied().unwrap_or(0)
    }
}

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
    let doubted: BTreeSet<&str> = calls
        .iter()
        .filter(|call| call.outcome == Outcome::Unknown)
        .map(|call| call.argument("idempotency_key"))
        .filter(|key| !key.is_empty())
        .collect();
    let written = Written::of(history);
    for call in calls {
        // That nothing was done now says nothing of an earlier try.
        let again = doubted.contains(call.argument("idempotency_key"));
        if call.outcome == Outcome::Unavailable && !again {
            written.lacks(call);
        }
        match call.tool {
            "workflow_claim" => history.explains_claim(call),
            "workflow_checkpoint" => written.explains_checkpoint(call),
            "state_set" => history.explains_set(call),
            "lease_acquire" => history.explains_lease(call),
            _ => {}
        }
    }
    nothing_is_done_twice(history);
    reads_are_fresh(history, calls);
}

impl History {
    /// Judges the runs by what was asked for.
    pub fn judge_runs(&self, asked: &BTreeMap<String, Asked>) {
        let events: Vec<RunEvent> = self.0.values().map(RunEvent::of_entry).collect();
        if let Err(violation) = judge(&events, asked, &BTreeSet::new()) {
            panic!("{}", violation.0);
        }
    }

    fn of<'a>(&'a self, action: &'a str) -> impl Iterator<Item = (u64, &'a Value)> {
        let of_it = move |event: &Value| event["action"] == json!(action);
        self.0.iter().filter(move |(_, event)| of_it(event)).map(|(id, event)| (*id, event))
    }

    pub fn count(&self) -> usize {
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

/// Acknowledged keys and checkpoints, each `nth` call's, asked of `client`'s own
/// node.
pub async fn assert_present(client: &Client, calls: &[Call], nth: usize) {
    for call in calls.iter().step_by(nth) {
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
