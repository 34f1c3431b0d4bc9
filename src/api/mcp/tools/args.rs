//! Arguments of one call, taken by name and kind. What is wrong is said with
//! the argument's name, what it got and what it takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field::Field;
use super::{PAGE_BYTES, PAGE_BYTES_ASKED, PAGE_ROWS};
use crate::limits::{self, Limits};
use crate::machine::command::Fence;
use crate::machine::view::Page;
use crate::machine::{Json, Revision, Text};
use crate::nearest::nearest;
use crate::service::ServiceError;
use crate::store::Consistency;

/// Longest piece of a wrong value that a message repeats, in characters.
const SHOWN_MAX: usize = 60;

/// Whole numbers beyond this are not exact as floating-point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The arguments that are left to be taken.
pub(super) struct Args<'a> {
    map: Map<String, Value>,
    limits: &'a Limits,
    /// Put before names in messages, for arguments inside others.
    within: String,
}

impl<'a> Args<'a> {
    /// Checks that all arguments are known and none is missing.
    pub(super) fn new(
        tool: &str,
        fields: &[Field],
        map: Map<String, Value>,
        limits: &'a Limits,
    ) -> Result<Args<'a>, ServiceError> {
        if let Some(unknown) = map.keys().find(|name| fields.iter().all(|f| f.name != **name)) {
            return Err(unknown_argument(tool, fields, unknown));
        }
        let absent = |field: &&Field| match map.get(field.name) {
            Some(Value::Null) => !field.takes_null,
            Some(_) => false,
            None => true,
        };
        if let Some(missing) = fields.iter().filter(|field| field.required).find(absent) {
            return Err(ServiceError::invalid(format!("{} is required", missing.name)));
        }
        Ok(Args { map, limits, within: String::new() })
    }

    /// The arguments inside one that is an object.
    fn inner(
        &self,
        path: &str,
        value: Value,
        names: &[&str],
        limits: &'a Limits,
    ) -> Result<Args<'a>, ServiceError> {
        let map = match value {
            Value::Object(map) => map,
            other => return Err(wrong(path, "an object", &other)),
        };
        if let Some(unknown) = map.keys().find(|name| !names.contains(&name.as_str())) {
            let takes = names.join(", ");
            return Err(ServiceError::invalid(format!(
                "unknown member '{}' in {path}; it takes {takes}",
                shortened(unknown)
            )));
        }
        Ok(Args { map, limits, within: format!("{path}.") })
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }

    /// `null` is the same as leaving it out.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    fn needed<T>(&self, name: &str, found: Option<T>) -> Result<T, ServiceError> {
        found.ok_or_else(|| ServiceError::invalid(format!("{} is required", self.path(name))))
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, ServiceError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.path(name), "a string", &other)),
        }
    }

    /// A required identifier.
    pub(super) fn id(&mut self, name: &str) -> Result<Text, ServiceError> {
        let found = self.id_if(name)?;
        self.needed(name, found)
    }

    pub(super) fn id_if(&mut self, name: &str) -> Result<Option<Text>, ServiceError> {
        let path = self.path(name);
        self.string(name)?.map(|text| limits::identifier(&path, &text)).transpose()
    }

    /// A required key, which may be empty.
    pub(super) fn key(&mut self, name: &str) -> Result<Text, ServiceError> {
        let found = self.key_if(name)?;
        self.needed(name, found)
    }

    pub(super) fn key_if(&mut self, name: &str) -> Result<Option<Text>, ServiceError> {
        let path = self.path(name);
        self.string(name)?.map(|text| limits::key(&path, &text)).transpose()
    }

    /// Free text.
    pub(super) fn note_if(&mut self, name: &str) -> Result<Option<Text>, ServiceError> {
        let path = self.path(name);
        self.string(name)?.map(|text| limits::note(&path, &text)).transpose()
    }

    pub(super) fn idempotency_key(&mut self) -> Result<Option<Text>, ServiceError> {
        const NAME: &str = "idempotency_key";
        self.string(NAME)?.map(|text| limits::idempotency_key(NAME, &text)).transpose()
    }

    /// A whole number, checked by `limit`. A string of digits will do.
    pub(super) fn number_if<T>(
        &mut self,
        name: &str,
        limit: impl Fn(&str, i64) -> Result<T, ServiceError>,
    ) -> Result<Option<T>, ServiceError> {
        let path = self.path(name);
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = whole_number(&value).ok_or_else(|| no_whole_number(&path, &value))?;
        limit(&path, number).map(Some)
    }

    pub(super) fn number<T>(
        &mut self,
        name: &str,
        limit: impl Fn(&str, i64) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let found = self.number_if(name, limit)?;
        self.needed(name, found)
    }

    pub(super) fn bool_if(&mut self, name: &str) -> Result<Option<bool>, ServiceError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(&self.path(name), "true or false", &other)),
        }
    }

    /// Any JSON value, `null` among them.
    pub(super) fn json(&mut self, name: &str) -> Result<Json, ServiceError> {
        let found = self.map.remove(name);
        let value = self.needed(name, found)?;
        self.limits.json_written(&self.path(name), value.to_string())
    }

    pub(super) fn json_if(&mut self, name: &str) -> Result<Option<Json>, ServiceError> {
        let value = self.take(name);
        value.map(|v| self.limits.json_written(&self.path(name), v.to_string())).transpose()
    }

    /// A required JSON object.
    pub(super) fn object(&mut self, name: &str) -> Result<Json, ServiceError> {
        let found = self.take(name);
        match self.needed(name, found)? {
            object @ Value::Object(_) => {
                self.limits.json_written(&self.path(name), object.to_string())
            }
            other => Err(wrong(&self.path(name), "an object", &other)),
        }
    }

    pub(super) fn tags(&mut self) -> Result<BTreeMap<Text, Text>, ServiceError> {
        let map = match self.take("tags") {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(wrong("tags", "an object of strings", &other)),
        };
        limits::count("tags", map.len(), limits::TAGS_MAX)?;
        map.into_iter()
            .map(|(name, value)| {
                let tag = limits::key("a tag's name", &name)?;
                let path = format!("tags.{}", shortened(&name));
                match value {
                    Value::String(value) => Ok((tag, limits::key(&path, &value)?)),
                    other => Err(wrong(&path, "a string", &other)),
                }
            })
            .collect()
    }

    pub(super) fn fence(&mut self) -> Result<Option<Fence>, ServiceError> {
        let Some(value) = self.take("fence") else { return Ok(None) };
        let mut fence = self.inner("fence", value, &["resource_id", "token"], self.limits)?;
        let resource_id = fence.id("resource_id")?;
        let token = fence.number("token", limits::revision)?;
        Ok(Some(Fence { resource_id, token }))
    }

    /// A list of objects with these members, empty where it is left out.
    pub(super) fn objects(
        &mut self,
        name: &str,
        members: &[&str],
        most: usize,
    ) -> Result<Vec<Args<'a>>, ServiceError> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(wrong(&self.path(name), "a list of objects", &other)),
        };
        limits::count(name, list.len(), most)?;
        let item = |(at, value)| self.inner(&format!("{name}[{at}]"), value, members, self.limits);
        list.into_iter().enumerate().map(item).collect()
    }

    pub(super) fn consistency(&mut self) -> Result<Consistency, ServiceError> {
        match self.string("consistency")?.as_deref() {
            None | Some("linearizable") => Ok(Consistency::Linearizable),
            Some("local") => Ok(Consistency::Local),
            Some(other) => Err(ServiceError::invalid(format!(
                "consistency must be 'linearizable' or 'local', got '{}'",
                shortened(other)
            ))),
        }
    }

    /// How much of a list to give: what suits an agent's context, or as many as
    /// it asks for and as much as a client may be sent.
    pub(super) fn page(&mut self) -> Result<Page, ServiceError> {
        self.page_of("limit", PAGE_ROWS)
    }

    /// The same where the number of rows has another name, or is another where
    /// nothing is said.
    pub(super) fn page_of(&mut self, name: &str, rows: usize) -> Result<Page, ServiceError> {
        Ok(match self.number_if(name, limits::page)? {
            Some(rows) => Page { rows, bytes: PAGE_BYTES_ASKED },
            None => Page { rows, bytes: PAGE_BYTES },
        })
    }

    /// The cursor of a list that is ordered by revision.
    pub(super) fn revision_cursor(&mut self) -> Result<Option<Revision>, ServiceError> {
        let Some(text) = self.string("cursor")? else { return Ok(None) };
        text.parse().map(|number| Some(Revision(number))).map_err(|_| {
            let got = shortened(&text);
            ServiceError::invalid(format!("cursor must be what next_cursor gave, got '{got}'"))
        })
    }

    /// An error about all of these arguments together.
    pub(super) fn refuse(&self, why: &str) -> ServiceError {
        ServiceError::invalid(format!("{} {why}", self.within.trim_end_matches('.')))
    }

    /// An error about one of these arguments.
    pub(super) fn invalid(&self, name: &str, takes: &str) -> ServiceError {
        ServiceError::invalid(format!("{} {takes}", self.path(name)))
    }
}

