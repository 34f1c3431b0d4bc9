//! What is wrong with an argument, as data, so that a protocol can name the
//! argument and count its units in its own way.

use std::fmt;

/// An argument outside its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {kind}")]
pub struct ArgumentError {
    /// The argument, as `proto/state.proto` names it; for example
    /// `then[1].ttl_ms`. Durations, and only they, have names in `_ms`.
    pub path: String,
    /// Which bound it breaks.
    pub kind: ArgumentErrorKind,
}

/// Which bound an argument breaks, and what was found instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentErrorKind {
    Empty,
    TooLong {
        bytes_max: usize,
        bytes: usize,
    },
    TooManyElements {
        most: usize,
        found: usize,
    },
    ValueTooLarge {
        bytes_max: usize,
        bytes: usize,
    },
    ValueTooDeep {
        depth_max: usize,
        depth: usize,
    },
    NotJson {
        reason: String,
    },
    NotAnObject,
    /// It is not what it must be, in the words of whoever reads it.
    Unreadable {
        reason: String,
    },
    Below {
        least: u64,
        found: i128,
    },
    Above {
        most: u64,
        found: i128,
    },
}

pub(super) type Checked = Result<(), ArgumentError>;

impl ArgumentError {
    pub(super) fn new(path: &str, kind: ArgumentErrorKind) -> ArgumentError {
        ArgumentError { path: path.into(), kind }
    }

    /// The number `found` is below the least that is allowed.
    pub fn below(path: &str, least: u64, found: impl Into<i128>) -> ArgumentError {
        ArgumentError::new(path, ArgumentErrorKind::Below { least, found: found.into() })
    }

    /// The number `found` is above the most that is allowed.
    pub fn above(path: &str, most: u64, found: impl Into<i128>) -> ArgumentError {
        ArgumentError::new(path, ArgumentErrorKind::Above { most, found: found.into() })
    }

    /// The same error of an element of a list, or of a member of an object.
    pub(super) fn within(self, parent: &str) -> ArgumentError {
        ArgumentError { path: format!("{parent}.{}", self.path), ..self }
    }

    /// Whether the argument is too large, rather than malformed.
    pub fn is_too_large(&self) -> bool {
        match self.kind {
            ArgumentErrorKind::TooLong { .. } | ArgumentErrorKind::ValueTooLarge { .. } => true,
            ArgumentErrorKind::Empty
            | ArgumentErrorKind::TooManyElements { .. }
            | ArgumentErrorKind::ValueTooDeep { .. }
            | ArgumentErrorKind::NotJson { .. }
            | ArgumentErrorKind::NotAnObject
            | ArgumentErrorKind::Unreadable { .. }
            | ArgumentErrorKind::Below { .. }
            | ArgumentErrorKind::Above { .. } => false,
        }
    }
}

impl ArgumentErrorKind {
    /// The same error of a duration that the caller has given in whole seconds
    /// rather than in milliseconds.
    #[must_use]
    pub fn in_seconds(self) -> ArgumentErrorKind {
        match self {
            ArgumentErrorKind::Below { least, found } => {
                ArgumentErrorKind::Below { least: least.div_ceil(1000), found: found / 1000 }
            }
            ArgumentErrorKind::Above { most, found } => {
                ArgumentErrorKind::Above { most: most / 1000, found: found / 1000 }
            }
            other => other,
        }
    }
}

impl fmt::Display for ArgumentErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgumentErrorKind::Empty => f.write_str("must not be empty"),
            ArgumentErrorKind::TooLong { bytes_max, bytes } => {
                write!(f, "takes up to {bytes_max} bytes, got {bytes}")
            }
            ArgumentErrorKind::TooManyElements { most, found } => {
                write!(f, "takes up to {most}, got {found}")
            }
            ArgumentErrorKind::ValueTooLarge { bytes_max, bytes } => {
                write!(f, "takes up to {bytes_max} bytes of JSON, got {bytes}")
            }
            ArgumentErrorKind::ValueTooDeep { depth_max, depth } => {
                write!(f, "may nest {depth_max} deep, got {depth}")
            }
            ArgumentErrorKind::NotJson { reason } => {
                write!(f, "must be one JSON value: {reason}")
            }
            ArgumentErrorKind::NotAnObject => f.write_str("must be a JSON object"),
            ArgumentErrorKind::Unreadable { reason } => write!(f, "is refused: {reason}"),
            ArgumentErrorKind::Below { least, found } => {
                write!(f, "must be >= {least}, got {found}")
            }
            ArgumentErrorKind::Above { most, found } => {
                write!(f, "must be <= {most}, got {found}")
            }
        }
    }
}
