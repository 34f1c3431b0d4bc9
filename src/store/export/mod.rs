//! Exports and imports: a whole state on its way out of one store and into
//! another. The bytes in between are [`crate::export`]'s business.
//!
//! What only the nodes of one cluster need (their sessions with one another and
//! the answers they remember for these) stays behind. Everything else goes along,
//! even remembered requests, so that the state continues elsewhere as if nothing
//! had happened: revisions, tokens, deadlines, history and chain.
//!
//! | file | holds |
//! |---|---|
//! | `parts` | what an export consists of |
//! | `channel` | parts on their way from a thread that reads them to a slow caller |
//! | `import` | the trait of a store that is being filled |

mod channel;
mod import;
mod parts;

pub(super) use channel::{PartSender, channel};
pub use import::{NotEmpty, StoreImport};
pub use parts::{Export, Part};
