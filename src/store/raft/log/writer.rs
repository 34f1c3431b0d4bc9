//! The one thread that writes: it takes all requests that wait, makes them one
//! record, syncs it, and answers them, in the order they came.
//!
//! Promise: nothing is answered before it is durable, and nothing at all after
//! an error. Requests never overtake one another: a vote and an append reach
//! the disk in the order in which they were made.

use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::LogError;
use super::index::{Index, Location, Ticket};
use super::janitor::Janitor;
use super::payload::{self, Operation};
use super::record::{self, Encoder, HEADER_BYTES, Header, Kind};
use super::segment::{BODY, Segment};
use super::state::State;
use super::stats::LogStats;
use super::{Options, SegmentNumber};
use crate::proto::record as message;
use crate::store::raft::entry::{Entry, LogId, Vote};
use crate::store::raft::types::TypeConfig;

/// A group commit takes no more requests at this size: those answered first
/// should not wait for a record of many milliseconds.
const GROUP_BYTES_MAX: u64 = 4 << 20;
/// An idle log saves how far it is committed after this long.
const COMMITTED_IDLE: Duration = Duration::from_millis(100);

/// What the log's threads and handles share.
#[derive(Debug)]
pub(super) struct Shared {
    index: Mutex<Index>,
    /// The first error; the log does nothing after it.
    pub fault: OnceLock<Arc<LogError>>,
    pub stats: LogStats,
}

impl Shared {
    pub fn new(index: Index, stats: LogStats) -> Self {
        Self { index: Mutex::new(index), fault: OnceLock::new(), stats }
    }

    pub fn index(&self) -> MutexGuard<'_, Index> {
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
pub(super) struct Request {
    pub work: Work,
    pub bytes: u64,
    /// Its share of the queue, given back once it is answered.
    pub permit: OwnedSemaphorePermit,
}

/// What is to be done. Truncates and purges are not answered: appends that
/// depend on them come later in the same queue.
pub(super) enum Work {
    Append { entries: Vec<Entry>, ticket: Ticket, callback: IOFlushed<TypeConfig> },
    Vote { vote: Vote, done: oneshot::Sender<Result<(), LogError>> },
    Committed(LogId),
    Truncate { last: Option<LogId> },
    Purge { upto: LogId },
    Close { done: oneshot::Sender<()> },
}

/// The end of the log, where records are written.
pub(super) struct Writer {
    pub options: Options,
    pub shared: Arc<Shared>,
    pub requests: Receiver<Request>,
    pub janitor: Janitor,
    pub active: Segment,
    /// Where the next record begins in the active segment.
    pub at: u64,
    pub encoder: Encoder,
    /// As of the last record.
    pub state: State,
    /// How far the log is committed, when no record says so yet.
    pub unsaved: Option<LogId>,
}

/// What waits for one record.
#[derive(Default)]
struct Group {
    requests: Vec<Request>,
    /// The log is idle or ends: say how far it is committed.
    settle: bool,
    /// Nothing follows.
    ends: bool,
    /// Who closed the log.
    closed: Option<oneshot::Sender<()>>,
}

/// The one record of a group, before it is written.
#[derive(Default)]
struct Draft {
    payload: Vec<u8>,
    /// Where the entries of each append lie in the payload.
    appends: Vec<Vec<Range<usize>>>,
    /// The oldest segment needed after each purge.
    oldest: Vec<SegmentNumber>,
}

impl Writer {
    /// Serves requests until the log is closed or all its handles are gone.
    pub fn run(mut self) {
        let mut closed;
        loop {
            let mut group = self.gather();
            closed = group.closed.take();
            let ends = group.ends;
            let result = self.commit(&group);
            if let Err(error) = &result
                && self.shared.fault.set(Arc::new(error.clone())).is_ok()
            {
                tracing::error!(%error, "the log stopped");
            }
            answer(group, &result);
            if ends {
                break;
            }
        }
        // The janitor ends first: who closed the log may open it again.
        drop(self);
        if let Some(done) = closed {
            let _ = done.send(());
        }
    }

