//! Which answers count as equal: ours must contain everything that the reference says.
//! Exceptions are times (to the second), ids, and history entries for changes that the
//! reference does not record.

use std::collections::HashMap;

use serde_json::{Value, json};

/// Fields that hold a time, or time that has passed.
const TIMES: [&str; 5] = ["created_at", "updated_at", "expires_at", "written_at", "uptime_s"];

/// Both are called one after the other, and one of them is Python.
const APART_S: f64 = 20.0;

/// Scenario, the call's number in it (from 0), and why we answer otherwise.
pub type Difference = (&'static str, usize, &'static str);

const CASE: &str = "a prefix is case-sensitive; the reference's SQLite ignores case";
const LITERAL: &str = "a prefix is literal; the reference's Redis takes it for a pattern";
const UNKNOWN: &str = "a checkpoint of an unknown run is refused; the reference drops the data";
const AGAIN: &str = "the holder who asks again keeps the lease; the reference refuses";

/// The differences on one backend, besides those of [`told_otherwise`].
pub fn differences(backend: &str) -> Vec<Difference> {
    let mut all = vec![("work that goes on", 17, UNKNOWN), ("leases that change hands", 2, AGAIN)];
    all.extend_from_slice(match backend {
        "sqlite" => &[("kv-prefix", 15, CASE), ("kv-prefix", 21, CASE)],
        _ => &[("kv-prefix", 19, LITERAL), ("kv-prefix", 20, LITERAL)],
    });
    all
}

/// What the reference's Redis says where its SQLite, and every store of ours,
/// says something else: it keeps no history, and has words of its own for a run
/// that is taken. What is left of its answer to compare.
pub fn told_otherwise(tool: &str, theirs: &Value) -> Option<Value> {
    let says =
        |field: &str, words: &str| theirs[field].as_str().is_some_and(|text| text.contains(words));
    match tool {
        "history_log" if says("text", "not supported by RedisBackend") => Some(json!({})),
        "workflow_claim" if says("reason", "Workflow cannot be claimed: WRONG_STATUS") => {
            let mut rest = theirs.clone();
            rest.as_object_mut().expect("it has fields").remove("reason");
            Some(rest)
        }
        _ => None,
    }
}

/// The ids of runs: each program draws its own.
#[derive(Default)]
pub struct Names {
    /// Theirs and ours, by name.
    bound: HashMap<String, (String, String)>,
}

impl Names {
    /// The run in both answers is called `name` from here on.
    pub fn bind(&mut self, name: &str, theirs: &Value, ours: &Value) {
        let id = |answer: &Value| answer["run_id"].as_str().expect("a run's id").to_owned();
        self.bound.insert(name.to_owned(), (id(theirs), id(ours)));
    }

    /// The arguments for them and for us.
    pub fn filled_in(&self, arguments: &Value) -> (Value, Value) {
        let (mut theirs, mut ours) = (arguments.to_string(), arguments.to_string());
        for (name, (of_theirs, of_ours)) in &self.bound {
            theirs = theirs.replace(&format!("\"{name}\""), &format!("\"{of_theirs}\""));
            ours = ours.replace(&format!("\"{name}\""), &format!("\"{of_ours}\""));
        }
        let parse = |text: String| serde_json::from_str(&text).expect("still JSON");
        (parse(theirs), parse(ours))
    }

    /// Whether all that they answer is in ours.
    pub fn compare(&self, theirs: &Value, ours: &Value) -> Result<(), String> {
        let mut ours = ours.clone();
        if let Some(entries) = ours.get_mut("entries").and_then(Value::as_array_mut) {
            entries.retain(|entry| entry["action"] == "state_set");
        }
        self.same(theirs, &ours)
    }

    fn same(&self, theirs: &Value, ours: &Value) -> Result<(), String> {
        let differ = || format!("theirs is {theirs}, ours {ours}");
        match (theirs, ours) {
            (Value::Object(theirs), Value::Object(ours)) => {
                theirs.iter().try_for_each(|(name, theirs)| {
                    let Some(ours) = ours.get(name) else { return Err(format!("no {name}")) };
                    self.field(name, theirs, ours).map_err(|why| format!("{name}: {why}"))
                })
            }
            (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
                theirs.iter().zip(ours).try_for_each(|(theirs, ours)| self.same(theirs, ours))
            }
            (Value::Number(a), Value::Number(b)) if a == b || a.as_f64() == b.as_f64() => Ok(()),
            (Value::String(a), Value::String(b)) if a == b || self.ours(a) == *b => Ok(()),
            (theirs, ours) if theirs == ours => Ok(()),
            (_, _) => Err(differ()),
        }
    }

    fn field(&self, name: &str, theirs: &Value, ours: &Value) -> Result<(), String> {
        match (theirs.as_f64(), ours.as_f64()) {
            (Some(theirs), Some(ours)) if TIMES.contains(&name) => {
                match (theirs - ours).abs() < APART_S {
                    true => Ok(()),
                    false => Err(format!("theirs is {theirs}, ours {ours}")),
                }
            }
            // Ours counts every change, the reference rows of one table.
            (Some(_), Some(_)) if name == "id" => Ok(()),
            _ => self.same(theirs, ours),
        }
    }

    /// Their text with our ids for theirs.
    fn ours(&self, theirs: &str) -> String {
        self.bound
            .values()
            .fold(theirs.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }
}
