//! What several commands print.

use crate::config::ConfigNote;
use crate::export::{ExportCounts, ExportHeader};

/// Describes a state that was exported or imported, in one line.
pub fn state_summary(header: &ExportHeader, counts: &ExportCounts) -> String {
    let ExportHeader { origin, meta } = header;
    format!(
        "revision {}, chain {}, from {} {}: {counts}",
        meta.revision, meta.chain, origin.backend, origin.release
    )
}

/// Prints remarks on the settings where nothing is logged.
pub fn print_notes(notes: &[ConfigNote]) {
    for note in notes {
        eprintln!("mcp-state-sidecar: {note}");
    }
}

/// Formats JSON for people.
pub fn pretty_json(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
