//! Snapshots: the whole state as of one log entry, so that the log behind it can
//! be deleted and a new member need not read it.
//!
//! | file | holds |
//! |---|---|
//! | `file` | one snapshot file, with the checksums that prove it whole |
//! | `folder` | the folder of snapshots, building them and installing them |

pub mod file;
pub(crate) mod folder;
