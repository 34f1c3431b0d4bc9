//! Opening a log: reads every segment, in order, checks every byte that was
//! acknowledged, and finds the end. What a bad end means is `tail`'s to judge.

use std::fs;
use std::path::Path;

use prost::Message;

use super::error::LogError;
use super::index::Index;
use super::payload::{self, Operation};
use super::record::{self, Encoder, HEADER_BYTES, Header, Kind};
use super::segment::{self, BODY, Segment};
use super::state::State;
use super::stats::LogStats;
use super::tail::{self, Tail};
use super::writer::{append, locate};
use super::{Options, SegmentNumber, Seq};
use crate::proto::record as message;
use crate::store::raft::entry::{LogId, Vote, decode_entry};

/// A log that is ready to be written.
pub(super) struct Recovered {
    pub state: State,
    pub index: Index,
    pub active: Segment,
    pub at: u64,
    pub encoder: Encoder,
    /// The next segment, when it is there already.
    pub spare: Option<Segment>,
}

/// Reads the log of a folder, or begins one in an empty folder.
///
/// # Errors
/// When anything acknowledged is missing or changed, or the disk fails.
pub(super) fn recover(
    dir: &Path,
    options: &Options,
    mask_seed: u64,
    stats: &LogStats,
) -> Result<Recovered, LogError> {
    let mut numbers = segment::list(dir)?;
    if numbers.is_empty() {
        if options.must_exist {
            let path = segment::path(dir, SegmentNumber::FIRST);
            let reason = "the folder has no segment, but this node had a log".into();
            return Err(LogError::Missing { path, reason });
        }
        Segment::create(dir, SegmentNumber::FIRST, options.segment_bytes)?;
        numbers.push(SegmentNumber::FIRST);
    }
    // A name that a killed process left in memory only must not vanish later.
    segment::sync_dir(dir)?;
    let first = first_of_last_run(&numbers);
    let mut replay = Replay::new(dir, first, options.cache_bytes);
    let mut spare = None;
    for number in numbers.iter().copied().filter(|number| *number >= first) {
        if replay.expects(number) {
            replay.segment(number)?;
        } else if let Some(found) = unused(dir, number)? {
            let next = number == replay.reached.next() && found.bytes == options.segment_bytes;
            match next {
                true => spare = Some(found),
                false => segment::remove(dir, number)?,
            }
        }
    }
    replay.check(first)?;
    for number in numbers.into_iter().filter(|number| *number < replay.state.oldest) {
        segment::remove(dir, number)?;
    }
    segment::sync_dir(dir)?;
    replay.finish(spare, mask_seed, stats)
}

/// Earlier segments, with a gap behind them, were being deleted.
fn first_of_last_run(numbers: &[SegmentNumber]) -> SegmentNumber {
    let gap = numbers.windows(2).rposition(|pair| pair[0].next() != pair[1]);
    numbers[gap.map_or(0, |gap| gap + 1)]
}

