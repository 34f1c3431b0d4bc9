//! The first line of the stream: the format, where the state comes from and its
//! position.

use crate::machine::{Meta, Text};

/// The name of the format in the first line.
pub const FORMAT: &str = "mcp-state-sidecar-export";

/// The version that is written, and the newest one that is read. Every new kind and
/// field needs a new version, because older programs refuse what they do not know.
pub const VERSION: u32 = 1;

/// The longest line. The remembered answer to a transaction with 128 reads of 2 MiB
/// each takes 512 MiB in hexadecimal, and everything else in a line takes far less
/// than the remainder. Only a file that is no export reaches the limit.
pub const LINE_BYTES_MAX: usize = 640 * 1024 * 1024;

/// Where an export comes from, as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOrigin {
    /// The kind of the store, as `sidecar_health` names it.
    pub backend: Text,
    /// The version of the program that wrote it.
    pub release: Text,
}

impl ExportOrigin {
    /// This program, over a store of this kind.
    pub fn here(backend: &str) -> ExportOrigin {
        ExportOrigin { backend: backend.into(), release: env!("CARGO_PKG_VERSION").into() }
    }
}

/// The content of the first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportHeader {
    pub origin: ExportOrigin,
    /// The state's position.
    pub meta: Meta,
}
