//! Limits: the bounds of each argument, the same for every protocol. Messages name
//! the argument, the value that it got and the values that it accepts.
//!
//! Only what can be judged without the state is checked here; the rules in
//! `machine` judge the rest.

use std::fmt::Display;
use std::sync::Arc;

use crate::error::ServiceError;
use crate::machine::query::PAGE_MAX;
use crate::machine::{Json, Revision, Text};

/// The longest identifier (of a key, run, agent, resource or session), in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 1024;
/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// The longest free text (an error or a reason), in bytes. A stack trace fits.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// How deeply the arrays and objects of a value may nest. Many JSON parsers recurse,
/// so a deeper value could overflow the stack of whoever reads it.
pub const JSON_DEPTH_MAX: usize = 128;
/// The longest time to live: a hundred years, so that adding it to a point in time
/// never overflows.
pub const TTL_SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
/// The longest wait of one call. Many proxies close a connection that is silent for
/// a minute.
pub const WAIT_SECONDS_MAX: u64 = 55;
/// The largest number of tags of one run.
pub const TAGS_MAX: usize = 256;
/// The largest number of comparisons, and of operations, in one transaction, as in
/// etcd.
pub const TRANSACTION_MAX: usize = 128;
/// The largest number of attempts that a run may be given.
pub const ATTEMPTS_MAX: u64 = 1_000_000;
/// The largest value in bytes, unless the operator configures another limit.
pub const VALUE_BYTES_MAX_DEFAULT: usize = 1024 * 1024;

/// The limits that an operator can configure.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest value, step output, input, result or context, in bytes of JSON.
    pub value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { value_bytes_max: VALUE_BYTES_MAX_DEFAULT }
    }
}

impl Limits {
    /// Parses a value from JSON text, after checking its size and depth and that it is
    /// one well-formed value.
    pub fn json(&self, name: &str, text: impl Into<Arc<str>>) -> Result<Json, ServiceError> {
        let text = text.into();
        self.check_json(name, &text)?;
        Ok(Json::new(text))
    }

    /// Checks a value as [`Limits::json`] does, without copying it.
    pub fn check_json(&self, name: &str, text: &str) -> Result<(), ServiceError> {
        self.json_size(name, text.len())?;
        json_depth(name, text)?;
        // A raw value is skipped without recursion, so no depth exhausts the stack.
        serde_json::from_str::<&serde_json::value::RawValue>(text).map(drop).map_err(|error| {
            ServiceError::invalid(format!("{name} must be one JSON value: {error}"))
        })
    }

    /// Accepts JSON text that a serialiser has just written. It is known to be well
    /// formed, so only its size and depth are checked.
    pub fn json_written(
        &self,
        name: &str,
        text: impl Into<Arc<str>>,
    ) -> Result<Json, ServiceError> {
        let text = text.into();
        self.json_size(name, text.len())?;
        json_depth(name, &text)?;
        Ok(Json::new(text))
    }

    fn json_size(&self, name: &str, bytes: usize) -> Result<(), ServiceError> {
        let most = self.value_bytes_max;
        if bytes > most {
            let message = format!("{name} takes up to {most} bytes of JSON, got {bytes}");
            return Err(ServiceError::too_large(message));
        }
        Ok(())
    }
}

/// Accepts an identifier of 1 to [`IDENTIFIER_BYTES_MAX`] bytes.
pub fn identifier(name: &str, text: &str) -> Result<Text, ServiceError> {
    check_identifier(name, text).map(|()| text.into())
}

/// Checks an identifier without copying it.
pub fn check_identifier(name: &str, text: &str) -> Result<(), ServiceError> {
    if text.is_empty() {
        return Err(ServiceError::invalid(format!("{name} must not be empty")));
    }
    check_key(name, text)
}

/// Accepts a key or a prefix, which is an identifier that may be empty.
pub fn key(name: &str, text: &str) -> Result<Text, ServiceError> {
    check_key(name, text).map(|()| text.into())
}

/// Checks a key without copying it.
pub fn check_key(name: &str, text: &str) -> Result<(), ServiceError> {
    at_most(name, text, IDENTIFIER_BYTES_MAX)
}

/// Accepts free text for people.
pub fn note(name: &str, text: &str) -> Result<Text, ServiceError> {
    check_note(name, text).map(|()| text.into())
}

/// Checks free text without copying it.
pub fn check_note(name: &str, text: &str) -> Result<(), ServiceError> {
    at_most(name, text, NOTE_BYTES_MAX)
}

/// Accepts an idempotency key of 1 to [`IDEMPOTENCY_KEY_BYTES_MAX`] bytes.
pub fn idempotency_key(name: &str, text: &str) -> Result<Text, ServiceError> {
    if text.is_empty() {
        return Err(ServiceError::invalid(format!("{name} must not be empty")));
    }
    at_most(name, text, IDEMPOTENCY_KEY_BYTES_MAX).map(|()| text.into())
}

/// Accepts a time to live in seconds, and returns milliseconds.
pub fn ttl_ms(name: &str, seconds: i64) -> Result<u64, ServiceError> {
    within(name, seconds, 1, TTL_SECONDS_MAX).map(|seconds| seconds * 1000)
}

/// Checks that a duration in milliseconds is at least `least` and at most
/// [`TTL_SECONDS_MAX`].
pub fn check_ms(name: &str, ms: u64, least: u64) -> Result<(), ServiceError> {
    if ms < least {
        return Err(below(name, ms, least));
    }
    if ms > TTL_SECONDS_MAX * 1000 {
        let most = TTL_SECONDS_MAX * 1000;
        return Err(ServiceError::invalid(format!("{name} must be <= {most}, got {ms}")));
    }
    Ok(())
}

