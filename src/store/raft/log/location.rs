//! Where an entry lies on disk.

use std::ops::Range;

use super::numbers::SegmentNumber;
use super::record::{self, HEADER_BYTES, RecordHeader};

/// The place of an entry, which is one operation of a commit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub segment: SegmentNumber,
    /// From the segment's start, in bytes.
    pub at: u64,
    pub bytes: u32,
    /// The checksum of the unmasked bytes.
    pub checksum: u32,
    /// The record's mask, rotated so that it fits the first byte.
    pub mask: u64,
}

/// The place of the operation in `range` of the payload of the record at `at`.
pub(super) fn locate(
    segment: SegmentNumber,
    at: u64,
    header: &RecordHeader,
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
