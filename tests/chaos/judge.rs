//! What agents saw over MCP, in the checker's terms.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use support::checker::hold::{self, Hold};
use support::checker::key::{self, Key};
use support::checker::{Operation, check};
use support::client::Outcome;
use support::record::Call;

/// For how long an agent's lease, and its claim, is given.
const LEASE_TTL: Duration = Duration::from_secs(2);
const CLAIM_TTL: Duration = Duration::from_secs(300);

/// Looks for an order of the calls about each key, lease and run; tells how many
/// calls there were.
pub fn orders(calls: &[Call]) -> usize {
    let Some(start) = calls.iter().map(|call| call.began).min() else { return 0 };
    let mut keys: BTreeMap<&str, Vec<Operation<Key>>> = BTreeMap::new();
    let mut leases: BTreeMap<&str, Vec<Operation<Hold>>> = BTreeMap::new();
    let mut runs: BTreeMap<&str, Vec<Operation<Hold>>> = BTreeMap::new();
    for call in calls {
        let at = Times { call, start };
        match call.tool {
            "state_set" | "state_get" => {
                keys.entry(call.argument("key")).or_default().extend(key_operation(&at));
            }
            "lease_acquire" | "lease_release" => {
                let resource = call.argument("resource_id");
                leases.entry(resource).or_default().extend(lease_operation(&at));
            }
            "workflow_claim" | "workflow_checkpoint" | "workflow_complete" => {
                let run = call.argument("run_id");
                runs.entry(run).or_default().extend(run_operation(&at));
            }
            _ => {}
        }
    }
    judged("key", &keys) + judged("lease", &leases) + judged("run", &runs)
}

fn judged<M: support::checker::search::Model>(
    what: &str,
    things: &BTreeMap<&str, Vec<Operation<M>>>,
) -> usize {
    for (name, operations) in things {
        if let Err(violation) = check(&format!("{what} {name}"), operations) {
            panic!("{}", violation.0);
        }
    }
    things.values().map(Vec::len).sum()
}

/// A call with its times in microseconds.
struct Times<'a> {
    call: &'a Call,
    start: Instant,
}

impl Times<'_> {
    /// None where nothing was done, and for a read that nobody answered.
    fn operation<M: support::checker::search::Model>(
        &self,
        call: M::Call,
        outcome: impl FnOnce(&Value) -> M::Outcome,
    ) -> Option<Operation<M>> {
        let us = |at: Instant| at.saturating_duration_since(self.start).as_micros() as u64;
        let ended = match &self.call.outcome {
            Outcome::Answer(answer) => Some((us(self.call.ended), outcome(answer))),
            Outcome::Unavailable => return None,
            Outcome::Unknown => None,
        };
        let (client, began) = (self.call.agent.clone(), us(self.call.began));
        Some(Operation { client, call, began, ended })
    }
}

fn key_operation(at: &Times<'_>) -> Option<Operation<Key>> {
    let arguments = &at.call.arguments;
    if at.call.tool == "state_get" {
        // A local read promises no freshness, and one without an answer nothing.
        if !arguments["consistency"].is_null() || at.call.answer().is_none() {
            return None;
        }
        return at.operation(key::Call::Get, |answer| {
            let revision = answer["revision"].as_u64();
            key::Outcome::Read(revision.map(|revision| (answer["value"].to_string(), revision)))
        });
    }
    let value = arguments["value"].to_string();
    let call = key::Call::Set { value, if_revision: arguments["if_revision"].as_u64() };
    at.operation(call, |answer| {
        let revision = answer["revision"].as_u64().unwrap_or(0);
        match answer["ok"] == json!(true) {
            true => key::Outcome::Written { revision },
            false => key::Outcome::Mismatch { revision },
        }
    })
}

fn lease_operation(at: &Times<'_>) -> Option<Operation<Hold>> {
    let by = at.call.argument("holder_id").to_owned();
    if at.call.tool == "lease_release" {
        let token = at.call.arguments["fencing_token"].as_u64()?;
        let call = hold::Call::Give { by, token };
        return at.operation(call, |answer| done(&answer["released"]));
    }
    let call = hold::Call::Take { by, ttl_us: LEASE_TTL.as_micros() as u64, of: hold::Kind::Lease };
    at.operation(call, |answer| taken(&answer["acquired"], &answer["fencing_token"]))
}

fn run_operation(at: &Times<'_>) -> Option<Operation<Hold>> {
    let by = at.call.argument("agent_id").to_owned();
    let ttl_us = CLAIM_TTL.as_micros() as u64;
    if at.call.tool == "workflow_claim" {
        let call = hold::Call::Take { by, ttl_us, of: hold::Kind::Claim };
        return at.operation(call, |answer| taken(&answer["claimed"], &answer["claim_token"]));
    }
    let token = at.call.arguments["claim_token"].as_u64()?;
    let call = match at.call.tool {
        "workflow_complete" => hold::Call::Finish { by, token },
        _ => hold::Call::Keep { by, token, ttl_us },
    };
    at.operation(call, |answer| done(&answer["ok"]))
}

fn taken(is_taken: &Value, token: &Value) -> hold::Outcome {
    match token.as_u64().filter(|_| *is_taken == json!(true)) {
        Some(token) => hold::Outcome::Taken { token },
        None => hold::Outcome::Refused,
    }
}

fn done(is_done: &Value) -> hold::Outcome {
    match *is_done == json!(true) {
        true => hold::Outcome::Done,
        false => hold::Outcome::Refused,
    }
}
