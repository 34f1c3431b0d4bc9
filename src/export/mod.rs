//! Exports: a whole state as a stream of bytes, to be kept in a file or sent
//! to another store. Where states come from and go to is the stores'.
//!
//! The stream is JSON Lines: one object a line, which a person can read and
//! `jq` can pick from.
//!
//! ```text
//! {"format":"mcp-state-sidecar-export","version":1,…,"revision":3,"chain":"…",…}
//! {"key":{"key":"greeting","value":"\"hello\"","revision":3}}
//! {"event":{"revision":1,"at_ms":1700000000000,"action":"state_set",…}}
//! {"end":{"rows":1,"events":3,"sha256":"…"}}
//! ```
//!
//! - The first line has the state's position. Then comes one line for each row,
//!   then one for each event that is kept, oldest first, then the last line
//!   with the counts and the SHA-256 of every byte before it.
//! - A value is JSON in a JSON string: the text is kept exactly as it was
//!   received, and it may hold line breaks.
//! - Moments are milliseconds since 1970, hashes and bytes hexadecimal. A
//!   remembered answer is in the form of [`crate::codec::encode_reply`].
//! - What is left out is not there: an expiry, an actor, a value.
//!
//! Reading is strict, because what is taken in becomes the truth: an unknown
//! kind or field, a newer version, a line out of place, a missing end, a byte
//! that was changed, an event that does not follow from the one before: the
//! stream is refused whole, and the line is named. A stream is only as good as
//! its end, so nobody may act for good on what was read before that.

mod counts;
mod decode;
mod line;
mod read;
mod write;

pub use counts::ExportCounts;
pub use read::{ReadError, Reader};
pub use write::{WriteError, encode};

use crate::machine::{Meta, Text};

/// What the first line calls the stream.
pub const FORMAT: &str = "mcp-state-sidecar-export";

/// The newest version that is read, and the one that is written. It grows with
/// every new kind and field, since older programs refuse those.
pub const VERSION: u32 = 1;

/// No line is longer: the answer to a transaction of 128 reads of 2 MiB each
/// takes 512 MiB in hexadecimal, and the rest of any line less than the rest
/// of this. Only a file that is no export reaches it.
pub const LINE_BYTES_MAX: usize = 640 * 1024 * 1024;

/// Where an export comes from, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The store's kind, as health tells it.
    pub backend: Text,
    /// Of the program that wrote it.
    pub release: Text,
}

impl Origin {
    /// This program, over a store of this kind.
    pub fn here(backend: &str) -> Origin {
        Origin { backend: backend.into(), release: env!("CARGO_PKG_VERSION").into() }
    }
}

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub origin: Origin,
    /// The state's position.
    pub meta: Meta,
}
