//! The bounds of arguments: the fixed ones, and those that an operator may set.

use std::time::Duration;

/// The longest identifier (key, run, agent, resource, session), in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 1024;
/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// The longest free text (an error, a reason), in bytes: a stack trace fits.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// How deep the arrays and objects of a value may nest. Parsers that recurse
/// would exhaust their stack on deeper ones.
pub const JSON_DEPTH_MAX: usize = 128;
/// The longest duration: a hundred years, so that sums of times never overflow.
pub const TTL_SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
/// The longest wait of one call; a call that asks for more gets this. It is
/// shorter than the minute after which proxies close a connection on which
/// nothing happens.
pub const WAIT_MAX: Duration = Duration::from_secs(55);
/// How many tags a run may have.
pub const TAGS_MAX: usize = 256;
/// The most answers to choose from.
pub const OPTIONS_MAX: usize = 32;
/// How many comparisons, and how many operations in either branch, a
/// transaction may have; etcd has the same bound.
pub const TRANSACTION_MAX: usize = 128;
/// How many names one claim may look for. It makes some searches for each of them.
pub const CLAIM_NAMES_MAX: usize = 32;
/// How many runs a run may depend on.
pub const DEPENDENCIES_MAX: usize = 100;
/// How many runs the end of a run may create.
pub const SUCCESSORS_MAX: usize = 100;
/// How many attempts a run may be given.
pub const ATTEMPTS_MAX: u32 = 1_000_000;
/// The largest input of the run that a schedule creates, in bytes of JSON. Every firing
/// stores it again.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// The longest cron expression and the longest name of a time zone, in bytes.
pub const CRON_BYTES_MAX: usize = 256;
/// The shortest interval of a schedule.
pub const EVERY_SECONDS_MIN: u64 = 1;
/// The largest value if nothing else is configured, in bytes.
pub const VALUE_BYTES_MAX_DEFAULT: usize = 1024 * 1024;

/// The limits that an operator may set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest value, step output, input, result or context, in bytes of
    /// JSON.
    pub value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { value_bytes_max: VALUE_BYTES_MAX_DEFAULT }
    }
}
