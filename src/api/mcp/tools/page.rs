//! How much an answer shows: how many rows of a list, how much of each value, and
//! what it says is left. Every answer has the same budget, in bytes as they are sent.

use super::field::{self, Field};
use super::json_object::{JsonObject, push_string};
use crate::machine::Json;
use crate::machine::page::Page;
use crate::machine::query::PAGE_BYTES_MAX;

/// How many rows a page holds if an agent does not say.
pub(super) const PAGE_ROWS: usize = 100;

/// What an answer takes, so that it fits into an agent's context beside its other
/// work. This counts the text and the structured content together: a client may put
/// both before its model.
pub(super) const ANSWER_BYTES: usize = 64 * 1024;

/// The part of it that rows take. The rest is left for what stands around them.
pub(super) const PAGE_BYTES: usize = ANSWER_BYTES - 4 * 1024;

/// The part of it that values take in an answer about one row, unless they are asked
/// for in full. The rest is left for names, which have bounds of their own.
pub(super) const VALUES_BYTES: usize = 48 * 1024;

/// How much of a large value `head` shows.
const HEAD_BYTES: usize = 256;

/// Rows after a page are counted up to this number.
const REST_ROWS: usize = 100;

/// How many bytes JSON takes in an answer: once in the structured content, and once
/// in the text, where it is escaped.
pub(super) fn sent_bytes(json: &str) -> usize {
    let escaped = json.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..=0x1f => 5,
        _ => 0,
    });
    2 * json.len() + escaped.sum::<usize>()
}

/// The same for one row of a list, with the comma after it.
pub(super) fn row_bytes(row: JsonObject) -> usize {
    sent_bytes(&row.finish()) + 2
}

/// The page to read for a tool that shows less of each row than it reads. Such
/// a tool cuts what was read with [`shorten`], by what it shows. It reads some rows
/// more, to say how much is left.
pub(super) fn whole_rows(page: Page) -> Page {
    // That no rows are asked for is an error, which the service tells.
    let more = if page.rows == 0 { 0 } else { REST_ROWS };
    Page { bytes: PAGE_BYTES_MAX, rows: page.rows.saturating_add(more) }
}

/// What a list says about the rows after its page.
pub(super) struct Rest {
    /// Whether there are any.
    is_more: bool,
    rows: usize,
    /// There are no more than these.
    is_all: bool,
}

/// Cuts what was read to the page, and sets `next` to where the next page begins,
/// which `after` reads off the last row of this one.
pub(super) fn shorten<T, K>(
    page: Page,
    rows: &mut Vec<T>,
    next: &mut Option<K>,
    bytes: impl Fn(&T) -> usize,
    after: impl Fn(&T) -> K,
) -> Rest {
    let (read, is_all) = (rows.len(), next.is_none());
    if page.cut(rows, bytes) {
        *next = rows.last().map(after);
    }
    Rest { is_more: next.is_some(), rows: read - rows.len(), is_all }
}

impl Rest {
    /// Adds the cursor of the next page and how much is left, if there is more.
    pub(super) fn tell_cursor(self, reply: JsonObject, cursor: Option<&str>) -> JsonObject {
        self.tell(reply.text_if("next_cursor", cursor))
    }

    /// Adds how much is left, if there is more.
    pub(super) fn tell(self, reply: JsonObject) -> JsonObject {
        match (self.is_more, self.is_all) {
            (false, _) => reply,
            (true, true) => reply.number("remaining", self.rows as u64),
            (true, false) => reply.number("remaining_at_least", self.rows.min(REST_ROWS) as u64),
        }
    }
}

/// The results that a list with more rows has.
pub(super) fn rest_fields() -> [Field; 3] {
    let [remaining, at_least] = remaining_fields();
    [field::next_cursor(), remaining, at_least]
}

/// The same for a list with a cursor of its own.
pub(super) fn remaining_fields() -> [Field; 2] {
    [
        field::integer("remaining", "How many more there are."),
        field::integer("remaining_at_least", "The same where they were not counted to the end."),
    ]
}

/// How much of each value an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    None,
    /// All of a small value, and the beginning of a large one.
    Head,
    /// The same, where all that takes up to so many bytes of an answer is small. This is
    /// what agents get that do not choose.
    UpTo(usize),
    Full,
}

