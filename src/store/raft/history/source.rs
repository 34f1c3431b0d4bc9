//! The history as a node's peers keep it: the interface by which a node obtains
//! what its own history lacks. [`super::peer_source`] implements it.

use async_trait::async_trait;

use super::archive::{EventRun, RevisionSpan};
use crate::machine::{Answer, Question, Revision};

/// Peers that hold the same history.
#[async_trait]
pub trait HistorySource: Send + Sync + 'static {
    /// Whether there is any peer to ask.
    fn has_peers(&self) -> bool;

    /// Fetches a run that ends with `span.last` and begins at `span.first`, or later
    /// if that would be too much: [`super::History::range`] on a peer. `attempt`
    /// counts the failed attempts before, including answers that proved wrong, so
    /// that each attempt may ask another peer.
    async fn fetch(&self, span: RevisionSpan, attempt: u32)
    -> Result<EventRun, HistorySourceError>;

    /// Asks a peer a question: [`super::History::answer_peer`] there. For `attempt`,
    /// see [`HistorySource::fetch`].
    async fn ask(&self, question: PeerQuestion, attempt: u32)
    -> Result<Answer, HistorySourceError>;
}

/// A question about the history up to a revision, for a peer that has applied at
/// least `revision` and has dropped nothing after `anchor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerQuestion {
    pub question: Question,
    pub revision: Revision,
    pub anchor: Revision,
}

/// Why no peer returned what was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no peer has it: {0}")]
pub struct HistorySourceError(pub String);
