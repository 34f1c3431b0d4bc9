//! The one error that every protocol hands to its callers: a code that all of
//! them spell alike, and a message for people.

use std::fmt;

use crate::limits::ArgumentError;
use crate::machine::{Refusal, RefusalCode};
use crate::store::StoreError;

/// The kind of an error. Clients branch on it, so a code that has been released
/// is never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    InvalidArgument,
    NotFound,
    TooLarge,
    QuotaExceeded,
    Forbidden,
    /// Nothing was written, and the same call may succeed later.
    Unavailable,
    /// The command may or may not have been applied. Repeating the call is safe
    /// with the same idempotency key.
    OutcomeUnknown,
    Internal,
}

/// Why a call has no result. The message is written for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServiceError {
    pub code: Code,
    pub message: String,
    /// Which argument is outside its bounds, for a protocol that has another name for
    /// it than the message.
    pub argument: Option<Box<ArgumentError>>,
}

impl Code {
    /// The spelling that MCP and gRPC clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidArgument => "invalid_argument",
            Code::NotFound => "not_found",
            Code::TooLarge => "too_large",
            Code::QuotaExceeded => "quota_exceeded",
            Code::Forbidden => "forbidden",
            Code::Unavailable => "unavailable",
            Code::OutcomeUnknown => "outcome_unknown",
            Code::Internal => "internal",
        }
    }

    /// Whether the same call may succeed later, unchanged.
    pub fn is_retryable(self) -> bool {
        match self {
            Code::Unavailable | Code::OutcomeUnknown => true,
            Code::InvalidArgument
            | Code::NotFound
            | Code::TooLarge
            | Code::QuotaExceeded
            | Code::Forbidden
            | Code::Internal => false,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ServiceError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        ServiceError { code, message: message.into(), argument: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Code::TooLarge, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// The command may or may not have been applied.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Code::OutcomeUnknown, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// The store's answer or reply belongs to another kind of call. That is a bug
    /// of the store, which no caller can cause.
    pub fn unexpected_answer() -> Self {
        Self::internal("the store answered another question")
    }

    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable()
    }
}

impl From<ArgumentError> for ServiceError {
    fn from(argument: ArgumentError) -> Self {
        let code = if argument.is_too_large() { Code::TooLarge } else { Code::InvalidArgument };
        let error = Self::new(code, argument.to_string());
        ServiceError { argument: Some(Box::new(argument)), ..error }
    }
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code {
            RefusalCode::InvalidArgument => Code::InvalidArgument,
            RefusalCode::NotFound => Code::NotFound,
            RefusalCode::QuotaExceeded => Code::QuotaExceeded,
            RefusalCode::Internal => Code::Internal,
        };
        Self::new(code, &*refusal.message)
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::unavailable(format!("unavailable: {why}")),
            StoreError::Unknown(why) => Self::unknown(format!(
                "outcome unknown, it may or may not have been applied; repeat the call with the \
                 same idempotency_key: {why}"
            )),
            StoreError::Storage(why) => Self::internal(format!("storage failed: {why}")),
        }
    }
}
