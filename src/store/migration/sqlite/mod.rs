//! The reference's data in a SQLite file.
//!
//! | file | holds |
//! |---|---|
//! | `tables` | the reference's tables, recognised and read |
//! | `copy` | the copy that is kept of the file |
//! | `move_in` | converting them when the file is opened |

pub(in crate::store) mod copy;
pub(in crate::store) mod move_in;
pub(in crate::store) mod tables;
