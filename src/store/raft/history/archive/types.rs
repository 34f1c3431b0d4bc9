//! What goes into the archive and comes out of it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::machine::row::Anchor;
use crate::machine::value::Json;
use crate::machine::{Chain, Event, Revision};

/// See [`Options::linger`].
const LINGER: Duration = Duration::from_secs(1);

/// How the archive behaves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of sled's page cache.
    pub cache_bytes: u64,
    /// How long an event may wait for company before it is written.
    pub linger: Duration,
    /// How long the disk is left alone after it refused.
    pub retry: Duration,
    /// Counts the records that are read.
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

/// What was found at open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The newest revision that is held.
    pub durable: Revision,
    /// Why what was there was moved aside, if so.
    pub damage: Option<String>,
}

/// Why the archive cannot answer, or not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// This range is not held here. It is being fetched, where that is possible.
    #[error("history from {} to {} is not held here", .0.first, .0.last)]
    Damaged(Span),
    /// What was found at open is not proven yet.
    #[error("the archive is still being proven")]
    Unproven,
    /// What was offered does not fit what is known to be right.
    #[error("refused: {0}")]
    Refused(String),
    /// The disk refused, or the archive had to be begun anew; asked again later
    /// it may work.
    #[error("the archive stopped: {0}")]
    Stopped(String),
    /// The archive was closed.
    #[error("the archive is closed")]
    Closed,
}

/// A range of revisions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Revision,
    pub last: Revision,
}

/// Consecutive events and the chain value before them, so that each of them
/// can be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub before: Chain,
    pub events: Vec<Event>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub events: Vec<Event>,
    /// There may be more: the search ended for the size of what it found.
    pub cut: bool,
}

/// Where the replicated state stands: what the archive trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tip {
    pub revision: Revision,
    pub chain: Chain,
    pub anchor: Anchor,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub disk_bytes: u64,
    /// Events that can be read.
    pub events: u64,
    /// All that was found at open is proven.
    pub proven: bool,
}

impl Span {
    /// From `first` to `last`, both included.
    pub fn new(first: u64, last: u64) -> Span {
        Span { first: Revision(first), last: Revision(last) }
    }

    pub(super) fn contains(self, revision: u64) -> bool {
        self.first.0 <= revision && revision <= self.last.0
    }
}

impl Run {
    /// The chain value after the last event.
    pub fn last_chain(&self) -> Chain {
        self.events.last().map_or(self.before, |event| event.chain)
    }

    /// Where the events are, if there are any and they are consecutive.
    pub fn span(&self) -> Option<Span> {
        let (first, last) = (self.events.first()?.revision, self.events.last()?.revision);
        let numbers = self.events.iter().map(|event| event.revision.0);
        (first.0..).take(self.events.len()).eq(numbers).then_some(Span { first, last })
    }

    /// Whether each event follows from the one before it.
    pub fn is_linked(&self) -> bool {
        let before = std::iter::once(self.before).chain(self.events.iter().map(|e| e.chain));
        self.events.iter().zip(before).all(|(event, before)| event.follows(before))
    }
}

/// About how many bytes an event takes.
pub(in crate::store::raft) fn size_of(event: &Event) -> usize {
    /// Numbers, chain value and lengths.
    const FIXED_BYTES: usize = 80;
    let text = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
    let actor = event.actor.as_ref().map_or(0, |actor| actor.len());
    FIXED_BYTES + event.subject.len() + actor + text(&event.new) + text(&event.previous)
}
