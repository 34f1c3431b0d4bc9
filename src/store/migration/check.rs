//! Judging what was found: text that the reference wrote is taken as it is,
//! anything else is refused in one line that says where it stands.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::ForeignData;
use crate::machine::row::Status;
use crate::machine::{Json, Text};

/// Characters of foreign text that a message shows: enough to find it by.
const SHOWN_MAX: usize = 120;

/// What Python's `json.dumps` writes for numbers that JSON does not have.
const NOT_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// A value as it stands there, byte for byte; words that are no JSON but that
/// the reference writes become strings.
///
/// # Errors
/// The text is no JSON value.
pub fn json(place: &str, column: &str, text: &str) -> Result<Json, ForeignData> {
    let Err(error) = parse(text) else { return Ok(Json::new(text)) };
    let quoted = with_words_quoted(text);
    match parse(&quoted) {
        Ok(()) => Ok(Json::new(quoted)),
        Err(_) => Err(ForeignData::at(place, format!("{column} is not JSON ({error}): {text}"))),
    }
}

/// The same where only an object belongs.
///
/// # Errors
/// The text is no JSON object.
pub fn object(place: &str, column: &str, text: &str) -> Result<Json, ForeignData> {
    let value = json(place, column, text)?;
    // The blanks that JSON knows.
    if value.as_str().trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Ok(value);
    }
    Err(ForeignData::at(place, format!("{column} is a JSON object, not {text}")))
}

/// A run's status.
///
/// # Errors
/// It is none of ours.
pub fn status(place: &str, text: &str) -> Result<Status, ForeignData> {
    text.parse().map_err(|()| {
        let takes = "created, claimed, running, done, failed or cancelled";
        ForeignData::at(place, format!("status is {takes}, not '{text}'"))
    })
}

/// A run's tags, from JSON text.
///
/// # Errors
/// It is no JSON object, or one of its values no string.
pub fn tags(place: &str, column: &str, text: &str) -> Result<BTreeMap<Text, Text>, ForeignData> {
    serde_json::from_str(text).map_err(|error| {
        ForeignData::at(place, format!("{column} is no JSON object of strings ({error}): {text}"))
    })
}

/// Foreign text for a line that people read: on one line, and not too long.
pub(super) fn line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut line: String = text.chars().take(SHOWN_MAX).map(clean).collect();
    if line.len() < text.len() && text.chars().nth(SHOWN_MAX).is_some() {
        line.push('…');
    }
    line
}

/// Skips through the text without recursion, so that depth costs no stack.
fn parse(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<&RawValue>(text).map(drop)
}

/// The text with quotes around those of [`NOT_NUMBERS`] that stand outside
/// strings.
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

/// How long the string at the beginning of `text` is, its quotes included.
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
    fn words_that_python_writes_become_strings() {
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
    fn what_is_no_json_is_refused_in_one_line() {
        for text in ["", "{", "nan", "NaNs", "[1,]", "\"open", "1 2", "{'a': 1}", "tr\nue"] {
            let fault = json("kv_store 'k\n'", "value_json", text).unwrap_err().to_string();
            assert!(fault.starts_with("kv_store 'k\u{fffd}': value_json is not JSON ("), "{fault}");
            assert_eq!(fault.lines().count(), 1, "{fault}");
        }
        let long = ForeignData::at("p", "x".repeat(10_000)).to_string();
        assert!(long.len() < 2 * SHOWN_MAX, "{long}");
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
    fn tags_are_strings() {
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
