//! A record of the log: a header of 40 bytes and a masked payload, padded to 8.
//!
//! Promise: a whole record never looks like a torn one. Within every sector it
//! touches, its part holds at least [`PART_BITS_MIN`] set bits, so neither a
//! zero sector nor one a flipped bit away from zero can belong to it. The
//! header begins and ends with fixed magic bytes, and the payload is masked until
//! this holds. `tail` judges what a bad record means.
//!
//! ```text
//!  0 start magic u16 | 2 kind u8 | 3 zero u8 | 4 payload length u32 | 8 seq u64
//! 16 mask u64 | 24 chain u32: the previous record's checksum
//! 28 payload checksum u32 | 32 checksum of bytes 0..32 u32 | 36 end magic u32
//! ```
//! Integers are little-endian, checksums CRC-32C. The chain ties each record to
//! all before it, so a missing, doubled or swapped record is noticed.

use super::numbers::RecordNumber;
use crate::machine::random::{SPLITMIX64_STEP, splitmix64};

/// The bytes of a header.
pub(super) const HEADER_BYTES: usize = 40;
/// What a disk writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
/// Records begin at multiples of this, so a sector cuts a header at most once.
pub(super) const ALIGN_BYTES: usize = 8;
/// Set bits by which each part of a record differs from a zero sector.
pub(super) const PART_BITS_MIN: u32 = 8;
/// The largest payload: keeps every length of a segment within 31 bits.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 1 << 30;

/// A random mask fails a part with probability 4e-11; eight in a row never.
const MASK_TRIES: usize = 8;
const START: u16 = 0xB5A7;
const END: u32 = 0xC3E9_5AD7;

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// The first of a segment: the state that earlier segments led to.
    Head = 1,
    /// One group commit.
    Commit = 2,
    /// The last of a segment: the next one exists and is used from here on.
    Seal = 3,
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub kind: RecordKind,
    pub seq: RecordNumber,
    /// XORed over the payload, 8 bytes at a time.
    pub mask: u64,
    /// The checksum of the record before.
    pub chain: u32,
    /// Without padding.
    pub payload_bytes: u32,
    /// The checksum of payload and padding as they lie on disk.
    pub payload_checksum: u32,
    /// The checksum of all the above, which the next record repeats as its chain.
    pub checksum: u32,
}

impl RecordHeader {
    /// The header at the start of `bytes`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.first_chunk().ok_or("the file ends within a record's header")?;
        if bytes[..2] != START.to_le_bytes() || bytes[36..] != END.to_le_bytes() {
            return Err("no record begins here");
        }
        let checksum = u32_at(bytes, 32);
        if checksum != crc32c::crc32c(&bytes[..32]) {
            return Err("the header's checksum does not match");
        }
        let kind = match bytes[2] {
            1 => RecordKind::Head,
            2 => RecordKind::Commit,
            3 => RecordKind::Seal,
            _ => return Err("the record is of an unknown kind"),
        };
        Ok(Self {
            kind,
            seq: RecordNumber(u64_at(bytes, 8)),
            mask: u64_at(bytes, 16),
            chain: u32_at(bytes, 24),
            payload_bytes: u32_at(bytes, 4),
            payload_checksum: u32_at(bytes, 28),
            checksum,
        })
    }

    /// The length of header, payload and padding, in bytes.
    pub fn extent(&self) -> usize {
        extent(self.payload_bytes as usize)
    }

    fn write(&mut self, out: &mut [u8]) {
        out[..2].copy_from_slice(&START.to_le_bytes());
        out[2] = self.kind as u8;
        out[3] = 0;
        out[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[8..16].copy_from_slice(&self.seq.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.mask.to_le_bytes());
        out[24..28].copy_from_slice(&self.chain.to_le_bytes());
        out[28..32].copy_from_slice(&self.payload_checksum.to_le_bytes());
        self.checksum = crc32c::crc32c(&out[..32]);
        out[32..36].copy_from_slice(&self.checksum.to_le_bytes());
        out[36..40].copy_from_slice(&END.to_le_bytes());
    }
}

/// The bytes that a record with such a payload takes on disk.
pub(super) fn extent(payload_bytes: usize) -> usize {
    HEADER_BYTES + payload_bytes.next_multiple_of(ALIGN_BYTES)
}

/// Turns payload bytes into the form they have on disk, or back. `bytes` begin at
/// a multiple of 8 from the payload's start, or `mask` is rotated to fit.
pub(super) fn apply_mask(bytes: &mut [u8], mask: u64) {
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let masked = u64_at(word, 0) ^ mask;
        word.copy_from_slice(&masked.to_le_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.to_le_bytes()) {
        *byte ^= mask;
    }
}

/// The mask as bytes at `offset` of the payload see it.
pub(super) fn rotate_mask(mask: u64, offset: usize) -> u64 {
    mask.rotate_right((offset % ALIGN_BYTES) as u32 * 8)
}

