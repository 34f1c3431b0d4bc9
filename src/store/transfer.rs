//! Transfers: a whole state on its way out of one store and into another. What
//! the bytes in between look like is [`crate::export`]'s.
//!
//! What a node alone needs (its sessions with other nodes and their answers)
//! stays behind; everything else goes along, to the last remembered request,
//! so that the state goes on elsewhere as if nothing had happened: revisions,
//! tokens, deadlines, history and chain.

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::StoreError;
use crate::codec::StateRecord;
use crate::machine::{Event, Meta};

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
    /// Any row but the position, a node's session or its answers.
    Row(StateRecord),
    Event(Event),
}

/// A store that is being filled. Dropped before [`Intake::finish`], it leaves
/// the target as it was.
#[async_trait]
pub trait Intake: Send {
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