/// Accepts a delay in seconds, and returns milliseconds.
pub fn delay_ms(name: &str, seconds: i64) -> Result<u64, ServiceError> {
    within(name, seconds, 0, TTL_SECONDS_MAX).map(|seconds| seconds * 1000)
}

/// Accepts how long a call may wait, in seconds. A longer wait is shortened to
/// [`WAIT_SECONDS_MAX`], because callers cannot know which limit a proxy has.
pub fn wait(name: &str, seconds: i64) -> Result<std::time::Duration, ServiceError> {
    at_least(name, seconds, 0)
        .map(|seconds| std::time::Duration::from_secs(seconds.min(WAIT_SECONDS_MAX)))
}

/// Accepts the length of a page, which is at least 1. A longer page than
/// [`PAGE_MAX`] is shortened to that.
pub fn page(name: &str, limit: i64) -> Result<usize, ServiceError> {
    at_least(name, limit, 1).map(|limit| usize::try_from(limit).unwrap_or(PAGE_MAX).min(PAGE_MAX))
}

/// Accepts the number of a step.
pub fn step(name: &str, step: i64) -> Result<u64, ServiceError> {
    at_least(name, step, 0)
}

/// Accepts a revision or a fencing token.
pub fn revision(name: &str, number: i64) -> Result<Revision, ServiceError> {
    at_least(name, number, 0).map(Revision)
}

/// Accepts how often a run may be attempted.
pub fn attempts(name: &str, number: i64) -> Result<u32, ServiceError> {
    within(name, number, 1, ATTEMPTS_MAX).map(|number| number as u32)
}

/// Checks that a list has at most `most` items.
pub fn count(name: &str, number: usize, most: usize) -> Result<(), ServiceError> {
    if number > most {
        return Err(ServiceError::invalid(format!("{name} takes up to {most}, got {number}")));
    }
    Ok(())
}

/// How deeply the arrays and objects of JSON text nest. Brackets in strings do not
/// count. The result for text that is not JSON has no meaning.
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

fn json_depth(name: &str, text: &str) -> Result<(), ServiceError> {
    let got = depth(text.as_bytes());
    if got > JSON_DEPTH_MAX {
        let message = format!("{name} may nest {JSON_DEPTH_MAX} deep, got {got}");
        return Err(ServiceError::invalid(message));
    }
    Ok(())
}

fn at_most(name: &str, text: &str, most: usize) -> Result<(), ServiceError> {
    if text.len() > most {
        let got = text.len();
        return Err(ServiceError::too_large(format!("{name} takes up to {most} bytes, got {got}")));
    }
    Ok(())
}

fn at_least(name: &str, number: i64, least: u64) -> Result<u64, ServiceError> {
    match u64::try_from(number) {
        Ok(number) if number >= least => Ok(number),
        _ => Err(below(name, number, least)),
    }
}

fn within(name: &str, number: i64, least: u64, most: u64) -> Result<u64, ServiceError> {
    let number = at_least(name, number, least)?;
    if number > most {
        return Err(ServiceError::invalid(format!("{name} must be <= {most}, got {number}")));
    }
    Ok(number)
}

fn below(name: &str, number: impl Display, least: u64) -> ServiceError {
    ServiceError::invalid(format!("{name} must be >= {least}, got {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn messages_name_the_argument_what_it_got_and_what_it_takes() {
        let text = |r: Result<_, ServiceError>| r.map(|_: u64| ()).unwrap_err().message;
        assert_eq!(text(ttl_ms("ttl_seconds", 0)), "ttl_seconds must be >= 1, got 0");
        assert_eq!(text(ttl_ms("ttl_seconds", -5)), "ttl_seconds must be >= 1, got -5");
        assert_eq!(
            text(ttl_ms("ttl_seconds", i64::MAX)),
            format!("ttl_seconds must be <= {TTL_SECONDS_MAX}, got {}", i64::MAX)
        );
        assert_eq!(text(step("step", -1)), "step must be >= 0, got -1");
    }

    #[test]
    fn the_longest_identifier_passes_and_the_next_does_not() {
        assert!(identifier("key", &"k".repeat(IDENTIFIER_BYTES_MAX)).is_ok());
        let refused = identifier("key", &"k".repeat(IDENTIFIER_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(refused.code, Code::TooLarge);
        assert_eq!(refused.message, "key takes up to 1024 bytes, got 1025");
        assert!(key("key", "").is_ok(), "keys may be empty");
        assert_eq!(identifier("run_id", "").unwrap_err().message, "run_id must not be empty");
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
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(limits.json("value", nested(JSON_DEPTH_MAX)).is_ok());
        let refused = limits.json("value", nested(JSON_DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(refused.message, "value may nest 128 deep, got 129");
        assert!(limits.json("value", format!("\"{}\"", "x".repeat(4094))).is_ok());
        let refused = limits.json("value", format!("\"{}\"", "x".repeat(4095))).unwrap_err();
        assert_eq!(refused.code, Code::TooLarge);
        for broken in ["", "{", "1 2", "[1,]", "nul"] {
            assert_eq!(limits.json("value", broken).unwrap_err().code, Code::InvalidArgument);
        }
    }

    #[test]
    fn pages_and_waits_are_cut_to_their_bounds() {
        assert_eq!(page("limit", 1_000_000).unwrap(), PAGE_MAX);
        assert_eq!(wait("wait_seconds", 3600).unwrap().as_secs(), WAIT_SECONDS_MAX);
        assert!(page("limit", 0).is_err() && wait("wait_seconds", -1).is_err());
    }
}
