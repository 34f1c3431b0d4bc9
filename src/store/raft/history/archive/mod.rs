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
//! What it costs: an event of 200 bytes takes about 1 KB of disk, most of it
//! postings and sled's own slack; a process with a million of them about 90 MB
//! more memory, with 200,000 about 50 MB, however small the cache. A frame is
//! proven in some 10 ms.
//!
//! One thread owns sled; callers wait on channels. If sled fails as a whole it
//! is moved aside to `*.damaged` and begun anew; if the disk refuses, it is
//! closed and tried again every few seconds.

mod adopt;
mod cursor;
mod database;
mod fill;
mod format;
mod lookup;
mod maintenance;
mod posting;
mod ranges;
mod reader;
mod tail;
mod thread;
mod types;
mod verify;
mod worker;

use std::path::PathBuf;

use tokio::sync::watch;

use crate::machine::Revision;
use crate::machine::row::Anchor;
use crate::machine::view::{ChangeFilter, HistoryFilter};
use crate::store::raft::host::{DatabaseFault, Environment};
use lookup::{ArchiveLookup, Rest, SearchPage};
use thread::ArchiveThread;
pub(in crate::store::raft) use types::size_of;
pub use types::{ArchiveError, Figures, Found, Opened, Options, Run, Span, Tip};
use worker::{ArchiveSignals, ArchiveWorker};

/// The archive of one node. Clones share it.
#[derive(Clone)]
pub struct Archive {
    thread: ArchiveThread,
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
        environment: &Environment,
        dir: impl Into<PathBuf>,
        options: Options,
    ) -> Result<(Archive, Opened), ArchiveError> {
        let (durable_tx, durable) = watch::channel(Revision::ZERO);
        let (hole_tx, hole) = watch::channel(None);
        let signals = ArchiveSignals { durable: durable_tx, hole: hole_tx };
        let databases = environment.databases.clone();
        let (worker, damage) = ArchiveWorker::open(databases, dir.into(), options, signals)?;
        let thread = ArchiveThread::start(&*environment.threads, worker)?;
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
        let turn =
            move |lookup: &ArchiveLookup<'_>, span, limit| lookup.newest(&filter, span, limit);
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
        let turn =
            move |lookup: &ArchiveLookup<'_>, span, limit| lookup.since(&filter, span, limit);
        self.search(span, limit, bytes_max, turn).await
    }

    /// For a peer: the run that ends with `span.last` and goes down as far as
    /// `span.first`, a hole or `bytes_max` allow. At least one event.
    pub async fn range(&self, span: Span, bytes_max: usize) -> Result<Run, ArchiveError> {
        self.thread.run(move |worker| worker.range(|lookup| lookup.run(span, bytes_max))).await
    }

    /// The run that begins with `span.first` and goes up as far as `span.last`,
    /// a hole or `bytes_max` allow. At least one event.
    pub async fn range_up(&self, span: Span, bytes_max: usize) -> Result<Run, ArchiveError> {
        self.thread.run(move |worker| worker.range(|lookup| lookup.run_up(span, bytes_max))).await
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

    /// As [`Archive::close`], from a drop: blocks until sled has let go of its
    /// files, so that they can be removed.
    pub fn close_now(&self) {
        self.thread.run_now(|worker| {
            let closed = worker.close();
            // Logged where it arose.
            let _ = worker.settle(closed);
        });
    }

    async fn search(
        &self,
        span: Span,
        limit: usize,
        bytes_max: usize,
        turn: impl Fn(&ArchiveLookup<'_>, Span, usize) -> Result<SearchPage, DatabaseFault>
        + Clone
        + Send
        + 'static,
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
