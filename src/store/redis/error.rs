//! What goes wrong with a Redis: sorted by what it means to a caller, in one
//! line for whoever reads it. No line repeats the URL, which may hold a
//! password.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Why a store on Redis was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a URL of any form that is known here.
    #[error("{0}")]
    Url(String),
    /// No key or channel can be called so.
    #[error("the prefix '{0}' takes 1 to 64 letters, digits, '-', '_', '.', '/' and ':'")]
    Prefix(String),
    /// Nobody answers there, or refuses the password.
    #[error("{place}: {reason}")]
    Unreached { place: String, reason: String },
    /// A server on which the promises of this store do not hold.
    #[error("{place}: {reason}")]
    Unfit { place: String, reason: String },
    /// Written by a newer version of this program.
    #[error(
        "{place}: the state under '{prefix}' has format {found}, newer than {known}, the newest known here"
    )]
    Newer { place: String, prefix: String, found: u64, known: u64 },
    /// The keys hold what this program does not write.
    #[error("{place}: damaged: {reason}")]
    Damaged { place: String, reason: String },
}

/// What became of one round trip.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedisFault {
    /// Redis could not be asked: nothing has happened.
    #[error("{0}")]
    Unreached(String),
    /// Asked, but no answer came: it may have happened, or may yet.
    #[error("{0}")]
    Gone(String),
    /// Another server is to be asked, or this one later: nothing has happened.
    #[error("{0}")]
    NotNow(String),
    /// Redis refuses until somebody does something: nothing has happened.
    #[error("{0}")]
    Refused(String),
    /// It holds what this program does not write.
    #[error("what Redis holds is damaged: {0}")]
    Damaged(String),
}

impl RedisFault {
    /// What a script's error means.
    pub fn of(error: &RedisError) -> RedisFault {
        let text = one_line(error);
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                // Flushed again, between loading a script and calling it.
                | ServerErrorKind::NoScript,
            ) => RedisFault::NotNow(explained(error, text)),
            ErrorKind::Server(_) | ErrorKind::Extension => script_fault(error, text),
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => {
                RedisFault::Refused(text)
            }
            // The connection broke within an answer: not the answer is at fault.
            ErrorKind::Parse if text.contains("Unexpected end of input") => {
                RedisFault::Gone("an answer was cut short".into())
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => RedisFault::Damaged(text),
            // Foreign enum: all that is left has to do with the way there.
            _ => RedisFault::Gone(text),
        }
    }

    /// The same for an attempt to connect, where nothing can have happened.
    pub fn before_sending(error: &RedisError) -> RedisFault {
        match RedisFault::of(error) {
            RedisFault::Gone(text) => RedisFault::Unreached(text),
            other => other,
        }
    }

    /// What a caller is told, if nothing of the command was sent.
    pub fn unsent(&self) -> StoreError {
        match self {
            RedisFault::Unreached(text)
            | RedisFault::Gone(text)
            | RedisFault::NotNow(text)
            | RedisFault::Refused(text) => StoreError::Unavailable(format!("redis: {text}")),
            RedisFault::Damaged(text) => StoreError::Storage(format!("redis: damaged: {text}")),
        }
    }
}

/// What a server's refusal means. Only those that come before a script's first
/// write are refusals; of any other nobody knows how far the script got.
fn script_fault(error: &RedisError, text: String) -> RedisFault {
    const BEFORE_WRITES: [&str; 8] =
        ["OOM", "MISCONF", "NOREPLICAS", "NOPERM", "NOAUTH", "WRONGPASS", "WRONGTYPE", "ERR DB"];
    // Old servers name a script's error in the text alone, behind a dash.
    let is = |code: &str| error.code() == Some(code) || text.contains(&format!("-{code} "));
    // BUSY: a script of somebody else's has run for too long.
    if is("BUSY") || is("READONLY") {
        return RedisFault::NotNow(explained(error, text));
    }
    match BEFORE_WRITES.into_iter().any(is) || is_forbidden(&text) {
        true => RedisFault::Refused(explained(error, text)),
        false => RedisFault::Gone(text),
    }
}

/// What to do about the refusals that operators meet.
fn explained(error: &RedisError, text: String) -> String {
    // Old servers name a script's error in the text alone, behind a dash.
    let is = |code: &str| error.code() == Some(code) || text.contains(&format!("-{code} "));
    let hint = if is("OOM") {
        "it is out of memory: raise its maxmemory or remove keys"
    } else if is("READONLY") {
        "it is a replica now, and its primary is looked for"
    } else if is("MISCONF") {
        "it cannot save to its disk"
    } else if is("NOREPLICAS") {
        "it has fewer replicas than its min-replicas-to-write"
    } else if is("WRONGTYPE") {
        "another program uses a key of ours: set SIDECAR_REDIS_PREFIX"
    } else if is("NOPERM") || is_forbidden(&text) {
        "its user may not do what this store needs"
    } else {
        return text;
    };
    format!("{hint} ({text})")
}

/// What a user may not do within a script has no code of its own.
fn is_forbidden(text: &str) -> bool {
    text.contains("The user executing the script")
}

fn one_line(error: &RedisError) -> String {
    /// Scripts' errors repeat the place in the script.
    const CHARS_MAX: usize = 200;
    let text = error.to_string().replace(['\n', '\r'], " ");
    text.chars().take(CHARS_MAX).collect()
}
