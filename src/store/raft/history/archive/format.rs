//! The format of the archive, byte for byte: blocks of events, postings that find
//! them (see `posting`), and one record that says what is held. Nothing here does
//! I/O.
//!
//! - A **frame** is 256 consecutive revisions, aligned. Frames that are repaired or
//!   fetched again have the same keys as before.
//! - A **block** is a run of consecutive events of one frame that fits a
//!   record, with the chain value before it, so that a block alone proves its
//!   own links. An event larger than a record is a block of numbered parts.
//!
//! Each value begins with a checksum over key and value.

use bytes::Bytes;

use super::ranges::RevisionRanges;
use crate::codec::{decode_event, encode_event};
use crate::machine::{Chain, Event, Revision};
use crate::store::raft::host::DatabaseRecord;

/// The largest value. Damage was tested up to this size, and 16 of them, which
/// share a page, stay below sled's limit for a page.
pub(super) const VALUE_BYTES_MAX: usize = 4_096;

pub(super) const META_KEY: &[u8] = b"m";
const BLOCK_TAG: u8 = b'e';

const SUM_BYTES: usize = 4;
/// Parts, events, bytes of the body, chain value before.
const BLOCK_HEAD_BYTES: usize = 2 + 2 + 4 + 32;
const FIRST_BODY_BYTES: usize = VALUE_BYTES_MAX - SUM_BYTES - BLOCK_HEAD_BYTES;
const NEXT_BODY_BYTES: usize = VALUE_BYTES_MAX - SUM_BYTES;
const META_VERSION: u8 = 1;

/// The frame that a revision is in.
pub(super) fn frame_of(revision: u64) -> u64 {
    revision >> 8
}

/// The first and last revision of a frame.
pub(super) fn span_of(frame: u64) -> (u64, u64) {
    (frame << 8, frame << 8 | 0xff)
}

/// Puts our checksum, over key and payload, before the payload.
pub(super) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(SUM_BYTES + payload.len());
    value.extend(sum(key, payload).to_le_bytes());
    value.extend(payload);
    value
}

/// The payload, if the checksum is right.
pub(super) fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (stored, payload) = value.split_first_chunk::<SUM_BYTES>()?;
    (u32::from_le_bytes(*stored) == sum(key, payload)).then_some(payload)
}

fn sum(key: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), payload)
}

/// Takes a big-endian number off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// The key of one part of the block that begins at `first`.
pub(super) fn block_key(first: u64, part: u16) -> Vec<u8> {
    let mut key = vec![BLOCK_TAG];
    key.extend(first.to_be_bytes());
    key.extend(part.to_be_bytes());
    key
}

/// The first revision of the block that a key belongs to.
pub(super) fn block_first(key: &[u8]) -> Option<u64> {
    let mut rest = key.strip_prefix(&[BLOCK_TAG])?;
    let first = take(&mut rest)?;
    (rest.len() == 2).then(|| u64::from_be_bytes(first))
}

/// Consecutive events under one key, with what came before them.
pub(super) struct EventBlock {
    pub before: Chain,
    pub events: Vec<Event>,
}

/// A block that is being filled.
pub(super) struct OpenBlock {
    first: u64,
    before: Chain,
    count: u16,
    body: Vec<u8>,
}

impl OpenBlock {
    pub(super) fn new(first: u64, before: Chain) -> Self {
        OpenBlock { first, before, count: 0, body: Vec::new() }
    }

    /// Adds `event`, or returns false if it must go into another block. The caller
    /// never mixes events of two frames.
    pub(super) fn push(&mut self, event: &Event) -> bool {
        let bytes = encode_event(event);
        if self.count > 0 && self.body.len() + 4 + bytes.len() > FIRST_BODY_BYTES {
            return false;
        }
        self.body.extend((bytes.len() as u32).to_be_bytes());
        self.body.extend(bytes);
        self.count += 1;
        true
    }

