//! What the two ends of a stream share.

use std::path::Path;

/// How many pieces may wait between a stream's thread and the command.
pub(super) const PIECES_MAX: usize = 4;

/// The size of one piece in bytes.
pub(super) const PIECE_BYTES: usize = 256 * 1024;

/// Whether `path` stands for standard input or output.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name of a stream for people: its path, or `standard`.
pub(super) fn name(path: &Path, standard: &str) -> String {
    match is_standard(path) {
        true => standard.to_owned(),
        false => path.display().to_string(),
    }
}
