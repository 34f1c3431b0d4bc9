//! Reads segments in order and applies what their records say, checking every
//! byte that was acknowledged. `tail` judges what a bad end means.

use prost::Message;

use super::error::LogError;
use super::index::LogIndex;
use super::location::locate;
use super::numbers::{RecordNumber, SegmentNumber};
use super::payload::{self, LogOperation};
use super::record::{self, HEADER_BYTES, RecordHeader, RecordKind};
use super::segment::{BODY, Segment};
use super::segment_dir::SegmentDir;
use super::state::LogState;
use super::tail::{self, SegmentTail};
use crate::proto::record as message;
use crate::store::raft::consensus::entry::{LogId, Vote, decode_entry};
use crate::store::raft::host::OpenMode;

/// The log as far as it was read.
pub(super) struct LogReplay {
    dir: SegmentDir,
    /// Whether segments are opened for writing too.
    mode: OpenMode,
    pub state: LogState,
    pub index: LogIndex,
    /// The number of the next record and the checksum of the one before. It is not
    /// known before the first head of a log whose beginning was purged.
    pub position: Option<(RecordNumber, u32)>,
    /// The last segment that was in use and was read.
    pub reached: SegmentNumber,
    pub active: Option<ActiveSegment>,
    pub last: Option<LastRecord>,
}

/// The segment in which the log ends.
pub(super) struct ActiveSegment {
    pub segment: Segment,
    /// Where the next record begins.
    pub at: u64,
    pub tail: SegmentTail,
}

/// The last valid record, the only one that may not be durable.
pub(super) struct LastRecord {
    pub segment: Segment,
    pub at: u64,
    pub bytes: Vec<u8>,
}

impl LogReplay {
    /// Begins to read a log that starts in segment `first`.
    pub fn new(
        dir: &SegmentDir,
        first: SegmentNumber,
        cache_bytes_max: u64,
        mode: OpenMode,
    ) -> Self {
        Self {
            dir: dir.clone(),
            mode,
            state: LogState::new(first),
            index: LogIndex::new(cache_bytes_max),
            position: (first == SegmentNumber::FIRST).then_some((RecordNumber(1), 0)),
            reached: SegmentNumber(first.0 - 1),
            active: None,
            last: None,
        }
    }

    /// Whether a segment may hold records, because all before it are sealed.
    pub fn expects(&self, number: SegmentNumber) -> bool {
        self.active.is_none() && number == self.reached.next()
    }

    /// Reads a segment.
    ///
    /// # Errors
    /// Anything acknowledged in it is missing or changed.
    pub fn segment(&mut self, number: SegmentNumber) -> Result<(), LogError> {
        let (segment, content) = Segment::open(&self.dir, number, self.mode)?;
        self.index.add_segment(segment.clone());
        self.reached = number;
        let mut at = BODY as usize;
        let mut last = None;
        let mut sealed = false;
        while !sealed && let Some(header) = self.valid_record(&content, at) {
            let damaged = |reason| LogError::damaged(&segment.path, at as u64, reason);
            let end = at + header.extent();
            self.record(&segment, at, &header, &content[at..end]).map_err(damaged)?;
            self.position = Some((RecordNumber(header.seq.0 + 1), header.checksum));
            last = Some(at..end);
            sealed = header.kind == RecordKind::Seal;
            at = end;
        }
        if let Some(range) = last {
            self.last = Some(LastRecord {
                segment: segment.clone(),
                at: range.start as u64,
                bytes: content[range].to_vec(),
            });
        }
        if sealed {
            return Ok(());
        }
        let at_end = |reason| LogError::damaged(&segment.path, at as u64, reason);
        let (seq, chain) = self
            .position
            .ok_or("the oldest segment does not begin with a valid head")
            .map_err(|reason| at_end(reason.to_owned()))?;
        let tail = tail::judge(&content, at, seq, chain).map_err(at_end)?;
        let at = at as u64;
        self.active = Some(ActiveSegment { segment, at, tail });
        Ok(())
    }

