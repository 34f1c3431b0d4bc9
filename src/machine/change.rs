//! Changes: what a decision asks a store to do to its rows and to the entries
//! that list them, all or nothing.

use std::sync::Arc;

use super::event::Event;
use super::index::Entry;
use super::reply::Reply;
use super::row::{Meta, Row, RowId};

/// What is to be answered, and what is to be committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub reply: Reply,
    /// In order, each row and each entry at most once.
    pub changes: Vec<Change>,
    /// One for each change of state, sealed, with consecutive revisions.
    pub events: Vec<Event>,
    /// The state's position afterwards. Its clocks may have moved on although
    /// nothing else changed; a store need not commit that alone.
    pub meta: Meta,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Every row and entry that does not outlive a reset is gone, and the
    /// history up to the anchor in the decision's meta. Comes first.
    Clear,
    /// Answers of this node's session below this sequence are gone. Comes before
    /// answers are put.
    DropAnswersBelow(u64, u64),
    /// In place of the one with its id, if there is one.
    Put(Arc<Row>),
    /// With a node's session its answers go.
    Drop(RowId),
    /// An entry that was not there.
    List(Entry),
    /// An entry that was there.
    Unlist(Entry),
}
