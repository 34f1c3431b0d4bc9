//! The arguments of one call, converted from JSON by name. What cannot be
//! converted is refused with the argument's name, what it must be and what it
//! is. Whether a converted argument is within its bounds is checked by the
//! service, for all protocols.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::field::{CONSISTENCY, Field, VALUES};
use super::page::{PAGE_BYTES, PAGE_ROWS, Values};
use crate::limits::{ATTEMPTS_MAX, ArgumentError, TTL_SECONDS_MAX};
use crate::machine::command::Fence;
use crate::machine::page::{Page, Scan};
use crate::machine::{Json, Revision, Text};
use crate::nearest::nearest;
use crate::service::ServiceError;
use crate::store::Consistency;

/// Messages repeat at most this many characters of a wrong value.
const SHOWN_MAX: usize = 60;

/// Whole numbers beyond this are not exact as floating-point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The arguments that have not been read yet.
pub(super) struct Arguments<'a> {
    map: Map<String, Value>,
    /// The arguments that there may be.
    fields: &'a [Field],
    /// Stands before the names in messages, for members of an argument.
    prefix: String,
}

impl<'a> Arguments<'a> {
    /// Checks that every argument is known and none is missing.
    pub(super) fn new(
        tool: &str,
        fields: &'a [Field],
        map: Map<String, Value>,
    ) -> Result<Arguments<'a>, ServiceError> {
        if let Some(unknown) = map.keys().find(|name| fields.iter().all(|f| f.name != **name)) {
            return Err(unknown_argument(tool, fields, unknown));
        }
        let is_missing = |field: &&Field| match map.get(field.name) {
            Some(Value::Null) => !field.takes_null,
            Some(_) => false,
            None => true,
        };
        if let Some(missing) = fields.iter().filter(|field| field.required).find(is_missing) {
            return Err(ServiceError::invalid(format!("{} is required", missing.name)));
        }
        Ok(Arguments { map, fields, prefix: String::new() })
    }

    /// The members of an argument that is an object.
    fn members(
        path: &str,
        value: Value,
        fields: &'a [Field],
    ) -> Result<Arguments<'a>, ServiceError> {
        let map = match unpacked(value, Kind::Object) {
            Value::Object(map) => map,
            other => return Err(wrong_type(path, "an object", &other)),
        };
        if let Some(unknown) = map.keys().find(|name| fields.iter().all(|f| f.name != **name)) {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            return Err(ServiceError::invalid(format!(
                "unknown member '{}' in {path}; it takes {}",
                shortened(unknown),
                names.join(", ")
            )));
        }
        Ok(Arguments { map, fields, prefix: format!("{path}.") })
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn field(&self, name: &str) -> Option<&'a Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// `null` is the same as leaving the argument out.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// The same for an argument that is not text.
    fn take_unpacked(&mut self, name: &str, kind: Kind) -> Option<Value> {
        self.take(name).map(|value| unpacked(value, kind)).filter(|value| !value.is_null())
    }

    fn needed<T>(&self, name: &str, found: Option<T>) -> Result<T, ServiceError> {
        found.ok_or_else(|| ServiceError::invalid(format!("{} is required", self.path(name))))
    }

    pub(super) fn string_if(&mut self, name: &str) -> Result<Option<String>, ServiceError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(&self.path(name), "a string", &other)),
        }
    }

    pub(super) fn text_if(&mut self, name: &str) -> Result<Option<Text>, ServiceError> {
        Ok(self.string_if(name)?.map(Into::into))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Text, ServiceError> {
        let found = self.text_if(name)?;
        self.needed(name, found)
    }

    /// A whole number. A string of digits is accepted too.
    pub(super) fn integer_if(&mut self, name: &str) -> Result<Option<i64>, ServiceError> {
        let Some(value) = self.take_unpacked(name, Kind::WholeNumber) else { return Ok(None) };
        let number = whole_number(&value);
        number.map(Some).ok_or_else(|| not_a_whole_number(&self.path(name), &value))
    }

    /// A whole number that is not negative.
    pub(super) fn unsigned_if(&mut self, name: &str) -> Result<Option<u64>, ServiceError> {
        let Some(number) = self.integer_if(name)? else { return Ok(None) };
        u64::try_from(number).map(Some).map_err(|_| {
            let least = self.field(name).and_then(Field::minimum).unwrap_or(0);
            out_of_range(ArgumentError::below(&self.path(name), least, number))
        })
    }

    pub(super) fn unsigned(&mut self, name: &str) -> Result<u64, ServiceError> {
        let found = self.unsigned_if(name)?;
        self.needed(name, found)
    }

    /// A revision or a fencing token.
    pub(super) fn revision_if(&mut self, name: &str) -> Result<Option<Revision>, ServiceError> {
        Ok(self.unsigned_if(name)?.map(Revision))
    }

    pub(super) fn revision(&mut self, name: &str) -> Result<Revision, ServiceError> {
        self.unsigned(name).map(Revision)
    }

    /// A duration in seconds, converted to the milliseconds of commands.
    pub(super) fn seconds_as_ms_if(&mut self, name: &str) -> Result<Option<u64>, ServiceError> {
        let Some(seconds) = self.unsigned_if(name)? else { return Ok(None) };
        seconds.checked_mul(1000).map(Some).ok_or_else(|| {
            out_of_range(ArgumentError::above(&self.path(name), TTL_SECONDS_MAX, seconds))
        })
    }

    pub(super) fn seconds_as_ms(&mut self, name: &str) -> Result<u64, ServiceError> {
        let found = self.seconds_as_ms_if(name)?;
        self.needed(name, found)
    }

    /// How long to wait, in seconds.
    pub(super) fn wait_if(&mut self, name: &str) -> Result<Option<Duration>, ServiceError> {
        Ok(self.unsigned_if(name)?.map(Duration::from_secs))
    }

    /// How often a run may be tried.
    pub(super) fn attempts_if(&mut self, name: &str) -> Result<Option<u32>, ServiceError> {
        self.count_if(name, ATTEMPTS_MAX)
    }

    /// A number of things, from 1 to `most`. The service checks the bound; here only what
    /// its types cannot hold is refused.
    pub(super) fn count_if(&mut self, name: &str, most: u32) -> Result<Option<u32>, ServiceError> {
        let Some(number) = self.unsigned_if(name)? else { return Ok(None) };
        if number == 0 {
            return Err(ServiceError::invalid(format!("{} must be >= 1, got 0", self.path(name))));
        }
        u32::try_from(number)
            .map(Some)
            .map_err(|_| out_of_range(ArgumentError::above(&self.path(name), most.into(), number)))
    }

    pub(super) fn bool_if(&mut self, name: &str) -> Result<Option<bool>, ServiceError> {
        match self.take_unpacked(name, Kind::Boolean) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(&self.path(name), "true or false", &other)),
        }
    }

    /// Any JSON value, including `null`.
    pub(super) fn json(&mut self, name: &str) -> Result<Json, ServiceError> {
        let found = self.map.remove(name);
        self.needed(name, found).map(|value| Json::new(value.to_string()))
    }

    /// The same, where the argument need not be given.
    pub(super) fn json_or_absent(&mut self, name: &str) -> Option<Json> {
        self.map.remove(name).map(|value| Json::new(value.to_string()))
    }

    pub(super) fn json_if(&mut self, name: &str) -> Option<Json> {
        self.take(name).map(|value| Json::new(value.to_string()))
    }

    /// A JSON object.
    pub(super) fn object(&mut self, name: &str) -> Result<Json, ServiceError> {
        let found = self.take_unpacked(name, Kind::Object);
        match self.needed(name, found)? {
            object @ Value::Object(_) => Ok(Json::new(object.to_string())),
            other => Err(wrong_type(&self.path(name), "an object", &other)),
        }
    }

    pub(super) fn tags(&mut self) -> Result<BTreeMap<Text, Text>, ServiceError> {
        let map = match self.take_unpacked("tags", Kind::Object) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(wrong_type("tags", "an object of strings", &other)),
        };
        map.into_iter()
            .map(|(name, value)| match value {
                Value::String(value) => Ok((name.into(), value.into())),
                other => Err(wrong_type(&format!("tags.{}", shortened(&name)), "a string", &other)),
            })
            .collect()
    }

    /// The members of an object; there are none if it is left out.
    pub(super) fn members_of(&mut self, name: &str) -> Result<Arguments<'a>, ServiceError> {
        let value = self.take_unpacked(name, Kind::Object);
        let fields = self.field(name).map_or(&[][..], |field| &field.members);
        let value = value.unwrap_or_else(|| Value::Object(Map::new()));
        Arguments::members(&self.path(name), value, fields)
    }

    pub(super) fn fence(&mut self) -> Result<Option<Fence>, ServiceError> {
        let Some(value) = self.take_unpacked("fence", Kind::Object) else { return Ok(None) };
        let fields = self.field("fence").map_or(&[][..], |field| &field.members);
        let mut fence = Arguments::members("fence", value, fields)?;
        let resource_id = fence.text("resource_id")?;
        let token = fence.revision("token")?;
        Ok(Some(Fence { resource_id, token }))
    }

    /// Whether the argument is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// A list of texts. It is empty if the argument is left out.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<Text>, ServiceError> {
        let list = match self.take_unpacked(name, Kind::Array) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(wrong_type(&self.path(name), "a list of strings", &other)),
        };
        let item = |(at, value)| match value {
            Value::String(text) => Ok(text.into()),
            other => Err(wrong_type(&format!("{}[{at}]", self.path(name)), "a string", &other)),
        };
        list.into_iter().enumerate().map(item).collect()
    }

    /// A list of objects. It is empty if the argument is left out.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Arguments<'a>>, ServiceError> {
        let list = match self.take_unpacked(name, Kind::Array) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(wrong_type(&self.path(name), "a list of objects", &other)),
        };
        let fields = self.field(name).map_or(&[][..], |field| &field.members);
        let item = |(at, value)| Arguments::members(&format!("{name}[{at}]"), value, fields);
        list.into_iter().enumerate().map(item).collect()
    }

    /// One of the names that a field lists; `None` if it is left out.
    pub(super) fn choice(&mut self, name: &str) -> Result<Option<&'a str>, ServiceError> {
        let Some(got) = self.string_if(name)? else { return Ok(None) };
        let names = self.field(name).map(Field::names).unwrap_or_default();
        if let Some(known) = names.iter().find(|known| known.eq_ignore_ascii_case(got.trim())) {
            return Ok(Some(known));
        }
        let hint = match nearest(&got, names.iter().copied()) {
            Some(near) => format!("; did you mean '{near}'?"),
            None => String::new(),
        };
        let (path, names, got) = (self.path(name), names.join(", "), shortened(&got));
        Err(ServiceError::invalid(format!("{path} must be one of {names}, got '{got}'{hint}")))
    }

    pub(super) fn consistency(&mut self) -> Result<Consistency, ServiceError> {
        match self.choice(CONSISTENCY)? {
            Some("local") => Ok(Consistency::Local),
            Some(_) | None => Ok(Consistency::Linearizable),
        }
    }

    /// How much of each value to show.
    pub(super) fn values(&mut self, default: Values) -> Result<Values, ServiceError> {
        Ok(match self.choice(VALUES)? {
            None => default,
            Some("none") => Values::None,
            Some("head") => Values::Head,
            Some(_) => Values::Full,
        })
    }

    /// How much of a list to give: as many rows as the agent asks for, and never more
    /// bytes than suit its context.
    pub(super) fn page(&mut self) -> Result<Page, ServiceError> {
        self.page_of("limit", PAGE_ROWS)
    }

    /// The same for a list whose number of rows has another name or another
    /// default.
    pub(super) fn page_of(&mut self, name: &str, default: usize) -> Result<Page, ServiceError> {
        let rows = self.unsigned_if(name)?;
        let rows = rows.map_or(default, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
        Ok(Page { rows, bytes: PAGE_BYTES })
    }

    /// Where to begin in a list of names, how much to give, and how fresh it
    /// must be.
    pub(super) fn scan(&mut self) -> Result<(Scan, Page, Consistency), ServiceError> {
        let prefix = self.text_if("prefix")?.unwrap_or_default();
        let page = self.page()?;
        let after = self.text_if("cursor")?;
        Ok((Scan { prefix, after }, page, self.consistency()?))
    }

    /// The cursor of a list that is ordered by revision.
    pub(super) fn revision_cursor(&mut self) -> Result<Option<Revision>, ServiceError> {
        let Some(text) = self.string_if("cursor")? else { return Ok(None) };
        text.parse().map(|number| Some(Revision(number))).map_err(|_| {
            let got = shortened(&text);
            ServiceError::invalid(format!("cursor must be what next_cursor gave, got '{got}'"))
        })
    }

    /// An error about all of these arguments together.
    pub(super) fn refuse(&self, why: &str) -> ServiceError {
        ServiceError::invalid(format!("{} {why}", self.prefix.trim_end_matches('.')))
    }

    /// An error about one of these arguments.
    pub(super) fn invalid(&self, name: &str, why: &str) -> ServiceError {
        ServiceError::invalid(format!("{} {why}", self.path(name)))
    }
}

