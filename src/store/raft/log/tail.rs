//! Judges what follows the last valid record: nothing, a torn record, or damage.
//!
//! Promise: no acknowledged record is taken for a torn one. Only one record is
//! ever written without being synced, into zeros that were synced before. So
//! after a power loss each sector of it holds either its bytes or zeros, and
//! nothing follows. A bad record is torn only when a part of it within one
//! sector is zero and no record comes later; `record` sees to it that no whole
//! record has such a part. Everything else is damage, and the log is refused.

use super::numbers::RecordNumber;
use super::record::{ALIGN_BYTES, HEADER_BYTES, RecordHeader, SECTOR_BYTES};

/// What follows the last valid record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentTail {
    /// Zeros only.
    Clean,
    /// A record that power loss cut; it was never acknowledged.
    Torn,
}

/// Judges `content` from byte `at`, where the record `seq` after one with
/// checksum `chain` was expected and is not valid.
///
/// # Errors
/// Why this is damage.
pub(super) fn judge(
    content: &[u8],
    at: usize,
    seq: RecordNumber,
    chain: u32,
) -> Result<SegmentTail, String> {
    if is_zero(&content[at..]) {
        return Ok(SegmentTail::Clean);
    }
    match RecordHeader::parse(&content[at..]) {
        Ok(header) => judge_payload(content, at, &header, seq, chain),
        Err(reason) => judge_header(content, at, seq, reason),
    }
}

/// The record's header is whole: its extent is known.
fn judge_payload(
    content: &[u8],
    at: usize,
    header: &RecordHeader,
    seq: RecordNumber,
    chain: u32,
) -> Result<SegmentTail, String> {
    if header.seq != seq || header.chain != chain {
        let (found, expected) = (header.seq.0, seq.0);
        return Err(format!("record {found} does not follow record {}", expected - 1));
    }
    let end = at + header.extent();
    if end > content.len() {
        return Err("the record is longer than its file".into());
    }
    if !parts(at, end).any(|(from, to)| is_zero(&content[from..to])) {
        return Err("the record's checksum does not match".into());
    }
    if !is_zero(&content[end..]) {
        return Err("bytes follow a record that is not whole".into());
    }
    Ok(SegmentTail::Torn)
}

/// The record's header is not whole: it may be torn only at a sector's edge.
fn judge_header(
    content: &[u8],
    at: usize,
    seq: RecordNumber,
    reason: &str,
) -> Result<SegmentTail, String> {
    let end = (at + HEADER_BYTES).min(content.len());
    if !parts(at, end).any(|(from, to)| is_zero(&content[from..to])) {
        return Err(reason.into());
    }
    let later = (at..content.len())
        .step_by(ALIGN_BYTES)
        .filter_map(|at| RecordHeader::parse(&content[at..]).ok())
        .find(|header| header.seq > seq);
    match later {
        Some(header) => Err(format!("{reason}, but record {} follows", header.seq.0)),
        None => Ok(SegmentTail::Torn),
    }
}

/// What each sector holds of `from..to`.
fn parts(from: usize, to: usize) -> impl Iterator<Item = (usize, usize)> {
    let sectors = from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES);
    sectors.map(move |n| (from.max(n * SECTOR_BYTES), to.min((n + 1) * SECTOR_BYTES)))
}

/// Whether nothing was ever written here, or none of it arrived.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(SECTOR_BYTES).all(|part| part.iter().fold(0, |sum, byte| sum | byte) == 0)
}
