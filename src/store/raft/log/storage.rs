//! The log as openraft sees it: requests go into the writer's queue, and the
//! index says at once what they lead to.

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::error::LogError;
use super::options::Options;
use super::queue::{LogRequest, LogShared, LogWork};
use super::reader::LogReader;
use super::recovery::{self, RecoveredLog};
use super::segment;
use super::segment_dir::SegmentDir;
use super::segment_pool::SegmentPool;
use super::stats::LogStats;
use super::writer::LogWriter;
use crate::store::raft::consensus::entry::{Entry, LogId, Vote, entry_bytes};
use crate::store::raft::consensus::types::TypeConfig;
use crate::store::raft::host::Environment;

/// The unit in which the size of the queue is measured; each request takes at
/// least one.
const PERMIT_BYTES: u64 = 256;
/// The largest append. Together with the rest of its group it fits one record.
const APPEND_BYTES_MAX: u64 = super::record::PAYLOAD_BYTES_MAX / 2;
/// The smallest segment: it has room for its header, a head and some records.
const SEGMENT_BYTES_MIN: u64 = 4096;

/// The log of a node. Clones are the same log. It ends when it is closed, or when
/// the last clone is dropped and everything in the queue is durable.
#[derive(Clone, Debug)]
pub struct LogStore {
    reader: LogReader,
    /// Bounded by `permits`.
    queue: mpsc::UnboundedSender<LogRequest>,
    permits: Arc<Semaphore>,
    permits_max: u32,
}

impl LogStore {
    /// Opens the log in `dir`, an existing folder that no other process uses.
    /// Blocks while it reads the log.
    ///
    /// # Errors
    /// Anything acknowledged is missing or changed, or the disk fails.
    pub fn open(
        environment: &Environment,
        dir: &Path,
        mut options: Options,
    ) -> Result<Self, LogError> {
        options.segment_bytes = segment::size(options.segment_bytes.max(SEGMENT_BYTES_MIN));
        let stats = LogStats::default();
        let segments = SegmentDir::new(&environment.disk, dir);
        let recovered = recovery::recover(&segments, &options, (environment.random)(), &stats)?;
        let RecoveredLog { state, index, active, at, encoder, spare } = recovered;
        for bytes in index.segments_bytes().chain(spare.iter().map(|spare| spare.bytes)) {
            stats.segment_came(bytes);
        }
        stats.appended(index.entries_bytes());
        let threads = &*environment.threads;
        let pool = SegmentPool::start(threads, &segments, spare, stats.clone())?;
        let shared = Arc::new(LogShared::new(index, stats));
        let (queue, requests) = mpsc::unbounded_channel();
        let permits_max = (options.queue_bytes / PERMIT_BYTES).clamp(1, u64::from(u32::MAX)) as u32;
        let reader = LogReader {
            environment: environment.clone(),
            shared: shared.clone(),
            read_bytes: options.read_bytes,
        };
        let unsaved = None;
        let writer =
            LogWriter { options, shared, requests, pool, active, at, encoder, state, unsaved };
        threads
            .spawn("log-writer", writer.run().boxed())
            .map_err(|source| LogError::io("start the writer of", dir, source))?;
        let permits = Arc::new(Semaphore::new(permits_max as usize));
        Ok(Self { reader, queue, permits, permits_max })
    }

    /// Ends the log once everything in the queue is durable. Then the folder can
    /// be opened again. Later requests are refused.
    ///
    /// # Errors
    /// The log had stopped at an error.
    pub async fn close(&self) -> Result<(), LogError> {
        let (done, closed) = oneshot::channel();
        let permit = self.permit(0).await;
        self.send(LogWork::Close { done }, 0, permit)?;
        closed.await.map_err(|_| LogError::Closed)?;
        self.reader.shared.check()
    }

    /// Figures about the log.
    pub fn stats(&self) -> LogStats {
        self.reader.shared.stats.clone()
    }

