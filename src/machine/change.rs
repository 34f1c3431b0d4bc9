//! Changes: what a store must do to its rows and to the index entries that list
//! them, all or nothing.

use std::sync::Arc;

use super::entry::IndexEntry;
use super::event::Event;
use super::meta::Meta;
use super::reply::Reply;
use super::row::Row;
use super::row_id::RowId;

/// The reply to a command, and what must be committed before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub reply: Reply,
    /// In the order to apply them. Each row and each entry occurs at most once.
    pub changes: Vec<Change>,
    /// The event of each change of state, sealed, with consecutive revisions.
    pub events: Vec<Event>,
    /// The position of the state afterwards. The clocks may have advanced although
    /// nothing else has changed; a store need not commit that alone.
    pub meta: Meta,
}

/// One change of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Remove every row and entry that does not outlive a reset, and the history
    /// up to the anchor in the decision's meta. Comes first.
    Clear,
    /// Remove the answers of this node's session below this sequence. Comes before
    /// answers are put.
    DropAnswersBelow(u64, u64),
    /// Store the row in place of the one with the same id, if there is one.
    Put(Arc<Row>),
    /// Remove the row. With the session of a node, remove its answers.
    Drop(RowId),
    /// Add an entry that does not exist.
    List(IndexEntry),
    /// Remove an entry that exists.
    Unlist(IndexEntry),
}
