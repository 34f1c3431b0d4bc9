//! Transfers: a whole state on its way out of one store and into another. What
//! the bytes in between look like is [`crate::export`]'s.
//!
//! What a node alone needs (its sessions with other nodes and their answers)
//! stays behind; everything else goes along, to the last remembered request,
//! so that the state goes on elsewhere as if nothing had happened: revisions,
//! tokens, deadlines, history and chain.

mod channel;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub(super) use channel::{PartSender, channel};

use super::StoreError;
use crate::machine::{Event, Meta, Revision, Row, size};

/// A state as it was at one instant.
pub struct Export {
    /// The state's position at that instant.
    pub meta: Meta,
    /// Some at a time: every row in any order, then every event that is kept,
    /// oldest first: from the one after the anchor to the one at
    /// `meta.revision`. After an error nothing more comes.
    pub parts: BoxStream<'static, Result<Vec<Part>, StoreError>>,
}

/// One row or one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Any row but a node's session or its answers.
    Row(Row),
    Event(Event),
}

impl Part {
    /// The part of this row; nothing where a node keeps it for itself.
    pub fn of_row(row: Row) -> Option<Part> {
        match row {
            Row::Key(..)
            | Row::Lease(..)
            | Row::Run(_)
            | Row::Step(..)
            | Row::Session(..)
            | Row::Cancellation(..)
            | Row::Request(..) => Some(Part::Row(row)),
            Row::Origin(..) | Row::Answer(..) => None,
        }
    }

    /// About how much it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Part::Row(row) => size::bytes(row) as usize,
            Part::Event(event) => event.bytes(),
        }
    }
}

/// A store that is being filled. Dropped before [`StoreImport::finish`], it leaves
/// the target as it was.
#[async_trait]
pub trait StoreImport: Send {
    /// Takes parts, in the order of [`Export::parts`].
    ///
    /// # Errors
    /// The target cannot take them; nothing of them will be seen.
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError>;

    /// Makes what was taken the target's state, whole and durable on return.
    ///
    /// # Errors
    /// As the error says, nothing has happened, or it is unknown whether all
    /// has; never half.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// The target of an import holds a state already, and nobody said that it may
/// go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not empty: it holds {rows} rows at revision {found}{}", self.warning())]
pub struct NotEmpty {
    /// Its revision.
    pub found: Revision,
    /// Its rows, remembered requests among them.
    pub rows: u64,
    /// The revision of the state that was to come in.
    pub incoming: Revision,
}

impl NotEmpty {
    /// A token that was handed out above the incoming revision would be handed
    /// out a second time.
    fn warning(&self) -> String {
        if self.found <= self.incoming {
            return String::new();
        }
        format!(
            ", which is higher than what comes in ({}): replaced, its fencing tokens would fall, \
             and who holds an old one could pass for the new holder",
            self.incoming
        )
    }
}
