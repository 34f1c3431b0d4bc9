//! Answers of another release, compared with those of this one.

use serde_json::{Value, json};

/// Fields that later releases add to the answers of earlier ones.
const ADDED: [&str; 6] =
    ["remaining", "remaining_at_least", "next_step", "next_from_step", "steps", "max_lapses"];

/// Both answers as they must agree. What has been added since counts only where the
/// recorded answer has it too. Where the next page begins is each release's own affair,
/// not whether there is one; and a number may be written with zeros at its end.
pub fn comparable(present: Value, recorded: Value) -> (Value, Value) {
    match (present, recorded) {
        (Value::Object(mut present), Value::Object(recorded)) => {
            present.retain(|name, _| recorded.contains_key(name) || !ADDED.contains(&&**name));
            let mut ours = present.clone();
            let mut theirs = recorded.clone();
            for (name, value) in present {
                let Some(told) = recorded.get(&name) else { continue };
                let pair = match &*name {
                    "next_cursor" => (json!(value.is_string()), json!(told.is_string())),
                    _ => comparable(value, told.clone()),
                };
                ours.insert(name.clone(), pair.0);
                theirs.insert(name, pair.1);
            }
            (Value::Object(ours), Value::Object(theirs))
        }
        (Value::Array(present), Value::Array(recorded)) if present.len() == recorded.len() => {
            let pairs =
                present.into_iter().zip(recorded).map(|(ours, told)| comparable(ours, told));
            let (ours, theirs): (Vec<_>, Vec<_>) = pairs.unzip();
            (Value::Array(ours), Value::Array(theirs))
        }
        (Value::Number(ours), Value::Number(theirs)) if ours.is_f64() || theirs.is_f64() => {
            (json!(ours.as_f64()), json!(theirs.as_f64()))
        }
        others => others,
    }
}
