//! A JSON object, written as text. Values of the state are copied in as the text
//! that they are, so that their numbers and the order of their members survive.
//!
//! The history has a writer of its own (`machine::describe`): what it wrote is
//! hashed for ever, so it must not change when an answer of a tool does.

use std::fmt::Write;

use crate::machine::{ClusterMs, Revision, Text, WallMs};

/// A JSON object under construction. Its members keep the order in which they are
/// added.
#[derive(Clone, Debug)]
pub(super) struct JsonObject {
    text: String,
}

impl JsonObject {
    pub(super) fn new() -> JsonObject {
        JsonObject { text: String::from("{") }
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> JsonObject {
        self.name(name);
        push_string(&mut self.text, value);
        self
    }

    /// `null` if there is no value.
    pub(super) fn text_or_null(self, name: &str, value: Option<&str>) -> JsonObject {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    /// Left out if there is no value.
    pub(super) fn text_if(self, name: &str, value: Option<&str>) -> JsonObject {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Left out if there is no value.
    pub(super) fn number_if(self, name: &str, value: Option<u64>) -> JsonObject {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    pub(super) fn bool(self, name: &str, value: bool) -> JsonObject {
        self.raw(name, if value { "true" } else { "false" })
    }

    pub(super) fn number(mut self, name: &str, value: impl Into<i128>) -> JsonObject {
        self.name(name);
        let _ = write!(self.text, "{}", value.into());
        self
    }

    pub(super) fn revision(self, name: &str, revision: Revision) -> JsonObject {
        self.number(name, revision.0)
    }

    pub(super) fn revision_or_null(self, name: &str, revision: Option<Revision>) -> JsonObject {
        match revision {
            Some(revision) => self.revision(name, revision),
            None => self.null(name),
        }
    }

    /// A deadline, in seconds; `null` if there is none.
    pub(super) fn deadline_or_null(self, name: &str, at: Option<ClusterMs>) -> JsonObject {
        match at {
            Some(at) => self.seconds(name, at.0),
            None => self.null(name),
        }
    }

    pub(super) fn deadline_if(self, name: &str, at: Option<ClusterMs>) -> JsonObject {
        match at {
            Some(at) => self.seconds(name, at.0),
            None => self,
        }
    }

    pub(super) fn time(self, name: &str, at: WallMs) -> JsonObject {
        self.seconds(name, at.0)
    }

    /// Milliseconds as seconds with a fraction, exactly.
    pub(super) fn seconds(self, name: &str, ms: u64) -> JsonObject {
        self.raw(name, &seconds(ms))
    }

    /// The same for a duration that may be negative.
    pub(super) fn signed_seconds(self, name: &str, ms: i64) -> JsonObject {
        let sign = if ms < 0 { "-" } else { "" };
        self.raw(name, &format!("{sign}{}", seconds(ms.unsigned_abs())))
    }

    pub(super) fn object(self, name: &str, object: JsonObject) -> JsonObject {
        self.raw(name, &object.finish())
    }

    pub(super) fn list<T>(
        mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        item: impl Fn(&mut String, T),
    ) -> JsonObject {
        self.name(name);
        self.text.push('[');
        for (at, each) in items.into_iter().enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            item(&mut self.text, each);
        }
        self.text.push(']');
        self
    }

    /// A list of texts, left out where it is empty.
    pub(super) fn texts_if(self, name: &str, texts: &[Text]) -> JsonObject {
        match texts {
            [] => self,
            texts => self.list(name, texts, |list, text| push_string(list, text)),
        }
    }

    pub(super) fn objects(
        self,
        name: &str,
        items: impl IntoIterator<Item = JsonObject>,
    ) -> JsonObject {
        self.list(name, items, |text, item| text.push_str(&item.finish()))
    }

    pub(super) fn null(self, name: &str) -> JsonObject {
        self.raw(name, "null")
    }

    pub(super) fn raw(mut self, name: &str, json: &str) -> JsonObject {
        self.name(name);
        self.text.push_str(json);
        self
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        push_string(&mut self.text, name);
        self.text.push(':');
    }
}

fn seconds(ms: u64) -> String {
    let fraction = format!("{:03}", ms % 1000);
    let digits = fraction.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    format!("{}.{digits}", ms / 1000)
}

/// Appends `text` as a JSON string, exactly as serde_json writes it, but without
/// building a [`serde_json::Value`] first.
pub(in crate::api::mcp) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        if escaped.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escaped);
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_json_does() {
        let every: String = (0u32..0x80).filter_map(char::from_u32).chain("ü✓😀".chars()).collect();
        let mut text = String::new();
        push_string(&mut text, &every);
        assert_eq!(text, serde_json::Value::String(every).to_string());
    }

    #[test]
    fn times_keep_their_milliseconds_and_nothing_more() {
        let text = |ms| JsonObject::new().seconds("t", ms).finish();
        assert_eq!(text(1_700_000_000_000), r#"{"t":1700000000.0}"#);
        assert_eq!(text(1_700_000_002_250), r#"{"t":1700000002.25}"#);
        assert_eq!(text(7), r#"{"t":0.007}"#);
        let signed = JsonObject::new().signed_seconds("t", -1500).finish();
        assert_eq!(signed, r#"{"t":-1.5}"#);
    }
}
