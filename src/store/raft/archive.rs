//! The archive: a node's whole history on its own disk, found by subject,
//! actor and action. Never wrong; what it cannot prove it reports as missing,
//! and whoever owns it fetches that again from a peer.
//!
//! It lives in sled, which may lose or damage what it holds (see `database`).
//! So everything in here can be checked and had again:
//! - Each record has our checksum, and each event the hash chain: a block that
//!   is read proves the links of its events, a run those across its blocks.
//! - What is held is a list of ranges of revisions, written in the same batch
//!   as the events. What is not in it is a hole, and so is what fails a check.
//! - After an open everything is read once in the background, newest first,
//!   and the postings are compared with what they should be; until a frame is
//!   proven no search over it is answered.
//! - A hole is filled downwards from a chain value that is known to be right:
//!   an event's value covers the one before it, so a run that ends in it is
//!   what happened, whoever sent it.
//!
//! Events come in behind apply and wait up to [`Options::linger`] to share a
//! batch. Until [`Archive::durable`] says so they must be had elsewhere: in
//! memory, and behind that in the log.
//!
//! One thread owns sled; callers wait on channels. If sled fails as a whole it
//! is moved aside to `*.damaged` and begun anew; if the disk refuses, it is
//! closed and tried again every few seconds.

mod adopt;
mod database;
mod fill;
mod format;
mod held;
mod lookup;
mod place;
mod proof;
mod reader;
mod tail;
mod thread;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;

use crate::machine::row::Anchor;
use crate::machine::value::Json;
use crate::machine::view::{ChangeFilter, HistoryFilter};
use crate::machine::{Chain, Event, Revision};
use database::Fault;
use lookup::{Lookup, Page, Rest};
use thread::Thread;

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
            linger: Duration::from_secs(1),
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

/// The archive of one node. Clones share it.
#[derive(Clone)]
pub struct Archive {
    thread: Thread,
    durable: watch::Receiver<Revision>,
    hole: watch::Receiver<Option<Span>>,
}

impl Archive {
    /// Opens the archive in `dir`, which is created where it is not there.
    /// Blocks while sled reads its log. What is damaged is moved aside to
    /// `*.damaged`, in place of what may lie there from another time.
    ///
    /// # Errors
    /// Where the disk refuses; damage is none.
    pub fn open(
        dir: impl Into<PathBuf>,
        options: Options,
    ) -> Result<(Archive, Opened), ArchiveError> {
        let (durable_tx, durable) = watch::channel(Revision::ZERO);
        let (hole_tx, hole) = watch::channel(None);
        let signals = worker::Signals { durable: durable_tx, hole: hole_tx };
        let (thread, damage) = Thread::start(dir.into(), options, signals)?;
        let opened = Opened { durable: *durable.borrow(), damage };
        Ok((Archive { thread, durable, hole }, opened))
    }

    /// The newest revision that is on the disk; zero after the archive had to
    /// be begun anew. What is at most this may be forgotten elsewhere.
    pub fn durable(&self) -> watch::Receiver<Revision> {
        self.durable.clone()
    }

    /// The newest range that is missing and can be filled now.
    pub fn hole(&self) -> watch::Receiver<Option<Span>> {
        self.hole.clone()
    }

    /// Tells where the replicated state stands: at start, after a snapshot was
    /// installed, and after history was dropped. What is held is compared with
    /// it; what does not fit is thrown away.
    pub async fn adopt(&self, tip: Tip) -> Result<(), ArchiveError> {
        self.thread.run(move |worker| worker.adopt(tip)).await
    }

    /// Drops history up to and including the anchor, in the background.
    pub async fn drop_before(&self, anchor: Anchor) -> Result<(), ArchiveError> {
        self.thread.run(move |worker| worker.drop_before(anchor)).await
    }

    /// Takes events that were applied. What is held already is passed over, a
    /// gap becomes a hole. Returns the revision that is wanted next.
    pub async fn append(&self, run: Run) -> Result<Revision, ArchiveError> {
        self.thread.run(move |worker| worker.append(run)).await
    }

    /// The revision that is wanted next; zero where nothing is held.
    pub async fn wanted(&self) -> Result<Revision, ArchiveError> {
        self.thread.run(|worker| Ok(worker.wanted())).await
    }

    /// Writes what waits, and returns when it is on the disk.
    pub async fn sync(&self) -> Result<Revision, ArchiveError> {
        self.thread.run(|worker| worker.flush()).await
    }

    /// Events of `span` that `filter` admits, newest first, up to `limit` of
    /// them and about `bytes_max`.
    pub async fn newest(
        &self,
        filter: HistoryFilter,
        span: Span,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Found, ArchiveError> {
        let turn = move |lookup: &Lookup<'_>, span, limit| lookup.newest(&filter, span, limit);
        self.search(span, limit, bytes_max, turn).await
    }

    /// Events of `span` that `filter` admits, oldest first, up to `limit` of
    /// them and about `bytes_max`.
    pub async fn since(
        &self,
        filter: ChangeFilter,
        span: Span,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Found, ArchiveError> {
        let turn = move |lookup: &Lookup<'_>, span, limit| lookup.since(&filter, span, limit);
        self.search(span, limit, bytes_max, turn).await
    }

    /// For a peer: the run that ends with `span.last` and goes down as far as
    /// `span.first`, a hole or `bytes_max` allow. At least one event.
    pub async fn range(&self, span: Span, bytes_max: usize) -> Result<Run, ArchiveError> {
        self.thread.run(move |worker| worker.range(span, bytes_max)).await
    }

    /// Fills a hole, from its upper end, with what a peer sent.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] where it does not link up to what is known.
    pub async fn fill(&self, run: Run) -> Result<(), ArchiveError> {
        self.thread.run(move |worker| worker.fill(run)).await
    }

    /// How much there is.
    pub async fn figures(&self) -> Result<Figures, ArchiveError> {
        self.thread.run(|worker| worker.figures()).await
    }

    /// Writes what waits and closes. Later calls give [`ArchiveError::Closed`].
    pub async fn close(&self) {
        // An error was logged where it arose; what was not written is in the log.
        let _ = self.thread.run(|worker| worker.close()).await;
    }

    async fn search(
        &self,
        span: Span,
        limit: usize,
        bytes_max: usize,
        turn: impl Fn(&Lookup<'_>, Span, usize) -> Result<Page, Fault> + Clone + Send + 'static,
    ) -> Result<Found, ArchiveError> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut left = Some(span).filter(|span| span.first <= span.last);
        while let Some(span) = left {
            if bytes >= bytes_max {
                return Ok(Found { events, cut: true });
            }
            let room = limit - events.len();
            let turn = turn.clone();
            let page = self
                .thread
                .run(move |worker| worker.search(|lookup| turn(lookup, span, room)))
                .await?;
            bytes += page.events.iter().map(size_of).sum::<usize>();
            events.extend(page.events);
            left = match page.rest {
                Rest::Done => None,
                Rest::More(span) => Some(span),
                Rest::Unproven => return Err(ArchiveError::Unproven),
                Rest::Missing(revision) | Rest::Damaged(revision) => {
                    let hole = self.thread.run(move |worker| Ok(worker.hole_at(revision))).await?;
                    return Err(ArchiveError::Damaged(hole));
                }
            };
        }
        Ok(Found { events, cut: false })
    }
}

impl Span {
    /// From `first` to `last`, both included.
    pub fn new(first: u64, last: u64) -> Span {
        Span { first: Revision(first), last: Revision(last) }
    }

    fn contains(self, revision: u64) -> bool {
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
