//! The history of a node: the newest events in memory, all older ones in the
//! archive, asked as if they were one.
//!
//! Apply hands each event over and does not wait for a disk. A task of our own
//! feeds the archive, another fills what is missing there from peers, and an
//! event leaves memory only when the archive has it on the disk.
//!
//! If the archive lags, memory grows past its bound, to four times that. Then
//! apply waits, as long as the archive moves on: a node whose disk is slow is
//! slow. If nothing at all was archived for [`Options::stall`], the oldest
//! events are let go, but only where there are peers: each of them keeps the
//! whole history, and the gap is fetched as soon as the archive works again. A
//! node without peers waits on. Nothing is lost with the process either: the
//! log keeps every entry until [`History::archived`] says that its events need
//! it no longer.

pub(crate) mod answer;
pub mod archive;
pub(crate) mod chain_check;
pub(crate) mod fetch;
pub(crate) mod recent;
pub(crate) mod tasks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::history::archive::{Archive, ArchiveError, Run, Span};
use crate::machine::{Answer, Event, Meta, Question, Revision};
use crate::store::StoreError;
use crate::store::window::WindowLimits;
use recent::Recent;

/// How long the archive, and then a peer, may take for an answer before the
/// next one is asked.
const ASK: Duration = Duration::from_secs(2);
/// After everybody failed to answer. The archive may be proven, or the range
/// fetched, by then.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long feeding waits after the archive refused.
const FEED_AGAIN: Duration = Duration::from_millis(200);

/// How the history behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What stays in memory once it is archived.
    pub keep: WindowLimits,
    /// Past this apply waits.
    pub cap: WindowLimits,
    /// How long apply waits for an archive that does not move.
    pub stall: Duration,
    /// Events asked of a peer at once.
    pub fetch_events: u64,
    /// How long a peer may take for them.
    pub fetch: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let keep = WindowLimits::ARCHIVED;
        let cap = WindowLimits { events_max: 4 * keep.events_max, bytes_max: 4 * keep.bytes_max };
        let (stall, fetch) = (Duration::from_secs(10), Duration::from_secs(10));
        Options { keep, cap, stall, fetch_events: 1_024, fetch }
    }
}

/// The history as the peers keep it. The network implements this.
#[async_trait]
pub trait HistorySource: Send + Sync + 'static {
    /// Whether there is anyone to ask.
    fn has_peers(&self) -> bool;

    /// Fetches a run that ends with `span.last` and begins at or, where that
    /// would be too much, after `span.first`: [`History::range`] on a peer.
    /// `turn` counts what failed before, lies included, so that another peer
    /// may be chosen.
    async fn fetch(&self, span: Span, turn: u32) -> Result<Run, SourceError>;

    /// Asks a peer: there [`History::answer_peer`]. `turn` as above.
    async fn ask(&self, question: PeerQuestion, turn: u32) -> Result<Answer, SourceError>;
}

/// A question about the history up to a revision, for a peer that has applied
/// as much and has dropped no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerQuestion {
    pub question: Question,
    pub revision: Revision,
    pub anchor: Revision,
}

/// No peer gave what was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no peer has it: {0}")]
pub struct SourceError(pub String);

/// The history of one node. Clones share it.
#[derive(Clone)]
pub struct History {
    shared: Arc<HistoryShared>,
}