    /// The header of the record at `at`, if the record is whole and follows the one
    /// before.
    fn valid_record(&self, content: &[u8], at: usize) -> Option<RecordHeader> {
        let header = RecordHeader::parse(content.get(at..)?).ok()?;
        let payload = content.get(at + HEADER_BYTES..at + header.extent())?;
        let follows = match self.position {
            Some(position) => position == (header.seq, header.chain),
            None => header.kind == RecordKind::Head,
        };
        (follows && crc32c::crc32c(payload) == header.payload_checksum).then_some(header)
    }

    fn record(
        &mut self,
        segment: &Segment,
        at: usize,
        header: &RecordHeader,
        bytes: &[u8],
    ) -> Result<(), String> {
        let mut payload = bytes[HEADER_BYTES..].to_vec();
        record::apply_mask(&mut payload, header.mask);
        payload.truncate(header.payload_bytes as usize);
        match (header.kind, at as u64 == BODY) {
            (RecordKind::Head, true) => self.head(segment.number, &payload),
            (RecordKind::Commit, false) => self.commit(segment.number, at, header, &payload),
            (RecordKind::Seal, false) => Ok(()),
            (kind, _) => Err(format!("a {kind:?} record cannot stand here")),
        }
    }

    fn head(&mut self, number: SegmentNumber, payload: &[u8]) -> Result<(), String> {
        let head = message::Head::decode(payload).map_err(|error| error.to_string())?;
        if head.segment != number.0 {
            return Err(format!("the head is that of segment {}", head.segment));
        }
        if self.position.is_none() {
            self.state = LogState::from_head(&head);
            self.index.begin(self.state.last, self.state.purged);
        } else if self.state.head(number) != head {
            return Err("the head does not say what earlier segments say".into());
        }
        Ok(())
    }

    fn commit(
        &mut self,
        segment: SegmentNumber,
        at: usize,
        header: &RecordHeader,
        payload: &[u8],
    ) -> Result<(), String> {
        for range in payload::operations(payload)? {
            match payload::decode(&payload[range.clone()])? {
                LogOperation::Append(entry) => {
                    let entry = decode_entry(entry).map_err(|error| error.to_string())?;
                    self.state.append(entry.log_id, entry.log_id, segment)?;
                    let location = locate(segment, at as u64, header, payload, &range);
                    self.index.restore(entry, location);
                }
                LogOperation::Vote(vote) => self.state.vote = Some(Vote::from(&vote)),
                LogOperation::Committed(id) => self.state.committed = Some(LogId::from(&id)),
                LogOperation::Truncate(truncate) => {
                    let last = truncate.last.as_ref().map(LogId::from);
                    self.state.truncate(last);
                    self.index.truncate(last);
                }
                LogOperation::Purge(purge) => {
                    let upto = purge.upto.ok_or("a purge without its end")?;
                    self.state.purge(LogId::from(&upto), SegmentNumber(purge.oldest));
                    self.index.purge(LogId::from(&upto));
                }
            }
        }
        Ok(())
    }

    /// Verifies that every segment that is needed was there.
    ///
    /// # Errors
    /// The segment that is missing.
    pub fn check(&self, first: SegmentNumber) -> Result<(), LogError> {
        let missing = |number, reason| {
            let path = self.dir.path(number);
            Err(LogError::Missing { path, reason })
        };
        if self.active.is_none() {
            let sealed = self.reached;
            return missing(sealed.next(), format!("segment {sealed} says that it follows"));
        }
        if self.state.oldest < first {
            let number = SegmentNumber(first.0 - 1);
            let oldest = self.state.oldest;
            return missing(number, format!("segments from {oldest} on are needed"));
        }
        if !self.index.is_complete() || self.index.last() != self.state.last {
            let number = SegmentNumber(first.0 - 1);
            return missing(number, format!("segment {first} continues its entries"));
        }
        Ok(())
    }
}