/// A segment behind the last one used: it must be blank, and is not needed.
fn unused(dir: &Path, number: SegmentNumber) -> Result<Option<Segment>, LogError> {
    let path = segment::path(dir, number);
    let content = fs::read(&path).map_err(|source| LogError::io("read", &path, source))?;
    let body = content.get(BODY as usize..).unwrap_or_default();
    if !tail::is_zero(body) {
        let reason = "there are bytes in a segment whose predecessor was still in use";
        return Err(LogError::damaged(&path, BODY, reason));
    }
    match Segment::open(dir, number) {
        Ok((segment, _)) => Ok(Some(segment)),
        Err(LogError::Damaged { .. }) => {
            segment::remove(dir, number)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Where reading stands.
struct Replay<'a> {
    dir: &'a Path,
    state: State,
    index: Index,
    /// The number of the next record and the checksum of the one before; none
    /// before the first head of a log whose beginning was purged.
    position: Option<(Seq, u32)>,
    /// The last segment read that was in use.
    reached: SegmentNumber,
    active: Option<Active>,
}

/// The segment where the log ends.
struct Active {
    segment: Segment,
    content: Vec<u8>,
    last: Option<(usize, usize)>,
    at: usize,
    tail: Tail,
}

impl<'a> Replay<'a> {
    fn new(dir: &'a Path, first: SegmentNumber, cache_bytes_max: u64) -> Self {
        Self {
            dir,
            state: State::new(first),
            index: Index::new(cache_bytes_max),
            position: (first == SegmentNumber::FIRST).then_some((Seq(1), 0)),
            reached: SegmentNumber(first.0 - 1),
            active: None,
        }
    }

    /// Whether records may be found in a segment: all before it are sealed.
    fn expects(&self, number: SegmentNumber) -> bool {
        self.active.is_none() && number == self.reached.next()
    }

    fn segment(&mut self, number: SegmentNumber) -> Result<(), LogError> {
        let (segment, content) = Segment::open(self.dir, number)?;
        self.index.add_segment(segment.clone());
        self.reached = number;
        let mut at = BODY as usize;
        let mut last = None;
        while let Some(header) = self.valid_record(&content, at) {
            let damaged = |reason| LogError::damaged(&segment.path, at as u64, reason);
            let end = at + header.extent();
            self.record(&segment, at, &header, &content[at..end]).map_err(damaged)?;
            self.position = Some((Seq(header.seq.0 + 1), header.checksum));
            last = Some((at, end));
            at = end;
            if header.kind == Kind::Seal {
                return Ok(());
            }
        }
        let damaged = |reason| LogError::damaged(&segment.path, at as u64, reason);
        let Some((seq, chain)) = self.position else {
            return Err(damaged("the oldest segment does not begin with a valid head".into()));
        };
        let tail = tail::judge(&content, at, seq, chain).map_err(damaged)?;
        self.active = Some(Active { segment, content, last, at, tail });
        Ok(())
    }

    /// The header of a whole record at `at` that follows the one before.
    fn valid_record(&self, content: &[u8], at: usize) -> Option<Header> {
        let header = Header::parse(content.get(at..)?).ok()?;
        let payload = content.get(at + HEADER_BYTES..at + header.extent())?;
        let follows = match self.position {
            Some(position) => position == (header.seq, header.chain),
            None => header.kind == Kind::Head,
        };
        (follows && crc32c::crc32c(payload) == header.payload_checksum).then_some(header)
    }

    fn record(
        &mut self,
        segment: &Segment,
        at: usize,
        header: &Header,
        bytes: &[u8],
    ) -> Result<(), String> {
        let mut payload = bytes[HEADER_BYTES..].to_vec();
        record::apply_mask(&mut payload, header.mask);
        payload.truncate(header.payload_bytes as usize);
        match (header.kind, at as u64 == BODY) {
            (Kind::Head, true) => self.head(segment.number, &payload),
            (Kind::Commit, false) => self.commit(segment.number, at, header, &payload),
            (Kind::Seal, false) => Ok(()),
            (kind, _) => Err(format!("a {kind:?} record cannot stand here")),
        }
    }

    fn head(&mut self, number: SegmentNumber, payload: &[u8]) -> Result<(), String> {
        let head = message::Head::decode(payload).map_err(|error| error.to_string())?;
        if head.segment != number.0 {
            return Err(format!("the head is that of segment {}", head.segment));
        }
        if self.position.is_none() {
            self.state = State::from_head(&head);
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
        header: &Header,
        payload: &[u8],
    ) -> Result<(), String> {
        for range in payload::operations(payload)? {
            match payload::decode(&payload[range.clone()])? {
                Operation::Append(entry) => {
                    let entry = decode_entry(entry).map_err(|error| error.to_string())?;
                    self.state.append(entry.log_id, entry.log_id, segment)?;
                    let location = locate(segment, at as u64, header, payload, &range);
                    self.index.restore(entry, location);
                }
                Operation::Vote(vote) => self.state.vote = Some(Vote::from(&vote)),
                Operation::Committed(id) => self.state.committed = Some(LogId::from(&id)),
                Operation::Truncate(truncate) => {
                    let last = truncate.last.as_ref().map(LogId::from);
                    self.state.truncate(last);
                    self.index.truncate(last);
                }
                Operation::Purge(purge) => {
                    let upto = purge.upto.ok_or("a purge without its end")?;
                    self.state.purge(LogId::from(&upto), SegmentNumber(purge.oldest));
                    self.index.purge(LogId::from(&upto));
                }
            }
        }
        Ok(())
    }

    /// Whether every segment that is needed was there.
    fn check(&self, first: SegmentNumber) -> Result<(), LogError> {
        let missing = |number, reason| {
            let path = segment::path(self.dir, number);
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

    /// Removes a torn record and makes what was found durable before anyone
    /// acts on it.
    fn finish(
        mut self,
        spare: Option<Segment>,
        mask_seed: u64,
        stats: &LogStats,
    ) -> Result<Recovered, LogError> {
        let (active, position) = match (self.active, self.position) {
            (Some(active), Some(position)) => (active, position),
            (Some(_), None) | (None, _) => unreachable!("`check` found where the log ends"),
        };
        let Active { segment, content, last, at, tail } = active;
        if tail == Tail::Torn {
            tracing::warn!(segment = %segment.path.display(), at, "dropped a record that was cut");
            segment.write(&vec![0; content.len() - at], at as u64)?;
        }
        // Write it again: a sync that failed in an earlier run may have left it
        // in memory only, marked clean.
        if let Some((from, to)) = last {
            segment.write(&content[from..to], from as u64)?;
        }
        segment.sync()?;
        let mut encoder = Encoder::new(position.0, position.1, mask_seed);
        let mut at = at as u64;
        if at == BODY {
            let head = self.state.head(segment.number).encode_to_vec();
            at += append(&mut encoder, &segment, at, Kind::Head, &head, stats)?.extent() as u64;
        }
        self.index.drop_segments(self.state.oldest);
        self.index.vote = self.state.vote;
        self.index.committed = self.state.committed;
        let (state, index) = (self.state, self.index);
        Ok(Recovered { state, index, active: segment, at, encoder, spare })
    }
}