struct HistoryShared {
    recent: Mutex<Recent>,
    archive: Archive,
    source: Arc<dyn HistorySource>,
    options: Options,
    /// There are new events to feed, or the state was replaced.
    fresh: Notify,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl History {
    /// Joins an archive with the state as it stands at start. Runs its tasks
    /// on the present runtime until [`History::close`].
    pub fn start(
        archive: Archive,
        source: Arc<dyn HistorySource>,
        meta: &Meta,
        options: Options,
    ) -> History {
        let shared = Arc::new(HistoryShared {
            recent: Mutex::new(Recent::at(meta)),
            archive,
            source,
            options,
            fresh: Notify::new(),
            tasks: Mutex::default(),
        });
        let feeds = tokio::spawn(tasks::feed(shared.clone()));
        let fills = tokio::spawn(tasks::fill(shared.clone()));
        shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend([feeds, fills]);
        History { shared }
    }

    /// Takes the events of a decision, and where the state stands after it.
    /// Returns at once unless memory is full of what is not archived.
    pub async fn push(&self, events: Vec<Event>, meta: &Meta) {
        let full = self.shared.recent().take(events, meta, &self.shared);
        self.shared.fresh.notify_one();
        if full {
            self.shared.wait_for_room().await;
        }
    }

    /// A snapshot took the state's place: what led to it is not in memory.
    /// Events go on from there.
    pub fn expect(&self, meta: &Meta) {
        *self.shared.recent() = Recent::at(meta);
        self.shared.fresh.notify_one();
    }

    /// Returns once the events up to `revision` that this node had in memory
    /// are in its archive, on the disk. Until then the log must keep them.
    pub async fn archived(&self, revision: Revision) -> Result<(), ArchiveError> {
        let shared = &self.shared;
        loop {
            let needed = shared.recent().window.oldest() <= revision;
            if !needed || *shared.archive.durable().borrow() >= revision {
                return Ok(());
            }
            match shared.feed_some().await {
                Ok(true) => {}
                Ok(false) => drop(shared.archive.sync().await),
                Err(ArchiveError::Closed) => return Err(ArchiveError::Closed),
                Err(_) => sleep(FEED_AGAIN).await,
            }
        }
    }

    /// Answers a question about the history that leads up to `meta`. What is
    /// not here a peer is asked for, again and again until `deadline`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where nobody could answer in time.
    pub async fn answer(
        &self,
        question: &Question,
        meta: &Meta,
        deadline: Instant,
    ) -> Result<Answer, StoreError> {
        let mut turn = 0;
        loop {
            let limit = deadline.min(Instant::now() + ASK);
            let missing = match timeout_at(limit, self.answer_own(question, meta)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(missing)) => missing.to_string(),
                Err(_late) => "the archive does not answer in time".to_owned(),
            };
            let source = &self.shared.source;
            let limit = deadline.min(Instant::now() + ASK);
            let asked = source.ask(answer::for_peer(question, meta), turn);
            if let Ok(Ok(answer)) = timeout_at(limit, asked).await
                && let Some(answer) = answer::fitting(question, answer, meta)
            {
                return Ok(answer);
            }
            turn += 1;
            if Instant::now() + ASK_AGAIN >= deadline {
                return Err(StoreError::Unavailable(missing));
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// Answers a peer from what is here. `meta` is the state's own.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] where this node's history does not reach as far
    /// or begins elsewhere.
    pub async fn answer_peer(
        &self,
        asked: &PeerQuestion,
        meta: &Meta,
    ) -> Result<Answer, ArchiveError> {
        if meta.revision < asked.revision || meta.anchor.revision != asked.anchor {
            let here = format!("history here is of {} to {}", meta.anchor.revision, meta.revision);
            return Err(ArchiveError::Refused(here));
        }
        self.answer_own(&asked.question, meta).await
    }

    /// Answers from what is here; asks nobody.
    pub async fn answer_own(
        &self,
        question: &Question,
        meta: &Meta,
    ) -> Result<Answer, ArchiveError> {
        let window = self.shared.recent().window.clone();
        answer::answer(question, meta, &window, &self.shared.archive).await
    }

    /// For a peer: the run that ends with `span.last` and goes down as far as
    /// `span.first`, `bytes_max` or what is held allow. At least one event.
    pub async fn range(&self, span: Span, bytes_max: usize) -> Result<Run, ArchiveError> {
        let recent = self.shared.recent().range(span, bytes_max);
        match recent {
            Some(run) => Ok(run),
            None => self.shared.archive.range(span, bytes_max).await,
        }
    }

    /// The run that begins with `span.first` and goes up as far as `span.last`,
    /// `bytes_max` or what is held allow. At least one event.
    pub async fn range_up(&self, span: Span, bytes_max: usize) -> Result<Run, ArchiveError> {
        let Some(run) = self.shared.recent().range_up(span, bytes_max) else {
            return self.shared.archive.range_up(span, bytes_max).await;
        };
        Ok(run)
    }

    /// The archive, for figures.
    pub fn archive(&self) -> &Archive {
        &self.shared.archive
    }

    /// Archives all that is in memory, as far as the disk allows, and stops.
    pub async fn close(&self) {
        let tasks =
            std::mem::take(&mut *self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        while let Ok(true) = self.shared.feed_some().await {}
        self.shared.archive.close().await;
    }
}

impl HistoryShared {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        // It is changed in one piece or not at all.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until memory is below its cap again; see the file's promise.
    async fn wait_for_room(&self) {
        let mut durable = self.archive.durable();
        loop {
            let reached = *durable.borrow_and_update();
            if !self.recent().evict(&self.options, reached) {
                return;
            }
            // One wait for each place that the archive got stuck at, not for
            // each command that comes meanwhile.
            if !self.recent().is_stuck(reached) {
                let moves = durable.wait_for(|durable| *durable > reached);
                match timeout(self.options.stall, moves).await {
                    Ok(Ok(_)) => continue,
                    Ok(Err(_closed)) => return,
                    Err(_stalled) if !self.source.has_peers() => continue,
                    Err(_stalled) => tracing::error!(
                        durable = reached.0,
                        "the archive does not move: events are let go unarchived"
                    ),
                }
            }
            self.recent().shed(&self.options, reached);
            return;
        }
    }
}
