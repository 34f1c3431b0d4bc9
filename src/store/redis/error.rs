//! What can go wrong with a Redis, classified by what it means to a caller, and
//! each in one line for the log. No message repeats the URL, which may contain a
//! password.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::error::StoreError;

/// Why a state in a Redis was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RedisOpenError {
    /// The URL has none of the known forms.
    #[error("{0}")]
    Url(String),
    /// Keys cannot have this prefix.
    #[error("the prefix '{0}' takes 1 to 64 letters, digits, '-', '_', '.', '/' and ':'")]
    Prefix(String),
    /// Nobody answers, or the password is refused.
    #[error("{place}: {reason}")]
    Unreached { place: String, reason: String },
    /// The promises of this store do not hold on this server, or not with what it
    /// holds now.
    #[error("{place}: {reason}")]
    Unfit { place: String, reason: String },
    /// A newer version of this program wrote the state.
    #[error(
        "{place}: the state under '{prefix}' has format {found}, newer than {known}, the newest known here"
    )]
    Newer { place: String, prefix: String, found: u64, known: u64 },
    /// The keys hold something that this program does not write.
    #[error("{place}: damaged: {reason}")]
    Damaged { place: String, reason: String },
}

/// Why one round trip failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedisFault {
    /// There is no connection, so nothing was sent and nothing has happened.
    #[error("{0}")]
    Unreached(String),
    /// No answer came. The request may have been executed, or may be yet.
    #[error("{0}")]
    Gone(String),
    /// Another server, or this one later, may accept the request. Nothing has
    /// happened.
    #[error("{0}")]
    NotNow(String),
    /// Redis refuses the request until an operator changes something. Nothing has
    /// happened.
    #[error("{0}")]
    Refused(String),
    /// Redis holds something that this program does not write.
    #[error("what Redis holds is damaged: {0}")]
    Damaged(String),
}

impl RedisFault {
    /// What Redis's error means for a request that was sent.
    pub fn of(error: &RedisError) -> RedisFault {
        let text = one_line(error);
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                // The scripts were flushed between loading one and calling it.
                | ServerErrorKind::NoScript,
            ) => RedisFault::NotNow(explained(error, text)),
            ErrorKind::Server(_) | ErrorKind::Extension => script_fault(error, text),
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => {
                RedisFault::Refused(text)
            }
            // The connection broke in the middle of an answer.
            ErrorKind::Parse if text.contains("Unexpected end of input") => {
                RedisFault::Gone("an answer was cut short".into())
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => RedisFault::Damaged(text),
            // The enum is the client's, and all its other kinds concern the
            // connection.
            _ => RedisFault::Gone(text),
        }
    }

    /// What Redis's error means for an attempt to connect.
    pub fn before_sending(error: &RedisError) -> RedisFault {
        RedisFault::of(error).nothing_sent()
    }

    /// The same fault for a caller that knows that nothing can have happened.
    pub fn nothing_sent(self) -> RedisFault {
        match self {
            RedisFault::Gone(text) => RedisFault::Unreached(text),
            other => other,
        }
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            RedisFault::Unreached(_) | RedisFault::Gone(_) | RedisFault::NotNow(_) => true,
            RedisFault::Refused(_) | RedisFault::Damaged(_) => false,
        }
    }

    /// The error for a caller, if nothing of its command was sent.
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

/// What an error of a script means. Only errors before the script's first write
/// are refusals. After any other error, nobody knows how far the script got.
fn script_fault(error: &RedisError, text: String) -> RedisFault {
    const BEFORE_WRITES: [&str; 8] =
        ["OOM", "MISCONF", "NOREPLICAS", "NOPERM", "NOAUTH", "WRONGPASS", "WRONGTYPE", "ERR DB"];
    let is = |code: &str| has_code(error, &text, code);
    // BUSY means that another program's script has run for too long.
    if is("BUSY") || is("READONLY") {
        return RedisFault::NotNow(explained(error, text));
    }
    match BEFORE_WRITES.into_iter().any(is) || is_forbidden(&text) {
        true => RedisFault::Refused(explained(error, text)),
        false => RedisFault::Gone(text),
    }
}

/// Whether an error has a code. Old servers put the code of an error within a
/// script only into the text, after a dash.
fn has_code(error: &RedisError, text: &str, code: &str) -> bool {
    error.code() == Some(code) || text.contains(&format!("-{code} "))
}

/// The text with a hint at what an operator can do.
fn explained(error: &RedisError, text: String) -> String {
    let is = |code: &str| has_code(error, &text, code);
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

/// Whether a user has no permission for a command within a script. This error has
/// no code of its own.
fn is_forbidden(text: &str) -> bool {
    text.contains("The user executing the script")
}

fn one_line(error: &RedisError) -> String {
    // Errors of scripts repeat the position in the script, which nobody needs.
    const CHARS_MAX: usize = 200;
    let text = error.to_string().replace(['\n', '\r'], " ");
    text.chars().take(CHARS_MAX).collect()
}
