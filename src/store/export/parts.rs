//! What an export consists of: the state's position, its rows, and its history.

use futures::stream::BoxStream;

use crate::machine::{Event, Meta, Row, size};
use crate::store::error::StoreError;

/// A state as it was at one instant.
pub struct Export {
    /// The state's position at that instant.
    pub meta: Meta,
    /// Batches of parts: every row in any order, then every event that is kept,
    /// oldest first, from the one after the anchor to the one at `meta.revision`.
    /// Nothing follows an error.
    pub parts: BoxStream<'static, Result<Vec<Part>, StoreError>>,
}

/// One row or one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Any row except a node's session and its answers, and counts of runs.
    Row(Row),
    Event(Event),
}

impl Part {
    /// The row as a part, or `None` if it belongs to one node alone or follows from
    /// the others.
    pub fn of_row(row: Row) -> Option<Part> {
        match row {
            Row::Key(..)
            | Row::Lease(..)
            | Row::Run(_)
            | Row::Step(..)
            | Row::Session(..)
            | Row::Schedule(..)
            | Row::Pause(..)
            | Row::Cancellation(..)
            | Row::Request(..) => Some(Part::Row(row)),
            Row::Group(..) | Row::Origin(..) | Row::Answer(..) => None,
        }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Part::Row(row) => size::bytes(row) as usize,
            Part::Event(event) => event.bytes(),
        }
    }
}