/// What an argument must be that is not text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    WholeNumber,
    Boolean,
    Object,
    Array,
}

impl Kind {
    fn admits(self, value: &Value) -> bool {
        match self {
            Kind::WholeNumber => whole_number(value).is_some(),
            Kind::Boolean => value.is_boolean(),
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
        }
    }
}

/// Several clients send everything as text. Where the schema asks for something else,
/// text that contains such JSON, or `null`, counts as what it contains, and so does a
/// switch as Python writes it.
fn unpacked(value: Value, kind: Kind) -> Value {
    let Value::String(text) = &value else { return value };
    let text = match kind {
        Kind::Boolean => text.to_ascii_lowercase(),
        Kind::WholeNumber | Kind::Object | Kind::Array => text.clone(),
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(inner) if kind.admits(&inner) || inner.is_null() => inner,
        Ok(_) | Err(_) => value,
    }
}

/// An error in the words of an [`ArgumentError`]. Its path is that of the tool
/// already, so it must not be translated again.
fn out_of_range(argument: ArgumentError) -> ServiceError {
    ServiceError::invalid(argument.to_string())
}

/// Agents often send numbers as strings, which the reference accepts as well.
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

fn not_a_whole_number(path: &str, got: &Value) -> ServiceError {
    let text = match got {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return wrong_type(path, "a whole number", got);
    }
    wrong_type(path, &format!("from {} to {}", i64::MIN, i64::MAX), got)
}

fn wrong_type(path: &str, expected: &str, got: &Value) -> ServiceError {
    ServiceError::invalid(format!("{path} must be {expected}, got {}", shown(got)))
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
    fn the_error_for_a_whole_number_out_of_range_names_the_range() {
        let large = serde_json::from_str("9223372036854775808").unwrap();
        let message = not_a_whole_number("step", &large).message;
        assert!(message.contains("to 9223372036854775807, got"), "{message}");
        let message = not_a_whole_number("step", &json!(5.5)).message;
        assert_eq!(message, "step must be a whole number, got the number 5.5");
    }

    #[test]
    fn whole_numbers_are_accepted_in_many_forms() {
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
