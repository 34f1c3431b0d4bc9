//! The checks of single values: names, numbers, lists and JSON.

use std::collections::{BTreeMap, BTreeSet};

use super::bounds::*;
use super::error::{ArgumentError, ArgumentErrorKind, Checked};
use crate::machine::command::{CLAIMS_MAX, PERMITS_MAX};
use crate::machine::timetable::Timetable;
use crate::machine::{Json, Text};

/// A name of 1 to [`IDENTIFIER_BYTES_MAX`] bytes.
pub(super) fn identifier(path: &str, text: &str) -> Checked {
    if text.is_empty() {
        return Err(ArgumentError::new(path, ArgumentErrorKind::Empty));
    }
    key(path, text)
}

/// An [`identifier`] that may be left out.
pub(super) fn optional_identifier(path: &str, text: &Option<Text>) -> Checked {
    text.as_deref().map_or(Ok(()), |text| identifier(path, text))
}

/// A key, or a prefix of names. Unlike an [`identifier`] it may be empty.
pub(super) fn key(path: &str, text: &str) -> Checked {
    at_most(path, text, IDENTIFIER_BYTES_MAX)
}

/// Free text for people.
pub(super) fn note(path: &str, text: &str) -> Checked {
    at_most(path, text, NOTE_BYTES_MAX)
}

/// What a person is asked.
pub(super) fn question(path: &str, text: &str) -> Checked {
    if text.is_empty() {
        return Err(ArgumentError::new(path, ArgumentErrorKind::Empty));
    }
    note(path, text)
}

/// The name that a caller gives to a request.
pub(super) fn idempotency_key(path: &str, text: &str) -> Checked {
    if text.is_empty() {
        return Err(ArgumentError::new(path, ArgumentErrorKind::Empty));
    }
    at_most(path, text, IDEMPOTENCY_KEY_BYTES_MAX)
}

/// A time to live: it must not be over at once.
pub(super) fn ttl_ms(path: &str, ms: u64) -> Checked {
    if ms == 0 {
        return Err(ArgumentError::below(path, 1, ms));
    }
    delay_ms(path, ms)
}

/// A time to live that may be left out.
pub(super) fn optional_ttl_ms(path: &str, ms: Option<u64>) -> Checked {
    ms.map_or(Ok(()), |ms| ttl_ms(path, ms))
}

/// A delay, which may be zero.
pub(super) fn delay_ms(path: &str, ms: u64) -> Checked {
    let most = TTL_SECONDS_MAX * 1000;
    if ms > most { Err(ArgumentError::above(path, most, ms)) } else { Ok(()) }
}

/// How often a run may be tried.
pub(super) fn attempts(path: &str, number: u32) -> Checked {
    match number {
        0 => Err(ArgumentError::below(path, 1, number)),
        1..=ATTEMPTS_MAX => Ok(()),
        _ => Err(ArgumentError::above(path, ATTEMPTS_MAX.into(), number)),
    }
}

/// The length of a list.
pub(super) fn count(path: &str, found: usize, most: usize) -> Checked {
    if found > most {
        let kind = ArgumentErrorKind::TooManyElements { most, found };
        return Err(ArgumentError::new(path, kind));
    }
    Ok(())
}

/// The names of the runs that a claim wants.
pub(super) fn claim_names(names: &BTreeSet<Text>) -> Checked {
    count("names", names.len(), CLAIM_NAMES_MAX)?;
    let path = if names.len() > 1 { "names" } else { "name" };
    names.iter().try_for_each(|name| identifier(path, name))
}

/// How many may hold a lease; zero stands for one.
pub(super) fn permits(path: &str, number: u32) -> Checked {
    match number {
        0..=PERMITS_MAX => Ok(()),
        _ => Err(ArgumentError::above(path, PERMITS_MAX.into(), number)),
    }
}

/// How many runs a claim wants.
pub(super) fn claim_limit(limit: u32) -> Checked {
    match limit {
        0 => Err(ArgumentError::below("limit", 1, limit)),
        1..=CLAIMS_MAX => Ok(()),
        _ => Err(ArgumentError::above("limit", CLAIMS_MAX.into(), limit)),
    }
}

pub(super) fn tags(tags: &BTreeMap<Text, Text>) -> Checked {
    count("tags", tags.len(), TAGS_MAX)?;
    tags.iter().try_for_each(|(name, value)| {
        key("a tag's name", name)?;
        key("a tag's value", value)
    })
}

