//! The writer's queue: requests in the order in which they were made, taken in
//! groups that share one record and one sync. The writer carries them out.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use openraft::storage::IOFlushed;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use super::error::LogError;
use super::index::{AppendTicket, LogIndex};
use super::stats::LogStats;
use crate::store::raft::consensus::entry::{Entry, LogId, Vote};
use crate::store::raft::consensus::types::TypeConfig;

/// A group that has reached this size takes no more requests: the first of them
/// should not wait while a record is written for many milliseconds.
const GROUP_BYTES_MAX: u64 = 4 << 20;

/// What the writer and all handles of a log share.
#[derive(Debug)]
pub(super) struct LogShared {
    index: Mutex<LogIndex>,
    /// The first error; the log does nothing after it.
    pub fault: OnceLock<Arc<LogError>>,
    pub stats: LogStats,
}

impl LogShared {
    pub fn new(index: LogIndex, stats: LogStats) -> Self {
        Self { index: Mutex::new(index), fault: OnceLock::new(), stats }
    }

    pub fn index(&self) -> MutexGuard<'_, LogIndex> {
        self.index.lock().expect("no thread panics while it holds the index")
    }

    /// # Errors
    /// When the log has stopped, with the cause.
    pub fn check(&self) -> Result<(), LogError> {
        match self.fault.get() {
            Some(cause) => Err(LogError::Stopped(cause.clone())),
            None => Ok(()),
        }
    }
}

/// A request in the writer's queue.
pub(super) struct LogRequest {
    pub work: LogWork,
    pub bytes: u64,
    /// Its share of the queue's size, given back once the request is answered.
    pub permit: OwnedSemaphorePermit,
}

/// What a request asks for. Truncates and purges are not answered: appends that
/// depend on them come later in the same queue.
pub(super) enum LogWork {
    Append { entries: Vec<Entry>, ticket: AppendTicket, callback: IOFlushed<TypeConfig> },
    Vote { vote: Vote, done: oneshot::Sender<Result<(), LogError>> },
    Committed(LogId),
    Truncate { last: Option<LogId> },
    Purge { upto: LogId },
    Close { done: oneshot::Sender<()> },
}

/// Requests that are written as one record.
#[derive(Default)]
pub(super) struct Group {
    pub requests: Vec<LogRequest>,
    /// The log is idle or ends, so the record should say how far it is committed.
    pub settle: bool,
    /// No group follows this one.
    pub ends: bool,
    /// Told when the log has ended, if somebody closed it.
    pub closed: Option<oneshot::Sender<()>>,
}

impl Group {
    /// Waits for a request and takes those behind it as well.
    ///
    /// If `idle_after` is given and no request comes for that long, the group has
    /// no requests.
    pub async fn gather(
        requests: &mut UnboundedReceiver<LogRequest>,
        idle_after: Option<Duration>,
    ) -> Self {
        let first = match idle_after {
            Some(time) => timeout(time, requests.recv()).await,
            None => Ok(requests.recv().await),
        };
        let mut group = Self::default();
        let mut bytes = 0;
        let mut next = first.unwrap_or_else(|_idle| {
            group.settle = true;
            None
        });
        if next.is_none() && !group.settle {
            (group.settle, group.ends) = (true, true);
        }
        while let Some(request) = next.take() {
            bytes += request.bytes;
            match request.work {
                LogWork::Close { done } => {
                    group.closed = Some(done);
                    group.settle = true;
                    group.ends = true;
                }
                LogWork::Append { .. }
                | LogWork::Vote { .. }
                | LogWork::Committed(_)
                | LogWork::Truncate { .. }
                | LogWork::Purge { .. } => group.requests.push(request),
            }
            if !group.ends && bytes < GROUP_BYTES_MAX {
                next = requests.try_recv().ok();
            }
        }
        group
    }

    /// Tells those who made the requests how it went.
    pub fn answer(self, result: &Result<(), LogError>) {
        for LogRequest { work, permit, .. } in self.requests {
            match work {
                LogWork::Append { callback, .. } => {
                    callback.io_completed(result.clone().map_err(Into::into));
                }
                LogWork::Vote { done, .. } => {
                    // The caller may have gone.
                    let _ = done.send(result.clone());
                }
                LogWork::Committed(_) | LogWork::Truncate { .. } | LogWork::Purge { .. } => {}
                LogWork::Close { .. } => {}
            }
            drop(permit);
        }
    }
}