    /// Waits for a request and takes those behind it.
    fn gather(&self) -> Group {
        let first = match self.unsaved {
            Some(_) => self.requests.recv_timeout(COMMITTED_IDLE),
            None => self.requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut group = Group::default();
        let mut bytes = 0;
        let mut next = match first {
            Ok(request) => Some(request),
            Err(error) => {
                group.settle = true;
                group.ends = error == RecvTimeoutError::Disconnected;
                None
            }
        };
        while let Some(request) = next.take() {
            bytes += request.bytes;
            match request.work {
                Work::Close { done } => {
                    group.closed = Some(done);
                    group.settle = true;
                    group.ends = true;
                }
                Work::Append { .. }
                | Work::Vote { .. }
                | Work::Committed(_)
                | Work::Truncate { .. }
                | Work::Purge { .. } => group.requests.push(request),
            }
            if !group.ends && bytes < GROUP_BYTES_MAX {
                next = self.requests.try_recv().ok();
            }
        }
        group
    }

    /// Makes a group durable and known to readers.
    fn commit(&mut self, group: &Group) -> Result<(), LogError> {
        self.shared.check()?;
        let mut draft = Draft::default();
        for request in &group.requests {
            self.draft(&request.work, &mut draft);
        }
        let saved = self.unsaved.filter(|_| group.settle || !draft.payload.is_empty());
        if let Some(committed) = &saved {
            payload::push(&mut draft.payload, Operation::Committed(committed.into()));
        }
        if draft.payload.is_empty() {
            return Ok(());
        }
        self.make_room(draft.payload.len())?;
        let (at, header) = self.write(Kind::Commit, &draft.payload)?;
        if let Some(committed) = saved {
            self.state.committed = Some(committed);
            self.unsaved = None;
        }
        self.apply(group, &draft, at, &header);
        Ok(())
    }

    /// Adds a request to the record of its group.
    fn draft(&mut self, work: &Work, draft: &mut Draft) {
        let payload = &mut draft.payload;
        match work {
            Work::Append { entries, .. } => {
                let push = |entry: &Entry| payload::push(payload, Operation::Append(entry.into()));
                draft.appends.push(entries.iter().map(push).collect());
            }
            Work::Vote { vote, .. } => {
                payload::push(payload, Operation::Vote(vote.into()));
            }
            Work::Committed(committed) => self.unsaved = Some(*committed),
            Work::Truncate { last } => {
                let last = last.as_ref().map(Into::into);
                payload::push(payload, Operation::Truncate(message::Truncate { last }));
            }
            Work::Purge { upto } => {
                let oldest = self.state.oldest_after(*upto, self.active.number);
                let purge = message::Purge { upto: Some(upto.into()), oldest: oldest.0 };
                payload::push(payload, Operation::Purge(purge));
                draft.oldest.push(oldest);
            }
            Work::Close { .. } => {}
        }
    }

    /// What the record that was written at `at` leads to.
    fn apply(&mut self, group: &Group, draft: &Draft, at: u64, header: &Header) {
        let segment = self.active.number;
        let mut appends = draft.appends.iter();
        let mut oldest = draft.oldest.iter();
        let mut index = self.shared.index();
        for request in &group.requests {
            match &request.work {
                Work::Append { entries, ticket, .. } => {
                    let ranges = appends.next().expect("each append was drafted");
                    if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
                        let place = |range| locate(segment, at, header, &draft.payload, range);
                        let places: Vec<Location> = ranges.iter().map(place).collect();
                        index.written(*ticket, first.log_id.index, &places);
                        self.state
                            .append(first.log_id, last.log_id, segment)
                            .expect("the index took these entries in the same order");
                    }
                }
                Work::Vote { vote, .. } => {
                    index.vote = Some(*vote);
                    self.state.vote = Some(*vote);
                }
                Work::Truncate { last } => self.state.truncate(*last),
                Work::Purge { upto } => {
                    let oldest = oldest.next().expect("each purge was drafted");
                    self.state.purge(*upto, *oldest);
                }
                Work::Committed(_) | Work::Close { .. } => {}
            }
        }
        let dropped = index.drop_segments(self.state.oldest);
        drop(index);
        self.janitor.remove(dropped);
    }

    /// Goes on in the next segment when this one has no room for the payload
    /// and a seal behind it.
    fn make_room(&mut self, payload_bytes: usize) -> Result<(), LogError> {
        let needed = (record::extent(payload_bytes) + HEADER_BYTES) as u64;
        if self.at + needed <= self.active.bytes {
            return Ok(());
        }
        let number = self.active.number.next();
        let head = self.state.head(number).encode_to_vec();
        let bytes = BODY + record::extent(head.len()) as u64 + needed;
        let next = self.janitor.take(number, bytes.max(self.options.segment_bytes))?;
        // Seal once the next is durable: a seal says that it must be there.
        self.write(Kind::Seal, &[])?;
        self.shared.index().add_segment(next.clone());
        self.active = next;
        self.at = BODY;
        self.write(Kind::Head, &head)?;
        self.janitor.prepare(number.next(), self.options.segment_bytes);
        Ok(())
    }

    /// Writes one record and syncs it; where it begins.
    fn write(&mut self, kind: Kind, payload: &[u8]) -> Result<(u64, Header), LogError> {
        let at = self.at;
        let header =
            append(&mut self.encoder, &self.active, at, kind, payload, &self.shared.stats)?;
        self.at += header.extent() as u64;
        Ok((at, header))
    }
}

/// Writes a record at byte `at` of a segment and syncs it.
pub(super) fn append(
    encoder: &mut Encoder,
    segment: &Segment,
    at: u64,
    kind: Kind,
    payload: &[u8],
    stats: &LogStats,
) -> Result<Header, LogError> {
    let mut bytes = Vec::new();
    let header = encoder.encode(kind, payload, at, &mut bytes);
    let began = Instant::now();
    segment.write(&bytes, at)?;
    segment.sync()?;
    stats.synced(began.elapsed());
    encoder.written(&header);
    Ok(header)
}

/// Where an operation of the record at `at` rests.
pub(super) fn locate(
    segment: SegmentNumber,
    at: u64,
    header: &Header,
    payload: &[u8],
    range: &Range<usize>,
) -> Location {
    Location {
        segment,
        at: at + (HEADER_BYTES + range.start) as u64,
        bytes: range.len() as u32,
        checksum: crc32c::crc32c(&payload[range.clone()]),
        mask: record::rotate_mask(header.mask, range.start),
    }
}

/// Tells each request of a group how it went.
fn answer(group: Group, result: &Result<(), LogError>) {
    for Request { work, permit, .. } in group.requests {
        match work {
            Work::Append { callback, .. } => {
                callback.io_completed(result.clone().map_err(Into::into));
            }
            Work::Vote { done, .. } => {
                // Whoever asked may have gone.
                let _ = done.send(result.clone());
            }
            Work::Committed(_) | Work::Truncate { .. } | Work::Purge { .. } => {}
            Work::Close { .. } => {}
        }
        drop(permit);
    }
}
