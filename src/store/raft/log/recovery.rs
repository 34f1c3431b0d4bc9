//! Opens a log: finds its segments, replays them, verifies that none is missing
//! and none is left over, and prepares the end for new records.
//!
//! Promise: an opened log holds everything that was acknowledged, and everything
//! in it is durable. Otherwise opening fails and says what is damaged.

use prost::Message;

use super::error::LogError;
use super::index::LogIndex;
use super::numbers::SegmentNumber;
use super::options::Options;
use super::record::{RecordEncoder, RecordKind};
use super::replay::{ActiveSegment, LogReplay};
use super::segment::{BODY, Segment};
use super::segment_dir::SegmentDir;
use super::state::LogState;
use super::stats::LogStats;
use super::tail::{self, SegmentTail};
use super::writer::append;
use crate::store::raft::host::OpenMode;

/// A log to which records can be appended.
pub(super) struct RecoveredLog {
    pub state: LogState,
    pub index: LogIndex,
    pub active: Segment,
    pub at: u64,
    pub encoder: RecordEncoder,
    /// The next segment, if it exists already.
    pub spare: Option<Segment>,
}

/// Reads the log in a folder, or begins one in an empty folder.
///
/// # Errors
/// When anything acknowledged is missing or changed, or the disk fails.
pub(super) fn recover(
    dir: &SegmentDir,
    options: &Options,
    mask_seed: u64,
    stats: &LogStats,
) -> Result<RecoveredLog, LogError> {
    dir.remove_unfinished()?;
    let mut numbers = dir.list()?;
    if numbers.is_empty() {
        if options.must_exist {
            let path = dir.path(SegmentNumber::FIRST);
            let reason = "the folder has no segment, but this node had a log".into();
            return Err(LogError::Missing { path, reason });
        }
        Segment::create(dir, SegmentNumber::FIRST, options.segment_bytes)?;
        numbers.push(SegmentNumber::FIRST);
    }
    // A process that was killed may have left names in memory only, and they must
    // not vanish later.
    dir.sync()?;
    let first = first_of_last_run(&numbers);
    let mut replay = LogReplay::new(dir, first, options.cache_bytes, OpenMode::Write);
    let mut spare = None;
    for number in numbers.iter().copied().filter(|number| *number >= first) {
        if replay.expects(number) {
            replay.segment(number)?;
        } else if let Some(found) = unused(dir, number)? {
            let next = number == replay.reached.next() && found.bytes == options.segment_bytes;
            match next {
                true => spare = Some(found),
                false => dir.remove(number)?,
            }
        }
    }
    replay.check(first)?;
    let oldest = replay.state.oldest;
    let recovered = finish(replay, spare, mask_seed, stats)?;
    // Remove them only now that the record which says that they are not needed is
    // durable.
    for number in numbers.into_iter().filter(|number| *number < oldest) {
        dir.remove(number)?;
    }
    dir.sync()?;
    Ok(recovered)
}

/// The first segment behind the last gap. Segments before a gap were being
/// deleted.
pub(super) fn first_of_last_run(numbers: &[SegmentNumber]) -> SegmentNumber {
    let gap = numbers.windows(2).rposition(|pair| pair[0].next() != pair[1]);
    numbers[gap.map_or(0, |gap| gap + 1)]
}

/// Opens a segment behind the last one in use, which must be blank. It is removed
/// if it is not whole.
fn unused(dir: &SegmentDir, number: SegmentNumber) -> Result<Option<Segment>, LogError> {
    must_be_blank(dir, number)?;
    match Segment::open(dir, number, OpenMode::Write) {
        Ok((segment, _)) => Ok(Some(segment)),
        Err(LogError::Damaged { .. }) => {
            dir.remove(number)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Verifies that a segment behind the last one in use holds no record.
pub(super) fn must_be_blank(dir: &SegmentDir, number: SegmentNumber) -> Result<(), LogError> {
    let content = dir.read(number)?;
    let body = content.get(BODY as usize..).unwrap_or_default();
    if !tail::is_zero(body) {
        let reason = "there are bytes in a segment whose predecessor was still in use";
        return Err(LogError::damaged(&dir.path(number), BODY, reason));
    }
    Ok(())
}

/// Removes a torn record, and makes what was found durable before anyone acts on
/// it.
fn finish(
    mut replay: LogReplay,
    spare: Option<Segment>,
    mask_seed: u64,
    stats: &LogStats,
) -> Result<RecoveredLog, LogError> {
    let (active, position) = match (replay.active, replay.position) {
        (Some(active), Some(position)) => (active, position),
        (Some(_), None) | (None, _) => unreachable!("`check` found where the log ends"),
    };
    let ActiveSegment { segment, at, tail } = active;
    if tail == SegmentTail::Torn {
        tracing::warn!(segment = %segment.path.display(), at, "dropped a record that was cut");
        segment.write(&vec![0; (segment.bytes - at) as usize], at)?;
        segment.sync()?;
    }
    // Write the last record again: a process that was killed may have left it in
    // the page cache only, and a failed sync may have marked the page clean.
    if let Some(last) = replay.last {
        last.segment.write(&last.bytes, last.at)?;
        last.segment.sync()?;
    }
    let mut encoder = RecordEncoder::new(position.0, position.1, mask_seed);
    let mut at = at;
    if at == BODY {
        let head = replay.state.head(segment.number).encode_to_vec();
        at += append(&mut encoder, &segment, at, RecordKind::Head, &head, stats)?.extent() as u64;
    }
    replay.index.drop_segments(replay.state.oldest);
    replay.index.vote = replay.state.vote;
    replay.index.committed = replay.state.committed;
    let (state, index) = (replay.state, replay.index);
    Ok(RecoveredLog { state, index, active: segment, at, encoder, spare })
}