impl Values {
    fn shows_all_of(self, json: &str) -> bool {
        match self {
            Values::None => false,
            Values::Head => json.len() <= HEAD_BYTES,
            // At worst every byte is escaped, so most values need no counting.
            Values::UpTo(most) => 3 * json.len() <= most || sent_bytes(json) <= most,
            Values::Full => true,
        }
    }

    /// The same, but no more than fits into `room` where it does not say how much.
    pub(super) fn within(self, room: usize) -> Values {
        match self {
            Values::None | Values::Head => self,
            Values::UpTo(most) => Values::UpTo(most.min(room)),
            Values::Full => Values::UpTo(room),
        }
    }

    /// What is shown of texts that describe a row and are no values: all of them, unless
    /// they are so large that few rows would fit on a page.
    pub(super) fn for_texts(self) -> Values {
        const TEXT_BYTES: usize = 2 * 1024;
        match self {
            Values::Full => Values::Full,
            Values::None | Values::Head | Values::UpTo(_) => Values::UpTo(TEXT_BYTES),
        }
    }

    /// Adds a value to an answer. What is not shown whole is described instead.
    pub(super) fn show(self, reply: JsonObject, name: &str, value: &Json) -> JsonObject {
        self.show_json(reply, name, value.as_str())
    }

    /// The same for JSON that is no value of the state.
    pub(super) fn show_json(self, reply: JsonObject, name: &str, json: &str) -> JsonObject {
        if self.shows_all_of(json) {
            return reply.raw(name, json);
        }
        let length = json.len() as u64;
        let described = match self {
            Values::None => JsonObject::new().number("bytes", length),
            Values::Head | Values::UpTo(_) | Values::Full => {
                JsonObject::new().text("head", head(json)).number("bytes", length)
            }
        };
        reply.object(name, described)
    }

    /// Adds text that is to stay text: what is not shown whole ends with its length.
    pub(super) fn show_text(self, reply: JsonObject, name: &str, text: &str) -> JsonObject {
        let mut quoted = String::new();
        push_string(&mut quoted, text);
        if self.shows_all_of(&quoted) {
            return reply.raw(name, &quoted);
        }
        reply.text(name, &format!("{}… ({} bytes in all)", head(text), text.len()))
    }

    /// Does what [`Values::show`] does. `null` if there is no value.
    pub(super) fn show_or_null(
        self,
        reply: JsonObject,
        name: &str,
        value: Option<&Json>,
    ) -> JsonObject {
        match value {
            Some(value) => self.show(reply, name, value),
            None => reply.null(name),
        }
    }
}

/// The beginning of `text`. A character that lies across the end is left out.
fn head(text: &str) -> &str {
    let end = (0..=HEAD_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_takes_is_counted_as_it_is_sent() {
        for json in [r#"{"a":"b\\\"c"}"#, "[1,\n\t2]", "\"ü✓\"", "\u{1}"] {
            let mut text = String::new();
            push_string(&mut text, json);
            // The quotes around the text are not counted.
            assert_eq!(sent_bytes(json), json.len() + text.len() - 2, "{json}");
        }
    }

    #[test]
    fn a_value_is_whole_up_to_what_it_may_take() {
        let json = Json::new(format!("\"{}\"", "v".repeat(998)));
        let shown = |most| Values::UpTo(most).show(JsonObject::new(), "v", &json).finish();
        assert_eq!(shown(2002).len(), 1000 + r#"{"v":}"#.len());
        assert!(shown(2001).contains(r#""bytes":1000"#));
    }

    #[test]
    fn the_head_of_a_value_ends_between_characters() {
        let large = Json::new(format!("\"{}\"", "ü".repeat(300)));
        let shown = Values::Head.show(JsonObject::new(), "v", &large).finish();
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["v"]["bytes"], 602);
        assert_eq!(shown["v"]["head"].as_str().unwrap().len(), 255);
        let small = Json::new("[1]".to_string());
        assert_eq!(Values::Head.show(JsonObject::new(), "v", &small).finish(), r#"{"v":[1]}"#);
        let none = Values::None.show(JsonObject::new(), "v", &small).finish();
        assert_eq!(none, r#"{"v":{"bytes":3}}"#);
    }
}
