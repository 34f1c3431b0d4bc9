//! The writer takes all requests that wait, writes them as one record, syncs it,
//! and answers them in the order in which they came.
//!
//! Promise: no request is answered before it is durable, and none succeeds after
//! an error. Requests never overtake one another: a vote and an append reach
//! the disk in the order in which they were made.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::error::LogError;
use super::location::{Location, locate};
use super::numbers::SegmentNumber;
use super::options::Options;
use super::payload::{self, LogOperation};
use super::queue::{Group, LogRequest, LogShared, LogWork};
use super::record::{self, HEADER_BYTES, RecordEncoder, RecordHeader, RecordKind};
use super::segment::{self, BODY, Segment};
use super::segment_pool::SegmentPool;
use super::state::LogState;
use super::stats::LogStats;
use crate::proto::record as message;
use crate::store::raft::consensus::entry::{Entry, LogId};

/// Told when the log has ended; nobody, where the last handle was dropped.
type Closed = Option<oneshot::Sender<()>>;

/// How long the log must be idle before a record of its own says how far the log
/// is committed; otherwise the next record does.
const COMMITTED_IDLE: Duration = Duration::from_millis(100);

/// The end of the log, where records are written.
pub(super) struct LogWriter {
    pub options: Options,
    pub shared: Arc<LogShared>,
    pub requests: UnboundedReceiver<LogRequest>,
    pub pool: SegmentPool,
    pub active: Segment,
    /// Where the next record begins in the active segment.
    pub at: u64,
    pub encoder: RecordEncoder,
    /// What the records up to the last one led to.
    pub state: LogState,
    /// How far the log is committed, if no record says so yet.
    pub unsaved: Option<LogId>,
}

/// The record of a group before it is written.
#[derive(Default)]
struct RecordDraft {
    payload: Vec<u8>,
    /// Where the entries of each append lie in the payload.
    appends: Vec<Vec<Range<usize>>>,
    /// The oldest segment needed after each purge.
    oldest: Vec<SegmentNumber>,
}

impl LogWriter {
    /// Serves requests until the log is closed or all its handles are gone. It
    /// blocks while the disk writes, so it has a thread of its own.
    pub async fn run(mut self) {
        self.pool.prepare(self.active.number.next(), self.options.segment_bytes).await;
        loop {
            let idle_after = self.unsaved.map(|_| COMMITTED_IDLE);
            let group = Group::gather(&mut self.requests, idle_after).await;
            if let Some(closed) = self.serve(group).await {
                // Whoever closed the log may open it again, so nothing may
                // touch its files by then.
                self.pool.close().await;
                if let Some(done) = closed {
                    let _ = done.send(());
                }
                return;
            }
        }
    }

    /// Serves one group; returns whom to tell if it is the last one.
    async fn serve(&mut self, mut group: Group) -> Option<Closed> {
        let closed = group.closed.take();
        let ends = group.ends;
        let result = self.commit(&group).await;
        if let Err(error) = &result {
            self.stop(error);
        }
        group.answer(&result);
        ends.then_some(closed)
    }

    /// Refuses everything from now on: after a failed write or sync nobody knows
    /// what the disk holds.
    fn stop(&mut self, error: &LogError) {
        self.unsaved = None;
        if self.shared.fault.set(Arc::new(error.clone())).is_ok() {
            tracing::error!(%error, "the log stopped");
        }
    }

    /// Makes a group durable, and then visible to readers.
    async fn commit(&mut self, group: &Group) -> Result<(), LogError> {
        self.shared.check()?;
        let mut draft = RecordDraft::default();
        for request in &group.requests {
            self.draft(&request.work, &mut draft);
        }
        let saved = self.unsaved.filter(|_| group.settle || !draft.payload.is_empty());
        if let Some(committed) = &saved {
            payload::push(&mut draft.payload, LogOperation::Committed(committed.into()));
        }
        if draft.payload.is_empty() {
            return Ok(());
        }
        self.make_room(draft.payload.len()).await?;
        let (at, header) = self.write(RecordKind::Commit, &draft.payload)?;
        if let Some(committed) = saved {
            self.state.committed = Some(committed);
            self.unsaved = None;
        }
        let dropped = self.apply(group, &draft, at, &header);
        self.pool.remove(dropped).await;
        Ok(())
    }

