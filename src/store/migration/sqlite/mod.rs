//! The reference's data in a SQLite file.
//!
//! | file | holds |
//! |---|---|
//! | `tables` | the reference's tables, recognised and read |
//! | `backup` | the copy of the file that is kept |
//! | `migrate` | the conversion of a file when the SQLite store opens it |

mod backup;
pub(in crate::store) mod migrate;
pub(in crate::store) mod tables;
