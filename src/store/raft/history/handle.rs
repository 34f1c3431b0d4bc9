//! The handle to a node's history: the state machine appends events here, and
//! questions about the history are answered here.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer;
use super::archive::{Archive, ArchiveError, EventRun, RevisionSpan};
use super::options::Options;
use super::recent::RecentEvents;
use super::shared::HistoryShared;
use super::source::{HistorySource, PeerQuestion};
use super::tasks::{ARCHIVE_RETRY_INTERVAL, archive_events, fill_holes};
use crate::machine::{Answer, Event, Meta, Question, Revision};
use crate::store::StoreError;

/// How long the archive may take to answer before a peer is asked, and the peer
/// before the archive is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a question waits after neither the archive nor the peer could answer
/// it. Meanwhile the archive may have verified or fetched the range.
const ANSWER_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The history of one node. Clones share it.
#[derive(Clone)]
pub struct History {
    shared: Arc<HistoryShared>,
}

impl History {
    /// Combines an archive with the state as it is when the node starts. The tasks
    /// run on the current runtime until [`History::close`].
    pub fn start(
        archive: Archive,
        source: Arc<dyn HistorySource>,
        meta: &Meta,
        options: Options,
    ) -> History {
        let shared = Arc::new(HistoryShared::new(archive, source, meta, options));
        let tasks = [
            tokio::spawn(archive_events(shared.clone())),
            tokio::spawn(fill_holes(shared.clone())),
        ];
        shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
        History { shared }
    }

    /// Appends the events of a decision, with the position of the state after it.
    /// Returns at once unless memory is full of events that are not archived.
    pub async fn push(&self, events: Vec<Event>, meta: &Meta) {
        let durable = *self.shared.archive.durable().borrow();
        let is_full = self.shared.recent().push(events, meta, &self.shared.options, durable);
        self.shared.changed.notify_one();
        if is_full {
            self.shared.wait_for_room().await;
        }
    }

    /// Continues after the state of a snapshot, which has replaced the state before.
    /// The events that led to it are not in memory.
    pub fn continue_after(&self, meta: &Meta) {
        *self.shared.recent() = RecentEvents::after(meta);
        self.shared.changed.notify_one();
    }

    /// Returns once the events up to `revision` that this node had in memory are in
    /// its archive, on disk. Until then the log must keep them.
    pub async fn archived(&self, revision: Revision) -> Result<(), ArchiveError> {
        let shared = &self.shared;
        loop {
            let in_memory = shared.recent().window.oldest() <= revision;
            if !in_memory || *shared.archive.durable().borrow() >= revision {
                return Ok(());
            }
            match shared.archive_batch().await {
                Ok(true) => {}
                Ok(false) => drop(shared.archive.sync().await),
                Err(ArchiveError::Closed) => return Err(ArchiveError::Closed),
                Err(_) => sleep(ARCHIVE_RETRY_INTERVAL).await,
            }
        }
    }

    /// Answers a question about the history that leads up to `meta`. If this node
    /// lacks what is needed, it asks one peer after another until `deadline`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if nobody could answer in time.
    pub async fn answer(
        &self,
        question: &Question,
        meta: &Meta,
        deadline: Instant,
    ) -> Result<Answer, StoreError> {
        let mut attempt = 0;
        loop {
            let limit = deadline.min(Instant::now() + ANSWER_TIMEOUT);
            let missing = match timeout_at(limit, self.answer_locally(question, meta)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(missing)) => missing.to_string(),
                Err(_late) => "the archive does not answer in time".to_owned(),
            };
            let source = &self.shared.source;
            let limit = deadline.min(Instant::now() + ANSWER_TIMEOUT);
            let asked = source.ask(answer::question_for_peer(question, meta), attempt);
            if let Ok(Ok(answer)) = timeout_at(limit, asked).await
                && let Some(answer) = answer::check_peer_answer(question, answer, meta)
            {
                return Ok(answer);
            }
            attempt += 1;
            if Instant::now() + ANSWER_RETRY_INTERVAL >= deadline {
                return Err(StoreError::Unavailable(missing));
            }
            sleep(ANSWER_RETRY_INTERVAL).await;
        }
    }

    /// Answers a peer from what this node has. `meta` belongs to this node's state.
    ///
    /// # Errors
    /// [`ArchiveError::Refused`] if this node's history does not reach as far or
    /// begins elsewhere.
    pub async fn answer_peer(
        &self,
        asked: &PeerQuestion,
        meta: &Meta,
    ) -> Result<Answer, ArchiveError> {
        if meta.revision < asked.revision || meta.anchor.revision != asked.anchor {
            let here = format!("history here is of {} to {}", meta.anchor.revision, meta.revision);
            return Err(ArchiveError::Refused(here));
        }
        self.answer_locally(&asked.question, meta).await
    }

    /// Answers from what this node has, without asking a peer.
    pub async fn answer_locally(
        &self,
        question: &Question,
        meta: &Meta,
    ) -> Result<Answer, ArchiveError> {
        let window = self.shared.recent().window.clone();
        answer::answer(question, meta, &window, &self.shared.archive).await
    }

    /// The run that ends with `span.last` and goes back to `span.first`, or less far
    /// if `bytes_max` is reached or older events are missing. It has at least one
    /// event.
    pub async fn range(
        &self,
        span: RevisionSpan,
        bytes_max: usize,
    ) -> Result<EventRun, ArchiveError> {
        let recent = self.shared.recent().range(span, bytes_max);
        match recent {
            Some(run) => Ok(run),
            None => self.shared.archive.range(span, bytes_max).await,
        }
    }

    /// The run that begins with `span.first` and goes up to `span.last`, or less far
    /// if `bytes_max` is reached or newer events are missing. It has at least one
    /// event.
    pub async fn range_up(
        &self,
        span: RevisionSpan,
        bytes_max: usize,
    ) -> Result<EventRun, ArchiveError> {
        let recent = self.shared.recent().range_up(span, bytes_max);
        match recent {
            Some(run) => Ok(run),
            None => self.shared.archive.range_up(span, bytes_max).await,
        }
    }

    /// The archive, for metrics and for waiting until holes are filled.
    pub fn archive(&self) -> &Archive {
        &self.shared.archive
    }

    /// Archives all events in memory, as far as the disk allows, and stops.
    pub async fn close(&self) {
        let tasks =
            std::mem::take(&mut *self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        while let Ok(true) = self.shared.archive_batch().await {}
        self.shared.archive.close().await;
    }
}