    /// Adds a request to the record of its group.
    fn draft(&mut self, work: &LogWork, draft: &mut RecordDraft) {
        let payload = &mut draft.payload;
        match work {
            LogWork::Append { entries, .. } => {
                let push =
                    |entry: &Entry| payload::push(payload, LogOperation::Append(entry.into()));
                draft.appends.push(entries.iter().map(push).collect());
            }
            LogWork::Vote { vote, .. } => {
                payload::push(payload, LogOperation::Vote(vote.into()));
            }
            LogWork::Committed(committed) => self.unsaved = Some(*committed),
            LogWork::Truncate { last } => {
                let last = last.as_ref().map(Into::into);
                payload::push(payload, LogOperation::Truncate(message::Truncate { last }));
            }
            LogWork::Purge { upto } => {
                let oldest = self.state.oldest_after(*upto, self.active.number);
                let purge = message::Purge { upto: Some(upto.into()), oldest: oldest.0 };
                payload::push(payload, LogOperation::Purge(purge));
                draft.oldest.push(oldest);
            }
            LogWork::Close { .. } => {}
        }
    }

    /// Makes what the record that was written at `at` says known to readers.
    /// Returns the segments that nothing needs any more.
    fn apply(
        &mut self,
        group: &Group,
        draft: &RecordDraft,
        at: u64,
        header: &RecordHeader,
    ) -> Vec<Segment> {
        let segment = self.active.number;
        let place = |range| locate(segment, at, header, &draft.payload, range);
        let places = draft.appends.iter().map(|ranges| ranges.iter().map(place).collect());
        let places: Vec<Vec<Location>> = places.collect();
        let mut appends = places.iter();
        let mut oldest = draft.oldest.iter();
        let mut index = self.shared.index();
        for request in &group.requests {
            match &request.work {
                LogWork::Append { entries, ticket, .. } => {
                    let places = appends.next().expect("each append was drafted");
                    if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
                        index.written(*ticket, first.log_id.index, places);
                        self.state
                            .append(first.log_id, last.log_id, segment)
                            .expect("the index took these entries in the same order");
                    }
                }
                LogWork::Vote { vote, .. } => {
                    index.vote = Some(*vote);
                    self.state.vote = Some(*vote);
                }
                LogWork::Truncate { last } => self.state.truncate(*last),
                LogWork::Purge { upto } => {
                    let oldest = oldest.next().expect("each purge was drafted");
                    self.state.purge(*upto, *oldest);
                }
                LogWork::Committed(_) | LogWork::Close { .. } => {}
            }
        }
        index.drop_segments(self.state.oldest)
    }

    /// Continues in the next segment if this one has no room for the payload and
    /// a seal behind it.
    async fn make_room(&mut self, payload_bytes: usize) -> Result<(), LogError> {
        let needed = (record::extent(payload_bytes) + HEADER_BYTES) as u64;
        if self.at + needed <= self.active.bytes {
            return Ok(());
        }
        let number = self.active.number.next();
        let head = self.state.head(number).encode_to_vec();
        let bytes = BODY + record::extent(head.len()) as u64 + needed;
        let bytes = segment::size(bytes.max(self.options.segment_bytes));
        let next = self.pool.take(number, bytes).await?;
        // Seal only now: a seal says that the next segment exists.
        self.write(RecordKind::Seal, &[])?;
        self.shared.index().add_segment(next.clone());
        self.active = next;
        self.at = BODY;
        self.write(RecordKind::Head, &head)?;
        self.pool.prepare(number.next(), self.options.segment_bytes).await;
        Ok(())
    }

    /// Writes one record and syncs it; returns where it begins.
    fn write(&mut self, kind: RecordKind, payload: &[u8]) -> Result<(u64, RecordHeader), LogError> {
        let at = self.at;
        let header =
            append(&mut self.encoder, &self.active, at, kind, payload, &self.shared.stats)?;
        self.at += header.extent() as u64;
        Ok((at, header))
    }
}

/// Writes a record at byte `at` of a segment and syncs it.
pub(super) fn append(
    encoder: &mut RecordEncoder,
    segment: &Segment,
    at: u64,
    kind: RecordKind,
    payload: &[u8],
    stats: &LogStats,
) -> Result<RecordHeader, LogError> {
    let mut bytes = Vec::new();
    let header = encoder.encode(kind, payload, at, &mut bytes);
    let began = Instant::now();
    segment.write(&bytes, at)?;
    segment.sync()?;
    stats.synced(began.elapsed());
    encoder.written(&header);
    Ok(header)
}
