//! The part of JSON Schema that the tools' schemas use. An unknown keyword is an
//! error, so that nothing is left unchecked.

use serde_json::Value;

/// Checks `value` against `schema`; the error says where it does not fit.
pub fn check(schema: &Value, value: &Value) -> Result<(), String> {
    at("", schema, value)
}

fn at(path: &str, schema: &Value, value: &Value) -> Result<(), String> {
    let keywords = schema.as_object().ok_or_else(|| format!("{path}: the schema is no object"))?;
    for (keyword, wanted) in keywords {
        let fits = match keyword.as_str() {
            "description" | "default" => true,
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "enum" => wanted.as_array().is_some_and(|list| list.contains(value)),
            "minimum" => value.as_f64() >= wanted.as_f64(),
            "required" => wanted.as_array().is_some_and(|names| {
                names.iter().filter_map(Value::as_str).all(|name| value.get(name).is_some())
            }),
            "properties" => return_members(path, wanted, value)?,
            "additionalProperties" => others(path, keywords.get("properties"), wanted, value)?,
            "items" => match value.as_array() {
                Some(items) => {
                    for (index, item) in items.iter().enumerate() {
                        at(&format!("{path}[{index}]"), wanted, item)?;
                    }
                    true
                }
                None => true,
            },
            unknown => return Err(format!("{path}: unknown keyword {unknown}")),
        };
        if !fits {
            return Err(format!("{path}: {value} does not fit {keyword}: {wanted}"));
        }
    }
    Ok(())
}

fn return_members(path: &str, wanted: &Value, value: &Value) -> Result<bool, String> {
    let (Some(wanted), Some(members)) = (wanted.as_object(), value.as_object()) else {
        return Ok(true);
    };
    for (name, schema) in wanted {
        if let Some(member) = members.get(name) {
            at(&format!("{path}.{name}"), schema, member)?;
        }
    }
    Ok(true)
}

fn others(
    path: &str,
    known: Option<&Value>,
    schema: &Value,
    value: &Value,
) -> Result<bool, String> {
    let Some(members) = value.as_object() else { return Ok(true) };
    for (name, member) in members {
        if known.and_then(|known| known.get(name)).is_some() {
            continue;
        }
        match schema {
            Value::Bool(true) => {}
            Value::Bool(false) => return Err(format!("{path}: unexpected {name}")),
            schema => at(&format!("{path}.{name}"), schema, member)?,
        }
    }
    Ok(true)
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("null") => value.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_found() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"type": ["integer", "null"], "minimum": 1}},
            "required": ["a"],
            "additionalProperties": false,
        });
        assert!(check(&schema, &json!({"a": 1})).is_ok());
        for wrong in
            [json!({}), json!({"a": "1"}), json!({"a": 0}), json!({"a": 1, "b": 2}), json!([])]
        {
            assert!(check(&schema, &wrong).is_err(), "{wrong}");
        }
    }
}