/// When a schedule fires. Whether a cron expression gives any time is found out when
/// its first one is computed.
pub(super) fn timetable(timetable: &Timetable) -> Checked {
    match timetable {
        Timetable::Every { ms } => {
            let least = EVERY_SECONDS_MIN * 1000;
            if *ms < least {
                return Err(ArgumentError::below("every_ms", least, *ms));
            }
            delay_ms("every_ms", *ms)
        }
        Timetable::Cron { expression, time_zone } => {
            at_most("cron", expression, CRON_BYTES_MAX)?;
            at_most("timezone", time_zone, CRON_BYTES_MAX)
        }
    }
}

impl Limits {
    /// Its size, its depth, and that it is one well-formed JSON value.
    pub(super) fn json(&self, path: &str, json: &Json) -> Checked {
        let refused = |kind| Err(ArgumentError::new(path, kind));
        let text = json.as_str();
        let (bytes, bytes_max) = (text.len(), self.value_bytes_max);
        if bytes > bytes_max {
            return refused(ArgumentErrorKind::ValueTooLarge { bytes_max, bytes });
        }
        let depth = depth(text.as_bytes());
        if depth > JSON_DEPTH_MAX {
            let depth_max = JSON_DEPTH_MAX;
            return refused(ArgumentErrorKind::ValueTooDeep { depth_max, depth });
        }
        match serde_json::from_str::<&serde_json::value::RawValue>(text) {
            Ok(_) => Ok(()),
            Err(error) => refused(ArgumentErrorKind::NotJson { reason: error.to_string() }),
        }
    }

    pub(super) fn optional_json(&self, path: &str, json: &Option<Json>) -> Checked {
        json.as_ref().map_or(Ok(()), |json| self.json(path, json))
    }

    pub(super) fn object(&self, path: &str, json: &Json) -> Checked {
        self.json(path, json)?;
        if json.as_str().trim_start().starts_with('{') {
            return Ok(());
        }
        Err(ArgumentError::new(path, ArgumentErrorKind::NotAnObject))
    }
}

/// How deep the arrays and objects of JSON text nest. Brackets in strings do
/// not count. The result for text that is not JSON means nothing.
pub fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

fn at_most(path: &str, text: &str, bytes_max: usize) -> Checked {
    let bytes = text.len();
    if bytes > bytes_max {
        return Err(ArgumentError::new(path, ArgumentErrorKind::TooLong { bytes_max, bytes }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(checked: Checked) -> String {
        checked.unwrap_err().to_string()
    }

    #[test]
    fn messages_name_the_argument_its_bound_and_what_was_found() {
        assert_eq!(message(ttl_ms("ttl_ms", 0)), "ttl_ms must be >= 1, got 0");
        let most = TTL_SECONDS_MAX * 1000;
        assert!(ttl_ms("ttl_ms", most).is_ok());
        assert_eq!(
            message(delay_ms("delay_ms", u64::MAX)),
            format!("delay_ms must be <= {most}, got {}", u64::MAX)
        );
        assert_eq!(message(attempts("n", 2_000_000)), "n must be <= 1000000, got 2000000");
        assert_eq!(message(count("then", 129, 128)), "then takes up to 128, got 129");
    }

    #[test]
    fn the_longest_identifier_is_accepted_and_a_longer_one_is_not() {
        assert!(identifier("key", &"k".repeat(IDENTIFIER_BYTES_MAX)).is_ok());
        let refused = identifier("key", &"k".repeat(IDENTIFIER_BYTES_MAX + 1)).unwrap_err();
        assert!(refused.is_too_large());
        assert_eq!(refused.to_string(), "key takes up to 1024 bytes, got 1025");
        assert!(key("key", "").is_ok(), "a key may be empty");
        assert_eq!(message(identifier("run_id", "")), "run_id must not be empty");
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        assert_eq!(depth(b"1"), 0);
        assert_eq!(depth(b"[{\"[[[\":[1]}]"), 3);
        assert_eq!(depth(b"[\"\\\"[[\",[]]"), 2);
    }

    #[test]
    fn a_value_may_be_as_deep_and_as_large_as_the_limit() {
        let limits = Limits { value_bytes_max: 4096 };
        let check = |text: String| limits.json("value", &Json::new(text));
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check(nested(JSON_DEPTH_MAX)).is_ok());
        assert_eq!(message(check(nested(JSON_DEPTH_MAX + 1))), "value may nest 128 deep, got 129");
        assert!(check(format!("\"{}\"", "x".repeat(4094))).is_ok());
        assert!(check(format!("\"{}\"", "x".repeat(4095))).unwrap_err().is_too_large());
        for broken in ["", "{", "1 2", "[1,]", "nul"] {
            let refused = check(broken.into()).unwrap_err();
            assert!(matches!(refused.kind, ArgumentErrorKind::NotJson { .. }), "{broken}");
        }
    }
}