    /// Waits until the queue has room for a request of this size.
    async fn permit(&self, bytes: u64) -> OwnedSemaphorePermit {
        let units = (bytes / PERMIT_BYTES + 1).min(u64::from(self.permits_max)) as u32;
        let permit = self.permits.clone().acquire_many_owned(units).await;
        permit.expect("the semaphore is never closed")
    }

    fn send(
        &self,
        work: LogWork,
        bytes: u64,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), LogError> {
        let closed = |_| match self.reader.shared.check() {
            Ok(()) => LogError::Closed,
            Err(stopped) => stopped,
        };
        self.queue.send(LogRequest { work, bytes, permit }).map_err(closed)
    }

    async fn append_entries(
        &self,
        entries: Vec<Entry>,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), LogError> {
        let bytes = entries.iter().map(entry_bytes).sum();
        if bytes > APPEND_BYTES_MAX {
            return Err(LogError::Size { bytes, bytes_max: APPEND_BYTES_MAX });
        }
        let permit = self.permit(bytes).await;
        self.reader.shared.check()?;
        // Queue under the lock: the disk sees requests in the index's order.
        let mut index = self.reader.shared.index();
        let ticket = index.append(&entries)?;
        self.send(LogWork::Append { entries, ticket, callback }, bytes, permit)?;
        self.reader.shared.stats.appended(bytes);
        Ok(())
    }

    async fn truncate(&self, after: Option<LogId>) -> Result<(), LogError> {
        let permit = self.permit(0).await;
        self.reader.shared.check()?;
        let mut index = self.reader.shared.index();
        let Some(last) = index.last_after(after) else {
            return Ok(());
        };
        index.truncate(last);
        self.send(LogWork::Truncate { last }, 0, permit)
    }

    async fn purge_upto(&self, upto: LogId) -> Result<(), LogError> {
        let permit = self.permit(0).await;
        self.reader.shared.check()?;
        let mut index = self.reader.shared.index();
        if index.purged.is_some_and(|purged| upto.index <= purged.index) {
            return Ok(());
        }
        index.purge(upto);
        self.reader.shared.stats.purged();
        self.send(LogWork::Purge { upto }, 0, permit)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: std::ops::RangeBounds<u64> + Clone + std::fmt::Debug + OptionalSend,
    {
        self.reader.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.reader.limited_get_log_entries(start, end).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.reader.read_vote().await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        self.reader.shared.check()?;
        let index = self.reader.shared.index();
        Ok(LogState { last_purged_log_id: index.purged, last_log_id: index.last() })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let permit = self.permit(0).await;
        self.reader.shared.check()?;
        let (done, saved) = oneshot::channel();
        self.send(LogWork::Vote { vote: *vote, done }, 0, permit)?;
        Ok(saved.await.unwrap_or(Err(LogError::Closed))?)
    }

    /// Writes it with the next record, or when the log is idle. Nothing is lost
    /// without it: a restarted node would learn it again.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let permit = self.permit(0).await;
        self.reader.shared.check()?;
        let Some(committed) = committed else {
            return Ok(());
        };
        self.reader.shared.index().committed = Some(committed);
        Ok(self.send(LogWork::Committed(committed), 0, permit)?)
    }

    /// At most the last entry: a leader may announce a commit beyond it.
    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        self.reader.shared.check()?;
        let index = self.reader.shared.index();
        let last = index.last();
        Ok(match index.committed {
            Some(committed) if last.is_some_and(|last| committed.index <= last.index) => {
                Some(committed)
            }
            Some(_) => last,
            None => None,
        })
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter().collect();
        Ok(self.append_entries(entries, callback).await?)
    }

    async fn truncate_after(&mut self, after: Option<LogId>) -> Result<(), io::Error> {
        Ok(self.truncate(after).await?)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        Ok(self.purge_upto(upto).await?)
    }
}
