//! Names with a prefix as a range that an index can walk. LIKE and GLOB would
//! read `%`, `_` and `*` as patterns, and LIKE takes no notice of case.

use rusqlite::types::{ToSqlOutput, Value};

use crate::machine::Text;
use crate::machine::view::Scan;

/// The names of a [`Scan`] as a condition on one column.
pub(super) struct Range {
    condition: String,
    bounds: Vec<ToSqlOutput<'static>>,
}

impl Range {
    /// A condition on `column` whose parameters begin at `?first`.
    pub(super) fn of(scan: &Scan, column: &str, first: usize) -> Range {
        let mut bounds = Vec::with_capacity(2);
        let condition = match &scan.after {
            Some(after) if after.as_bytes() >= scan.prefix.as_bytes() => {
                bounds.push(text(after));
                format!("{column} > ?{first}")
            }
            Some(_) | None => {
                bounds.push(text(&scan.prefix));
                format!("{column} >= ?{first}")
            }
        };
        let condition = match end_of(&scan.prefix) {
            Some(end) => {
                bounds.push(text(&end));
                format!("{condition} AND {column} < ?{}", first + 1)
            }
            None => condition,
        };
        Range { condition, bounds }
    }

    pub(super) fn condition(&self) -> &str {
        &self.condition
    }

    /// What the condition's parameters stand for, in order.
    pub(super) fn bounds(self) -> Vec<ToSqlOutput<'static>> {
        self.bounds
    }
}

/// The least text after all that start with `prefix`, if there is one. The
/// order of UTF-8's bytes is that of the characters' numbers.
fn end_of(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // An exclusive range of chars steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

fn text(text: &str) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(Value::Text(text.to_owned()))
}

/// All names that start with `prefix`.
pub(super) fn starting_with(prefix: &Text) -> Scan {
    Scan { prefix: prefix.clone(), after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact() {
        assert_eq!(end_of(""), None);
        assert_eq!(end_of("a"), Some("b".into()));
        assert_eq!(end_of("a\u{d7ff}"), Some("a\u{e000}".into()));
        assert_eq!(end_of("a\u{10ffff}"), Some("b".into()));
        assert_eq!(end_of("\u{10ffff}\u{10ffff}"), None);
    }
}