    pub(super) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The records of the block; one, unless an event is larger than a record.
    pub(super) fn puts(&self) -> Vec<DatabaseRecord> {
        let (own, more) = self.body.split_at(self.body.len().min(FIRST_BODY_BYTES));
        let rest = more.chunks(NEXT_BODY_BYTES);
        let mut head = Vec::with_capacity(BLOCK_HEAD_BYTES + own.len());
        head.extend((1 + rest.len() as u16).to_be_bytes());
        head.extend(self.count.to_be_bytes());
        head.extend((self.body.len() as u32).to_be_bytes());
        head.extend(self.before.0);
        head.extend(own);
        std::iter::once(head)
            .chain(rest.map(<[u8]>::to_vec))
            .enumerate()
            .map(|(part, payload)| {
                let key = block_key(self.first, part as u16);
                let value = seal(&key, &payload);
                (key, value)
            })
            .collect()
    }
}

/// The first part of a block, and how many more there are.
pub(super) struct BlockHead {
    first: u64,
    pub parts: u16,
    count: u16,
    body_bytes: usize,
    before: Chain,
    body: Vec<u8>,
}

impl BlockHead {
    pub(super) fn decode(first: u64, value: &[u8]) -> Option<Self> {
        let mut rest = unseal(&block_key(first, 0), value)?;
        let parts = u16::from_be_bytes(take(&mut rest)?);
        let count = u16::from_be_bytes(take(&mut rest)?);
        let body_bytes = u32::from_be_bytes(take(&mut rest)?) as usize;
        let before = Chain(take(&mut rest)?);
        Some(BlockHead { first, parts, count, body_bytes, before, body: rest.to_vec() })
    }

    /// Adds the part that follows.
    pub(super) fn extend(&mut self, part: u16, value: &[u8]) -> Option<()> {
        self.body.extend(unseal(&block_key(self.first, part), value)?);
        Some(())
    }

    /// The events, once every part is there: numbered on from the first, each
    /// linked to the one before. Anything else is nothing.
    pub(super) fn finish(self) -> Option<EventBlock> {
        let mut rest = self.body.as_slice();
        if rest.len() != self.body_bytes || self.count == 0 {
            return None;
        }
        let mut events = Vec::with_capacity(self.count.into());
        let mut chain = self.before;
        for revision in (self.first..).take(self.count.into()) {
            let len = u32::from_be_bytes(take(&mut rest)?) as usize;
            let (bytes, after) = rest.split_at_checked(len)?;
            rest = after;
            let event = decode_event(&Bytes::copy_from_slice(bytes)).ok()?;
            if event.revision != Revision(revision) || !event.follows(chain) {
                return None;
            }
            chain = event.chain;
            events.push(event);
        }
        rest.is_empty().then_some(EventBlock { before: self.before, events })
    }
}

/// The bounds, both included, of all keys of blocks that begin in a range.
pub(super) fn block_bounds(first: u64, last: u64) -> (Vec<u8>, Vec<u8>) {
    (block_key(first, 0), block_key(last, u16::MAX))
}

/// The record of what is held.
pub(super) fn encode_meta(held: &RevisionRanges) -> DatabaseRecord {
    let mut payload = vec![META_VERSION];
    for &(first, last) in held.ranges() {
        payload.extend(first.to_be_bytes());
        payload.extend(last.to_be_bytes());
    }
    (META_KEY.to_vec(), seal(META_KEY, &payload))
}

/// What is held, if the record is whole and of a version that we know.
pub(super) fn decode_meta(value: &[u8]) -> Option<RevisionRanges> {
    let mut rest = unseal(META_KEY, value)?;
    let [version] = take(&mut rest)?;
    let mut held = RevisionRanges::default();
    while !rest.is_empty() {
        let first = u64::from_be_bytes(take(&mut rest)?);
        let last = u64::from_be_bytes(take(&mut rest)?);
        held.insert(first, last);
    }
    (version == META_VERSION).then_some(held)
}
