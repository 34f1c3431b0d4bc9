//! How much of a list a tool gives, how much of each value, and how much it says
//! is left.

use super::field::{self, Field};
use super::json_object::JsonObject;
use crate::machine::Json;
use crate::machine::page::Page;
use crate::machine::query::PAGE_BYTES_MAX;

/// What a page holds if an agent does not ask for more: as much as fits into
/// its context beside its other work. The cursor leads on to the rest.
pub(super) const PAGE_ROWS: usize = 100;
pub(super) const PAGE_BYTES: usize = 64 * 1024;

/// What a page holds if an agent asks for a number of rows.
pub(super) const PAGE_BYTES_ASKED: usize = 1024 * 1024;

/// How much of a large value `head` shows.
const HEAD_BYTES: usize = 256;

/// The page to read for a tool that shows less of each row than it reads. Such
/// a tool cuts what was read with [`shorten`], by what it shows. It reads up to as
/// much again, to say how much is left.
pub(super) fn whole_rows(page: Page) -> Page {
    let more = page.rows.min(PAGE_ROWS);
    Page { bytes: PAGE_BYTES_MAX, rows: page.rows.saturating_add(more) }
}

/// What a list says about the rows after its page.
pub(super) struct Rest {
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
    Rest { rows: read - rows.len(), is_all }
}

impl Rest {
    /// Adds the cursor of the next page and how much is left, if there is more.
    pub(super) fn tell(self, reply: JsonObject, cursor: Option<&str>) -> JsonObject {
        let reply = reply.text_if("next_cursor", cursor);
        match (cursor, self.is_all) {
            (None, _) => reply,
            (Some(_), true) => reply.number("remaining", self.rows as u64),
            (Some(_), false) => reply.number("remaining_at_least", self.rows as u64),
        }
    }
}

/// The results that a list with more rows has.
pub(super) fn rest_fields() -> [Field; 3] {
    [
        field::next_cursor(),
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
    Full,
}

impl Values {
    /// How many bytes of JSON it shows of a value.
    pub(super) fn bytes(self, value: &Json) -> usize {
        match self {
            Values::None => 0,
            Values::Head => value.as_str().len().min(2 * HEAD_BYTES),
            Values::Full => value.as_str().len(),
        }
    }

    /// Adds a value to an answer. What is not shown whole is described instead.
    pub(super) fn show(self, reply: JsonObject, name: &str, value: &Json) -> JsonObject {
        let text = value.as_str();
        if self == Values::Full || self == Values::Head && text.len() <= HEAD_BYTES {
            return reply.json(name, value);
        }
        let length = text.len() as u64;
        let described = match self {
            Values::Head => {
                // A character may lie across the end, and is then left out.
                let end = (0..=HEAD_BYTES).rev().find(|at| text.is_char_boundary(*at));
                let head = &text[..end.unwrap_or_default()];
                JsonObject::new().text("head", head).number("bytes", length)
            }
            Values::None | Values::Full => JsonObject::new().number("bytes", length),
        };
        reply.object(name, described)
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

#[cfg(test)]
mod tests {
    use super::*;

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