/// Encodes records one after another, each chained to the one before.
#[derive(Debug)]
pub(super) struct RecordEncoder {
    /// The next record's number.
    pub seq: RecordNumber,
    /// The last record's checksum.
    pub chain: u32,
    /// The state of the generator of masks. It must not be guessable: otherwise a
    /// client could send a payload that lies on disk as a record of its making.
    masks: u64,
}

impl RecordEncoder {
    pub fn new(seq: RecordNumber, chain: u32, mask_seed: u64) -> Self {
        Self { seq, chain, masks: mask_seed }
    }

    /// Encodes into `out` the record that will begin at byte `at` of its segment.
    /// Call [`RecordEncoder::written`] before the next one.
    pub fn encode(
        &mut self,
        kind: RecordKind,
        payload: &[u8],
        at: u64,
        out: &mut Vec<u8>,
    ) -> RecordHeader {
        assert_eq!(at % ALIGN_BYTES as u64, 0, "a record cannot begin at byte {at}");
        assert!(
            payload.len() as u64 <= PAYLOAD_BYTES_MAX,
            "a payload of {} bytes is over the limit of {PAYLOAD_BYTES_MAX}",
            payload.len(),
        );
        let first_boundary = SECTOR_BYTES - (at % SECTOR_BYTES as u64) as usize;
        let mut header = RecordHeader {
            kind,
            seq: self.seq,
            mask: 0,
            chain: self.chain,
            payload_bytes: payload.len() as u32,
            payload_checksum: 0,
            checksum: 0,
        };
        for _ in 0..MASK_TRIES {
            header.mask = self.next_mask();
            out.clear();
            out.resize(HEADER_BYTES, 0);
            out.extend_from_slice(payload);
            out.resize(header.extent(), 0);
            apply_mask(&mut out[HEADER_BYTES..], header.mask);
            if parts_differ_from_zero(out, first_boundary) {
                break;
            }
        }
        header.payload_checksum = crc32c::crc32c(&out[HEADER_BYTES..]);
        header.write(out);
        header
    }

    /// Notes that the record of this header was written; the next one follows it.
    pub fn written(&mut self, header: &RecordHeader) {
        self.seq = RecordNumber(header.seq.0 + 1);
        self.chain = header.checksum;
    }

    fn next_mask(&mut self) -> u64 {
        let mask = splitmix64(self.masks);
        self.masks = self.masks.wrapping_add(SPLITMIX64_STEP);
        mask
    }
}

/// Whether the first word of every part within the payload has enough set bits.
/// Parts that hold the header's beginning or end have its magics.
fn parts_differ_from_zero(record: &[u8], first_boundary: usize) -> bool {
    (first_boundary..record.len())
        .step_by(SECTOR_BYTES)
        .filter(|start| *start >= HEADER_BYTES)
        .all(|start| u64_at(record, start).count_ones() >= PART_BITS_MIN)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The set bits of each part of `record`, which begins at byte `at`.
    fn part_bits(record: &[u8], at: usize) -> Vec<u32> {
        let mut bits = vec![0; (at % SECTOR_BYTES + record.len()).div_ceil(SECTOR_BYTES)];
        for (n, byte) in record.iter().enumerate() {
            bits[(at % SECTOR_BYTES + n) / SECTOR_BYTES] += byte.count_ones();
        }
        bits
    }

    #[test]
    fn no_part_of_a_record_is_near_zero() {
        let mut encoder = RecordEncoder::new(RecordNumber(1), 0, 42);
        let mut out = Vec::new();
        for at in (512..1536).step_by(ALIGN_BYTES) {
            for payload in [vec![0; 5000], vec![0xFF; 777], vec![0; 0], vec![7; 481]] {
                let header = encoder.encode(RecordKind::Commit, &payload, at as u64, &mut out);
                encoder.written(&header);
                let bits = part_bits(&out, at);
                assert!(bits.iter().all(|bits| *bits >= PART_BITS_MIN), "at {at}: {bits:?}");
            }
        }
    }

    #[test]
    fn a_record_reads_back() {
        let mut encoder = RecordEncoder::new(RecordNumber(9), 77, 1);
        let (mut out, payload) = (Vec::new(), b"thirteen byte".to_vec());
        let header = encoder.encode(RecordKind::Commit, &payload, 512, &mut out);
        assert_eq!(RecordHeader::parse(&out), Ok(header));
        assert_eq!(crc32c::crc32c(&out[HEADER_BYTES..]), header.payload_checksum);
        let mut tail = out[HEADER_BYTES + 3..HEADER_BYTES + 13].to_vec();
        apply_mask(&mut tail, rotate_mask(header.mask, 3));
        assert_eq!(tail, payload[3..]);
    }

    #[test]
    fn a_part_one_flip_from_zero_is_masked_anew() {
        let mut record = vec![0xFF; 1000];
        assert!(parts_differ_from_zero(&record, 488));
        record[488..1000].fill(0);
        for bits in 0..PART_BITS_MIN {
            record[488] = (1_u32.wrapping_shl(bits) - 1) as u8;
            assert!(!parts_differ_from_zero(&record, 488), "{bits} bits are too few");
        }
    }
}
