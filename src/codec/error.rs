//! Why bytes cannot be read as a record.

use crate::machine::Text;

/// Why bytes cannot be read as a record.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodecError {
    /// There are no bytes, or the format number is zero.
    #[error("{message}: no record here")]
    Empty { message: &'static str },
    /// Written by a newer version of the program.
    #[error("{message}: format {found} is newer than {known}, the newest known here")]
    TooNew { message: &'static str, found: u8, known: u8 },
    /// The bytes do not encode a message of this kind.
    #[error("{message}: malformed")]
    Malformed {
        message: &'static str,
        #[source]
        source: prost::DecodeError,
    },
    /// Some bytes belong to no field: a newer version wrote an unknown field, or a
    /// field was written twice or with its default value.
    #[error("{message}: {unread} bytes are of no field known here")]
    Unread { message: &'static str, unread: usize },
    /// A required field is missing, or its kind is unknown here.
    #[error("{message}.{field} is missing or of an unknown kind")]
    Missing { message: &'static str, field: &'static str },
    /// A number of an enumeration is unknown here.
    #[error("{message}.{field}: {found} names nothing known")]
    Unknown { message: &'static str, field: &'static str, found: i32 },
    /// A field of fixed length has another length.
    #[error("{message}.{field}: {found} bytes instead of {expected}")]
    Length { message: &'static str, field: &'static str, found: usize, expected: usize },
    /// A number is outside its range.
    #[error("{message}.{field}: {found} is out of range")]
    Range { message: &'static str, field: &'static str, found: u64 },
    /// A name that may occur only once occurs again.
    #[error("{message}.{field}: '{name}' occurs twice")]
    Twice { message: &'static str, field: &'static str, name: Text },
}

impl CodecError {
    pub(super) fn unknown(message: &'static str, field: &'static str, found: i32) -> CodecError {
        CodecError::Unknown { message, field, found }
    }
}
