//! Recovery: the state that one surviving node holds, when a majority of its
//! cluster is lost for good. Nothing in the node's folder is changed.
//!
//! ```text
//! snapshot ──► every entry of the log behind it ──► the state
//! archive (a copy, because sled writes even to read) ──► events up to the snapshot
//! the same entries again ──► events after the snapshot
//! ```
//!
//! Entries beyond those that the node knew to be committed are applied as well. A
//! leader may have acknowledged them before this node learned that they were
//! committed; and if such an entry was not acknowledged, its caller got no answer or
//! `outcome_unknown`, which allows either. What the lost nodes acknowledged and never
//! sent to this node cannot be known.
//!
//! Damage in the snapshot or the log makes recovery fail, as it makes the node's
//! start fail. The archive may lack old events, as it does on any node that has not
//! fetched them yet: then the state is recovered, and its history begins later.
//!
//! | file | holds |
//! |---|---|
//! | `recovered` | [`Recovered`]: reading the folder, and exporting the state |
//! | `replay` | applying the log behind the snapshot |
//! | `past` | the events up to the snapshot |
//! | `error` | why recovery fails |

mod error;
mod past;
mod recovered;
mod replay;

pub use error::RecoverError;
pub use recovered::{Recovered, RecoveryReport};
