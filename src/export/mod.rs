//! Exports: a whole state as a stream of bytes, to be kept in a file or sent to
//! another store. How a state leaves a store and gets into another one is the task
//! of [`crate::store::export`].
//!
//! The stream is JSON Lines: one object a line, which people can read and `jq` can
//! filter.
//!
//! ```text
//! {"format":"mcp-state-sidecar-export","version":1,…,"revision":3,"chain":"…",…}
//! {"key":{"key":"greeting","value":"\"hello\"","revision":3}}
//! {"event":{"revision":1,"at_ms":1700000000000,"action":"state_set",…}}
//! {"end":{"rows":1,"events":3,"sha256":"…"}}
//! ```
//!
//! - The first line has the position of the state. It is followed by one line for
//!   each row, one for each event that is kept, oldest first, and a last line with
//!   the counts and the SHA-256 of every byte before it.
//! - A value is JSON text within a JSON string, so that it is kept exactly as it was
//!   received, line breaks included.
//! - Times are milliseconds since 1970; hashes and bytes are hexadecimal. A
//!   remembered answer is encoded by [`crate::codec::encode_reply`].
//! - A missing field means that there is no expiry, actor or value.
//!
//! Reading is strict, because an imported state replaces the truth. A stream is
//! refused as a whole, naming the line, for an unknown kind or field, a newer
//! version, a line out of place, a missing end, a changed byte, or an event that does
//! not follow from the one before. Only the end shows that a stream is whole, so
//! nothing that was read before may be made permanent until then.
//!
//! Read `header`, `line` (single lines), `encoder` and `decoder` (the stream), then
//! `check` (how lines must follow one another) and `counts`.

mod check;
mod counts;
mod decoder;
mod encoder;
mod header;
mod line;

pub use counts::ExportCounts;
pub use decoder::{ExportDecodeError, ExportDecoder};
pub use encoder::{ExportEncodeError, encode};
pub use header::{ExportHeader, ExportOrigin, FORMAT, LINE_BYTES_MAX, VERSION};