/// Agents often send numbers as strings, which the reference accepts too.
fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < EXACT_MAX).then_some(float as i64)
        }),
        Value::String(text) => {
            let text = text.trim();
            let digits = text.strip_prefix('-').unwrap_or(text);
            let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if all { text.parse().ok() } else { None }
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn no_whole_number(path: &str, got: &Value) -> ServiceError {
    let text = match got {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return wrong(path, "a whole number", got);
    }
    wrong(path, &format!("from {} to {}", i64::MIN, i64::MAX), got)
}

fn wrong(path: &str, takes: &str, got: &Value) -> ServiceError {
    ServiceError::invalid(format!("{path} must be {takes}, got {}", shown(got)))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {}", shortened(&number.to_string())),
        Value::String(text) => format!("the string '{}'", shortened(text)),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".into(),
    }
}

/// `text`, or its beginning where it is long.
pub(in crate::api::mcp) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

fn unknown_argument(tool: &str, fields: &[Field], unknown: &str) -> ServiceError {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    let hint = match nearest(unknown, names.iter().copied()) {
        Some(near) => format!("; did you mean '{near}'?"),
        None if names.is_empty() => String::new(),
        None => format!("; it takes {}", names.join(", ")),
    };
    let none = if names.is_empty() { " and takes none" } else { "" };
    ServiceError::invalid(format!("{tool} has no argument '{}'{none}{hint}", shortened(unknown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_whole_number_out_of_range_is_told_the_range() {
        let large = serde_json::from_str("9223372036854775808").unwrap();
        let message = no_whole_number("step", &large).message;
        assert!(message.contains("to 9223372036854775807, got"), "{message}");
        let message = no_whole_number("step", &json!(5.5)).message;
        assert_eq!(message, "step must be a whole number, got the number 5.5");
    }

    #[test]
    fn whole_numbers_come_in_many_forms() {
        for (value, number) in [
            (json!(5), Some(5)),
            (json!("5"), Some(5)),
            (json!(" -7 "), Some(-7)),
            (json!(5.0), Some(5)),
            (json!(5.5), None),
            (json!("5.0"), None),
            (json!("five"), None),
            (json!(""), None),
            (json!("-"), None),
            (json!(true), None),
            (serde_json::from_str("1e400").unwrap(), None),
            (serde_json::from_str("99999999999999999999").unwrap(), None),
        ] {
            assert_eq!(whole_number(&value), number, "{value}");
        }
    }
}
