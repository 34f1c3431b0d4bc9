//! The archive as the rest of a node sees it: calls that the worker carries out
//! in turn.

use std::path::PathBuf;

use tokio::sync::watch;

use super::lookup::{ArchiveLookup, SearchOutcome, SearchPage};
use super::thread::ArchiveThread;
use super::types::{
    ArchiveError, ArchiveFigures, ArchiveOpened, EventRun, EventsFound, Options, RevisionSpan,
    StatePosition, size_of,
};
use super::worker::{ArchiveSignals, ArchiveWorker};
use crate::machine::Revision;
use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::machine::meta::Anchor;
use crate::store::raft::host::{DatabaseFault, Environment};

/// The archive of one node. Clones share it.
#[derive(Clone)]
pub struct Archive {
    thread: ArchiveThread,
    durable: watch::Receiver<Revision>,
    hole: watch::Receiver<Option<RevisionSpan>>,
}

impl Archive {
    /// Opens the archive in `dir`, which is created if it does not exist. Blocks
    /// while the database reads its files. A damaged database is moved aside to
    /// `*.damaged`, in place of one that was moved there before.
    ///
    /// # Errors
    /// The disk refuses. Damage is no error.
    pub fn open(
        environment: &Environment,
        dir: impl Into<PathBuf>,
        options: Options,
    ) -> Result<(Archive, ArchiveOpened), ArchiveError> {
        let (durable_tx, durable) = watch::channel(Revision::ZERO);
        let (hole_tx, hole) = watch::channel(None);
        let signals = ArchiveSignals { durable: durable_tx, hole: hole_tx };
        let databases = environment.databases.clone();
        let (worker, damage) = ArchiveWorker::open(databases, dir.into(), options, signals)?;
        let thread = ArchiveThread::start(&*environment.threads, worker)?;
        let opened = ArchiveOpened { durable: *durable.borrow(), damage };
        Ok((Archive { thread, durable, hole }, opened))
    }

    /// The newest revision that is on the disk; zero after the archive began anew.
    /// Events up to it may be forgotten elsewhere.
    pub fn durable(&self) -> watch::Receiver<Revision> {
        self.durable.clone()
    }

    /// The newest range that is missing and can be filled now.
    pub fn hole(&self) -> watch::Receiver<Option<RevisionSpan>> {
        self.hole.clone()
    }

    /// Announces the position of the replicated state: at start, after a snapshot
    /// was installed, and after history was dropped. Events that do not fit it are
    /// dropped.
    pub async fn adopt(&self, tip: StatePosition) -> Result<(), ArchiveError> {
        self.thread.run(move |worker| worker.adopt(tip)).await
    }

    /// Drops history up to and including the anchor, in the background.
    pub async fn drop_before(&self, anchor: Anchor) -> Result<(), ArchiveError> {
        self.thread.run(move |worker| worker.drop_before(anchor)).await
    }

    /// Takes events that were applied. Those that are held already are skipped, and
    /// a gap becomes a hole. Returns the revision that is wanted next.
    pub async fn append(&self, run: EventRun) -> Result<Revision, ArchiveError> {
        self.thread.run(move |worker| worker.append(run)).await
    }

    /// The revision that is wanted next; zero if nothing is held.
    pub async fn wanted(&self) -> Result<Revision, ArchiveError> {
        self.thread.run(|worker| Ok(worker.wanted())).await
    }

    /// Writes the events that wait, and returns once they are on the disk.
    pub async fn sync(&self) -> Result<Revision, ArchiveError> {
        self.thread.run(|worker| worker.flush()).await
    }

    /// Events of `span` that `filter` admits, newest first, up to `limit` of
    /// them and about `bytes_max`.
    pub async fn newest(
        &self,
        filter: HistoryFilter,
        span: RevisionSpan,
        limit: usize,
        bytes_max: usize,
    ) -> Result<EventsFound, ArchiveError> {
        let turn =
            move |lookup: &ArchiveLookup<'_>, span, limit| lookup.newest(&filter, span, limit);
        self.search(span, limit, bytes_max, turn).await
    }

    /// Events of `span` that `filter` admits, oldest first, up to `limit` of
    /// them and about `bytes_max`.
    pub async fn since(
        &self,
        filter: ChangeFilter,
        span: RevisionSpan,
        limit: usize,
        bytes_max: usize,
    ) -> Result<EventsFound, ArchiveError> {
        let turn =
            move |lookup: &ArchiveLookup<'_>, span, limit| lookup.since(&filter, span, limit);
        self.search(span, limit, bytes_max, turn).await
    }

    /// For a peer: the run that ends with `span.last` and goes down as far as
    /// `span.first`, a hole or `bytes_max` allow. At least one event.
    pub async fn range(
        &self,
        span: RevisionSpan,
        bytes_max: usize,
    ) -> Result<EventRun, ArchiveError> {
        self.thread.run(move |worker| worker.range(|lookup| lookup.run(span, bytes_max))).await
    }

    /// The run that begins with `span.first` and goes up as far as `span.last`,
    /// a hole or `bytes_max` allow. At least one event.
    pub async fn range_up(
        &self,
        span: RevisionSpan,
        bytes_max: usize,
    ) -> Result<EventRun, ArchiveError> {
        self.thread.run(move |worker| worker.range(|lookup| lookup.run_up(span, bytes_max))).await
    }

    /// Fills a hole, from its upper end, with what a peer sent.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] if it does not link up to what is known.
    pub async fn fill(&self, run: EventRun) -> Result<(), ArchiveError> {
        self.thread.run(move |worker| worker.fill(run)).await
    }

    /// How much the archive holds.
    pub async fn figures(&self) -> Result<ArchiveFigures, ArchiveError> {
        self.thread.run(|worker| worker.figures()).await
    }

    /// Writes the events that wait, and closes. Later calls fail with
    /// [`ArchiveError::Closed`].
    pub async fn close(&self) {
        // The worker has logged an error. Events that were not written are in the
        // write-ahead log.
        let _ = self.thread.run(|worker| worker.close()).await;
    }

    /// Like [`Archive::close`], but for a drop: blocks until the database has closed
    /// its files, so that they can be removed.
    pub fn close_now(&self) {
        self.thread.run_now(|worker| {
            let closed = worker.close();
            // The worker has logged it.
            let _ = worker.settle(closed);
        });
    }

    async fn search(
        &self,
        span: RevisionSpan,
        limit: usize,
        bytes_max: usize,
        turn: impl Fn(&ArchiveLookup<'_>, RevisionSpan, usize) -> Result<SearchPage, DatabaseFault>
        + Clone
        + Send
        + 'static,
    ) -> Result<EventsFound, ArchiveError> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut left = Some(span).filter(|span| span.first <= span.last);
        while let Some(span) = left {
            if bytes >= bytes_max {
                return Ok(EventsFound { events, cut: true });
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
                SearchOutcome::Done => None,
                SearchOutcome::More(span) => Some(span),
                SearchOutcome::Unproven => return Err(ArchiveError::Unproven),
                SearchOutcome::Missing(revision) | SearchOutcome::Damaged(revision) => {
                    let hole = self.thread.run(move |worker| Ok(worker.hole_at(revision))).await?;
                    return Err(ArchiveError::Damaged(hole));
                }
            };
        }
        Ok(EventsFound { events, cut: false })
    }
}
