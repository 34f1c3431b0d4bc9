//! Opening a log: finds its segments, has `replay` read them, sees that none is
//! missing and none too many, and makes the end fit to go on from.
//!
//! Promise: an opened log holds all that was acknowledged, and all it holds is
//! durable; a log that cannot be so is refused with what is damaged.

use prost::Message;

use super::error::LogError;
use super::index::LogIndex;
use super::record::{RecordEncoder, RecordKind};
use super::replay::{Active, LogReplay};
use super::segment::{BODY, Segment};
use super::segment_dir::SegmentDir;
use super::state::LogState;
use super::stats::LogStats;
use super::tail::{self, SegmentTail};
use super::writer::append;
use super::{Options, SegmentNumber};
use crate::store::raft::host::OpenMode;

/// A log that is ready to be written.
pub(super) struct RecoveredLog {
    pub state: LogState,
    pub index: LogIndex,
    pub active: Segment,
    pub at: u64,
    pub encoder: RecordEncoder,
    /// The next segment, when it is there already.
    pub spare: Option<Segment>,
}

/// Reads the log of a folder, or begins one in an empty folder.
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
    // A name that a killed process left in memory only must not vanish later.
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
    // Now that what says so is durable.
    for number in numbers.into_iter().filter(|number| *number < oldest) {
        dir.remove(number)?;
    }
    dir.sync()?;
    Ok(recovered)
}

/// Earlier segments, with a gap behind them, were being deleted.
pub(super) fn first_of_last_run(numbers: &[SegmentNumber]) -> SegmentNumber {
    let gap = numbers.windows(2).rposition(|pair| pair[0].next() != pair[1]);
    numbers[gap.map_or(0, |gap| gap + 1)]
}

/// A segment behind the last one used: it must be blank, and is not needed.
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

/// Sees that no record is in a segment behind the last one used.
pub(super) fn must_be_blank(dir: &SegmentDir, number: SegmentNumber) -> Result<(), LogError> {
    let content = dir.read(number)?;
    let body = content.get(BODY as usize..).unwrap_or_default();
    if !tail::is_zero(body) {
        let reason = "there are bytes in a segment whose predecessor was still in use";
        return Err(LogError::damaged(&dir.path(number), BODY, reason));
    }
    Ok(())
}

/// Removes a torn record and makes what was found durable before anyone
/// acts on it.
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
    let Active { segment, at, tail } = active;
    if tail == SegmentTail::Torn {
        tracing::warn!(segment = %segment.path.display(), at, "dropped a record that was cut");
        segment.write(&vec![0; (segment.bytes - at) as usize], at)?;
        segment.sync()?;
    }
    // Write it again: a process that was killed may have left it in memory
    // only, and a sync that failed may have marked it clean there.
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
