//! The answers of the Python reference, recorded from its SQLite and its Redis
//! backend. This program gives the same on every store, except for times, ids,
//! additional fields, history entries of changes other than `state_set` (which the
//! reference does not record), and the differences listed here.

use std::collections::HashMap;

use mcp_state_sidecar::access::Caller;
use mcp_state_sidecar::api::mcp::tools;
use serde_json::{Map, Value};

use crate::runner::Stage;
use crate::stores::Factory;

/// The answers of one backend of the reference, and the deliberate differences.
pub struct Recording {
    answers: &'static str,
    differences: &'static [Difference],
}

/// The scenario, the number of the step in it (from 0), the reason, and the answer of
/// this program in the fields that differ.
type Difference = (&'static str, usize, &'static str, &'static str);

const CASE: &str = "a prefix is case-sensitive; the reference's SQLite ignores case";
const LITERAL: &str = "a prefix is literal; the reference's Redis takes it for a pattern";
const HISTORY: &str = "every store keeps the history; the reference's Redis does not";
const WORDS: &str = "one refusal, one wording: that of the reference's SQLite";

pub const SQLITE: Recording = Recording {
    answers: include_str!("../recorded/sqlite.json"),
    differences: &[
        (
            "kv-prefix",
            15,
            CASE,
            r#"{"keys":["a","a b","a%b","a*b","a/b","a:b","a[b]","a_b","ab","abc"]}"#,
        ),
        ("kv-prefix", 21, CASE, r#"{"keys":["A"]}"#),
    ],
};

pub const REDIS: Recording = Recording {
    answers: include_str!("../recorded/redis.json"),
    differences: &[
        ("kv-prefix", 19, LITERAL, r#"{"keys":["a*b"]}"#),
        ("kv-prefix", 20, LITERAL, r#"{"keys":["a[b]"]}"#),
        (
            "history",
            4,
            HISTORY,
            r#"{"total":4,"entries":[
                {"key":"x","new_value":3,"previous_value":2,"agent_id":null},
                {"key":"y","new_value":{"v":1},"previous_value":null,"agent_id":"b"},
                {"key":"x","new_value":2,"previous_value":1,"agent_id":"a"},
                {"key":"x","new_value":1,"previous_value":null,"agent_id":null}]}"#,
        ),
        (
            "history",
            5,
            HISTORY,
            r#"{"total":3,"entries":[
                {"key":"x","new_value":3,"previous_value":2,"agent_id":null},
                {"key":"x","new_value":2,"previous_value":1,"agent_id":"a"},
                {"key":"x","new_value":1,"previous_value":null,"agent_id":null}]}"#,
        ),
        (
            "history",
            6,
            HISTORY,
            r#"{"total":1,"entries":[
                {"key":"x","new_value":3,"previous_value":2,"agent_id":null}]}"#,
        ),
        (
            "history",
            7,
            HISTORY,
            r#"{"total":2,"entries":[
                {"key":"x","new_value":3,"previous_value":2,"agent_id":null},
                {"key":"y","new_value":{"v":1},"previous_value":null,"agent_id":"b"}]}"#,
        ),
        ("history", 8, HISTORY, r#"{"entries":[],"total":0}"#),
        (
            "history",
            9,
            HISTORY,
            r#"{"isError":true,"text":"Error calling tool 'history_log': n must be >= 1, got 0"}"#,
        ),
        (
            "workflow-life",
            3,
            WORDS,
            r#"{"claimed":false,"run_id":"$1","agent_id":null,
                "reason":"Workflow is in status 'claimed' (agent: w1)"}"#,
        ),
        (
            "workflow-errors",
            7,
            WORDS,
            r#"{"claimed":false,"run_id":"$1","agent_id":null,
                "reason":"Workflow is in status 'running' (agent: None)"}"#,
        ),
        ("health-reset", 7, HISTORY, r#"{"entries":[],"total":0}"#),
    ],
};

