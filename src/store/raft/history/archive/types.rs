//! The types that go into the archive and come out of it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::machine::meta::Anchor;
use crate::machine::value::Json;
use crate::machine::{Chain, Event, Revision};

/// See [`Options::linger`].
const LINGER: Duration = Duration::from_secs(1);

/// How the archive behaves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Options {
    /// The size of the database's page cache.
    pub cache_bytes: u64,
    /// How long an event may wait for others that are written in the same batch.
    pub linger: Duration,
    /// How long to wait before the database is opened again after the disk refused.
    pub retry: Duration,
    /// Counts the records that were read.
    pub reads: Arc<AtomicU64>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 16 << 20,
            linger: LINGER,
            retry: Duration::from_secs(5),
            reads: Arc::default(),
        }
    }
}

/// What was found when the archive was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveOpened {
    /// The newest revision that is held.
    pub durable: Revision,
    /// Why the database was moved aside, if it was damaged.
    pub damage: Option<String>,
}

/// Why the archive cannot answer, or cannot take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// This range is not held here. It is being fetched if there are peers.
    #[error("history from {} to {} is not held here", .0.first, .0.last)]
    Damaged(RevisionSpan),
    /// What was found at open is not proven yet.
    #[error("the archive is still being proven")]
    Unproven,
    /// The events that were offered do not fit what is known to be right.
    #[error("refused: {0}")]
    Refused(String),
    /// The disk refused, or the archive began anew. A later call may succeed.
    #[error("the archive stopped: {0}")]
    Stopped(String),
    /// The archive was closed.
    #[error("the archive is closed")]
    Closed,
}

/// A range of revisions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevisionSpan {
    pub first: Revision,
    pub last: Revision,
}

/// Consecutive events and the chain value before them, so that each of them
/// can be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventRun {
    pub before: Chain,
    pub events: Vec<Event>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsFound {
    pub events: Vec<Event>,
    /// There may be more: the search ended because it had found so many bytes.
    pub cut: bool,
}

/// The position of the replicated state, which the archive trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatePosition {
    pub revision: Revision,
    pub chain: Chain,
    pub anchor: Anchor,
}

/// How much the archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveFigures {
    pub disk_bytes: u64,
    /// How many events can be read.
    pub events: u64,
    /// Whether everything that was found at open is proven.
    pub proven: bool,
}

impl RevisionSpan {
    /// From `first` to `last`, both included.
    pub fn new(first: u64, last: u64) -> RevisionSpan {
        RevisionSpan { first: Revision(first), last: Revision(last) }
    }

    pub(super) fn contains(self, revision: u64) -> bool {
        self.first.0 <= revision && revision <= self.last.0
    }
}

impl EventRun {
    /// The chain value after the last event.
    pub fn last_chain(&self) -> Chain {
        self.events.last().map_or(self.before, |event| event.chain)
    }

    /// The range of the events, if there are any and they are consecutive.
    pub fn span(&self) -> Option<RevisionSpan> {
        let (first, last) = (self.events.first()?.revision, self.events.last()?.revision);
        let numbers = self.events.iter().map(|event| event.revision.0);
        (first.0..).take(self.events.len()).eq(numbers).then_some(RevisionSpan { first, last })
    }

    /// Whether each event follows from the one before it.
    pub fn is_linked(&self) -> bool {
        let before = std::iter::once(self.before).chain(self.events.iter().map(|e| e.chain));
        self.events.iter().zip(before).all(|(event, before)| event.follows(before))
    }
}

/// Approximately how many bytes an event takes.
pub(in crate::store::raft) fn size_of(event: &Event) -> usize {
    /// Numbers, chain value and lengths.
    const FIXED_BYTES: usize = 80;
    let text = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
    let actor = event.actor.as_ref().map_or(0, |actor| actor.len());
    FIXED_BYTES + event.subject.len() + actor + text(&event.new) + text(&event.previous)
}
