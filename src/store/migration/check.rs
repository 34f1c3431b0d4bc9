//! Judging text that was found: what the reference wrote is accepted as it is,
//! and anything else is refused in one line that names the place.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::machine::status::Status;
use crate::machine::{Json, Text};

/// How many characters of foreign text a message shows: enough to find it.
const SHOWN_CHARS_MAX: usize = 120;

/// What Python's `json.dumps` writes for numbers that JSON cannot express.
const NOT_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Data that the reference did not write. Somebody else did, and nobody knows
/// what it means.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ForeignData {
    /// The table and the row's name, or the key in a Redis.
    pub place: String,
    pub reason: String,
}

impl ForeignData {
    /// The data at `place` is refused for `reason`.
    pub fn at(place: &str, reason: impl Into<String>) -> ForeignData {
        ForeignData { place: one_line(place), reason: one_line(&reason.into()) }
    }
}

/// A JSON value as it was written, byte for byte, except that [`NOT_NUMBERS`]
/// become strings.
///
/// # Errors
/// The text is not JSON.
pub fn json(place: &str, column: &str, text: &str) -> Result<Json, ForeignData> {
    let Err(error) = parse(text) else { return Ok(Json::new(text)) };
    let quoted = with_words_quoted(text);
    match parse(&quoted) {
        Ok(()) => Ok(Json::new(quoted)),
        Err(_) => Err(ForeignData::at(place, format!("{column} is not JSON ({error}): {text}"))),
    }
}

/// A JSON object as it was written; see [`json`].
///
/// # Errors
/// The text is not a JSON object.
pub fn object(place: &str, column: &str, text: &str) -> Result<Json, ForeignData> {
    let value = json(place, column, text)?;
    // These four are JSON's white space.
    if value.as_str().trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Ok(value);
    }
    Err(ForeignData::at(place, format!("{column} is a JSON object, not {text}")))
}

/// A run's status.
///
/// # Errors
/// It is not one of the reference's.
pub fn status(place: &str, text: &str) -> Result<Status, ForeignData> {
    let is_known = |status: &Status| !matches!(status, Status::Blocked | Status::AwaitingApproval);
    text.parse().ok().filter(is_known).ok_or_else(|| {
        let known = "created, claimed, running, done, failed or cancelled";
        ForeignData::at(place, format!("status is {known}, not '{text}'"))
    })
}

/// A run's tags, from JSON text.
///
/// # Errors
/// It is not a JSON object, or one of its values is not a string.
pub fn tags(place: &str, column: &str, text: &str) -> Result<BTreeMap<Text, Text>, ForeignData> {
    serde_json::from_str(text).map_err(|error| {
        let reason = format!("{column} is not a JSON object of strings ({error}): {text}");
        ForeignData::at(place, reason)
    })
}

/// Foreign text as a message shows it: on one line and not too long.
fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut line: String = text.chars().take(SHOWN_CHARS_MAX).map(clean).collect();
    if line.len() < text.len() && text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

/// Validates the text without building a value, so that deeply nested JSON does
/// not exhaust the stack.
fn parse(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<&RawValue>(text).map(drop)
}

/// The text with quotes around every word of [`NOT_NUMBERS`] outside a string.
fn with_words_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = NOT_NUMBERS.into_iter().find(|word| rest.starts_with(word));
        let taken = match word {
            Some(word) => word.len(),
            None if first == '"' => string_bytes(rest),
            None => first.len_utf8(),
        };
        let quote = if word.is_some() { "\"" } else { "" };
        out.extend([quote, &rest[..taken], quote]);
        rest = &rest[taken..];
    }
    out
}

/// The length of the string at the beginning of `text`, including its quotes.
fn string_bytes(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_as_it_is() {
        for text in ["1", " [1.50, -0, 1e999999]", "{\"b\":1,\"a\":\"\\u00fc ü NaN\"}", "\"NaN\""]
        {
            assert_eq!(json("p", "c", text).unwrap().as_str(), text);
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(json("p", "c", &deep).is_ok());
    }

    #[test]
    fn words_that_only_python_writes_become_strings() {
        for (text, wanted) in [
            ("NaN", "\"NaN\""),
            (
                "[NaN, -Infinity, {\"Infinity\": Infinity}]",
                "[\"NaN\", \"-Infinity\", {\"Infinity\": \"Infinity\"}]",
            ),
            ("[\"a\\\"NaN\", NaN]", "[\"a\\\"NaN\", \"NaN\"]"),
        ] {
            assert_eq!(json("p", "c", text).unwrap().as_str(), wanted);
        }
    }

    #[test]
    fn text_that_is_not_json_is_refused_in_one_line() {
        for text in ["", "{", "nan", "NaNs", "[1,]", "\"open", "1 2", "{'a': 1}", "tr\nue"] {
            let fault = json("kv_store 'k\n'", "value_json", text).unwrap_err().to_string();
            assert!(fault.starts_with("kv_store 'k\u{fffd}': value_json is not JSON ("), "{fault}");
            assert_eq!(fault.lines().count(), 1, "{fault}");
        }
        let long = ForeignData::at("p", "x".repeat(10_000)).to_string();
        assert!(long.len() < 2 * SHOWN_CHARS_MAX, "{long}");
    }

    #[test]
    fn a_context_is_an_object() {
        for text in ["{}", " \n{\"a\": [1]}"] {
            assert_eq!(object("p", "c", text).unwrap().as_str(), text);
        }
        for text in ["[{}]", "1", "null", "\"{}\"", "NaN", "{"] {
            assert!(object("p", "c", text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_values_of_tags_are_strings() {
        assert_eq!(tags("p", "c", "{\"b\": \"1\", \"a\": \"\"}").unwrap().len(), 2);
        for text in ["[]", "null", "{\"a\": 1}", "{\"a\": null}", "{\"a\": \"1\"", ""] {
            assert!(tags("p", "c", text).is_err(), "{text}");
        }
        assert_eq!(status("p", "done").unwrap(), Status::Done);
        let fault = status("workflows 'wf-1'", "paused").unwrap_err().to_string();
        assert_eq!(
            fault,
            "workflows 'wf-1': status is created, claimed, running, done, failed or cancelled, \
             not 'paused'"
        );
    }
}