pub async fn play_all(recording: Recording, store: Factory) {
    let Recording { answers, differences } = recording;
    let recorded: Value = serde_json::from_str(answers).expect("the recorded answers are JSON");
    let scenarios = recorded.as_object().expect("scenarios by name");
    assert!(scenarios.len() >= 11, "scenarios are missing");
    let mut used = Vec::<&Difference>::new();
    for (scenario, steps) in scenarios {
        let stage = Stage::set(store).await;
        let mut names = Names::default();
        for (at, step) in steps.as_array().expect("steps").iter().enumerate() {
            if let Some(seconds) = step["sleep"].as_f64() {
                stage.clock.advance_ms((seconds * 1000.0) as u64);
                continue;
            }
            let difference = differences.iter().find(|d| d.0 == scenario && d.1 == at);
            let tool = step["tool"].as_str().expect("a tool");
            let arguments = names.filled_in(&step["args"]);
            let Value::Object(arguments) = arguments else { panic!("{scenario} {at}: arguments") };
            let got = call(&stage, tool, arguments).await;
            let wanted = match difference {
                None => step["result"].clone(),
                Some(named @ (.., ours)) => {
                    if names.clone().compare(&step["result"], &got).is_err() {
                        used.push(named);
                    }
                    serde_json::from_str(ours).expect("our answer is JSON")
                }
            };
            if let Err(why) = names.compare(&wanted, &got) {
                panic!("{scenario}, call {at} of {tool}: {why}\nwanted {wanted}\ngot    {got}");
            }
        }
        stage.clear().await;
    }
    assert_eq!(used.len(), differences.len(), "a difference is named that no longer exists");
}

async fn call(stage: &Stage, tool: &str, arguments: Map<String, Value>) -> Value {
    let tool = tools::find(tool).unwrap_or_else(|| panic!("there is no tool '{tool}'"));
    let mut arguments = arguments;
    if tool.name == "sidecar_reset" {
        // The reference wipes everything without asking.
        arguments.insert("confirm".into(), true.into());
    }
    let result = tools::call(&stage.service, &Caller::local(), tool, arguments).await;
    let mut reply: Value = serde_json::from_str(&result.structured).expect("a reply is JSON");
    if let Some(error) = result.error {
        // What the reference says is followed by the code.
        let text = error.split(" (code: ").next();
        return serde_json::json!({"isError": true, "text": text});
    }
    of_keys_only(&mut reply);
    reply
}

/// The reference records only the changes of `state_set`.
fn of_keys_only(reply: &mut Value) {
    let Some(entries) = reply.get_mut("entries").and_then(Value::as_array_mut) else { return };
    entries.retain(|entry| entry["action"] == "state_set");
}

/// Which ids correspond: `$1` to a run's id, and recorded ids to those of this run.
#[derive(Clone, Default)]
struct Names {
    ours: HashMap<String, Value>,
}

impl Names {
    fn filled_in(&self, recorded: &Value) -> Value {
        match recorded {
            Value::String(name) if name.starts_with('$') => {
                self.ours.get(name).cloned().unwrap_or_else(|| panic!("{name} is not known yet"))
            }
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.filled_in(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// Whether `got` contains everything that was recorded, at every depth.
    fn compare(&mut self, wanted: &Value, got: &Value) -> Result<(), String> {
        match (wanted, got) {
            (Value::String(mark), got) if mark == "<time>" => match got.is_number() {
                true => Ok(()),
                false => Err(format!("{got} is no time")),
            },
            (Value::String(name), got) if name.starts_with('$') => {
                let known = self.ours.entry(name.clone()).or_insert_with(|| got.clone());
                match known == got {
                    true => Ok(()),
                    false => Err(format!("{name} was {known} and is now {got}")),
                }
            }
            (Value::Object(wanted), Value::Object(got)) => {
                for (name, value) in wanted {
                    match got.get(name) {
                        None => return Err(format!("{name} is missing")),
                        // This program counts every change, the reference the rows of
                        // one table.
                        Some(id) if name == "id" && id.is_u64() => {}
                        // Each names its own backend.
                        Some(Value::String(_)) if name == "backend" => {}
                        Some(got) => {
                            self.compare(value, got).map_err(|why| format!("{name}: {why}"))?;
                        }
                    }
                }
                Ok(())
            }
            (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
                wanted.iter().zip(got).try_for_each(|(wanted, got)| self.compare(wanted, got))
            }
            (Value::Number(wanted), Value::Number(got)) => {
                match wanted == got || wanted.as_f64() == got.as_f64() {
                    true => Ok(()),
                    false => Err(format!("wanted {wanted}, got {got}")),
                }
            }
            (wanted, got) if wanted == got => Ok(()),
            (wanted, got) => Err(format!("wanted {wanted}, got {got}")),
        }
    }
}
