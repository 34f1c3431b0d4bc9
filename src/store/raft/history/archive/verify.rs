//! Proving, once after each open and in the background, that what is held is
//! all there: sled may have lost any page while it opened, and said nothing.
//!
//! First all postings are read and their marks summed up by frame; then the
//! events, newest first, each frame linked to the one above it, and the sums
//! compared with those that the events call for. Postings that differ are
//! written anew, events that fail are let go.

use std::collections::HashMap;

use super::Span;
use super::format::{block_bounds, frame_of, span_of};
use super::posting::{FrameIndex, Term, decode_posting, posting_bounds};
use super::reader::BlockReader;
use super::worker::{ArchiveWorker, JobFailure, REMOVALS_MAX};
use crate::machine::Chain;
use crate::store::raft::host::DatabaseFault;

/// Postings read in one turn; frames are proven one a turn.
const POSTINGS_MAX: usize = 1_024;

/// How far the proof has come.
#[derive(Default)]
pub(super) struct VerifyProgress {
    step: VerifyStep,
    /// The sum of the marks found, by frame.
    found: HashMap<u64, u64>,
    /// The revision and the chain value that the next lower event must have.
    below: Option<(u64, Chain)>,
    /// History was dropped: go through the postings and blocks once more.
    removes: bool,
}

#[derive(Default)]
enum VerifyStep {
    /// Postings from this key on.
    Postings(Vec<u8>),
    /// Frames below this revision, this one included.
    Events(u64),
    /// Blocks before the first revision that is kept.
    Removal,
    #[default]
    Done,
}

impl VerifyProgress {
    pub(super) fn from_start() -> VerifyProgress {
        VerifyProgress {
            step: VerifyStep::Postings(posting_bounds().0),
            ..VerifyProgress::default()
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.step, VerifyStep::Done) && !self.removes
    }

    /// Whether the event at `last` leads to what was proven above it, if it is
    /// next to that at all.
    fn leads_up(&self, last: u64, chain: Chain) -> bool {
        self.below.is_none_or(|(below, expected)| below != last || expected == chain)
    }

    /// History before the first revision kept is to be removed.
    pub(super) fn start_removing(&mut self) {
        self.removes = true;
    }
}

impl ArchiveWorker {
    /// One turn.
    pub(super) fn prove_some(&mut self) -> Result<(), JobFailure> {
        match std::mem::take(&mut self.proof.step) {
            VerifyStep::Postings(from) => self.proof.step = self.sum_postings(from)?,
            VerifyStep::Events(last) => {
                let next = self.prove_frame_below(last)?;
                self.proof.step = next.map_or(VerifyStep::Removal, VerifyStep::Events);
            }
            VerifyStep::Removal => self.proof.step = self.remove_old_blocks()?,
            VerifyStep::Done if self.proof.removes => self.proof = VerifyProgress::from_start(),
            VerifyStep::Done => {}
        }
        Ok(())
    }

    fn sum_postings(&mut self, from: Vec<u8>) -> Result<VerifyStep, DatabaseFault> {
        let high = posting_bounds().1;
        let found = self.database()?.scan(&from, &high, POSTINGS_MAX)?;
        let Some(next) = found.last().map(|(key, _)| [key.as_slice(), &[0]].concat()) else {
            self.proof.below = None;
            let last = self.held.last();
            return Ok(last.map_or(VerifyStep::Removal, VerifyStep::Events));
        };
        let oldest = frame_of(self.bounds().0);
        let mut removals = Vec::new();
        for (key, value) in found {
            let Some((term, frame)) = Term::decode(&key) else { continue };
            if frame < oldest {
                removals.push(key);
                continue;
            }
            let sum = self.proof.found.entry(frame).or_default();
            // A broken posting adds nothing, so that its frame will differ.
            for revision in decode_posting(&key, &value).unwrap_or_default() {
                // One of an event that is not held is a hint to nothing.
                if self.held.contains(revision) {
                    *sum = sum.wrapping_add(term.mark(revision));
                }
            }
        }
        if !removals.is_empty() {
            self.commit(Vec::new(), removals, self.held.clone())?;
        }
        Ok(VerifyStep::Postings(next))
    }

    /// Proves the frame of the highest revision held that is at most `last`;
    /// returns where to go on.
    fn prove_frame_below(&mut self, last: u64) -> Result<Option<u64>, JobFailure> {
        let Some(&(_, top)) = self.held.within(0, last).last() else { return Ok(None) };
        let frame = frame_of(top);
        let first = span_of(frame).0;
        let next = first.checked_sub(1);
        if self.proven.contains(frame) {
            self.proof.below = None;
            return Ok(next);
        }
        let mut index = FrameIndex::default();
        for (a, b) in self.held.within(first, top).into_iter().rev() {
            let mut reader = BlockReader::new(self.database()?);
            let ends = reader.visit(Span::new(a, b), |event| index.add(event))?;
            match ends {
                Ok((before, chain)) if self.proof.leads_up(b, chain) => {
                    self.proof.below = a.checked_sub(1).map(|below| (below, before));
                }
                Ok(_) | Err(_) => {
                    self.let_go(b)?;
                    self.proof.below = None;
                    return Ok(next);
                }
            }
        }
        let found = self.proof.found.remove(&frame).unwrap_or_default();
        if index.marks(frame) == found {
            self.proven.insert(frame, frame);
        } else {
            tracing::warn!(frame, "postings were missing and are written anew");
            self.write_frame(frame, None)?;
        }
        Ok(next)
    }

    fn remove_old_blocks(&mut self) -> Result<VerifyStep, DatabaseFault> {
        let (first, _) = self.bounds();
        let (low, high) = block_bounds(0, first - 1);
        // The block that has the first event may begin before it.
        let keep = match self.database()?.last(&low, &high)? {
            Some((key, _)) => super::format::block_first(&key).unwrap_or(0),
            None => return Ok(VerifyStep::Done),
        };
        let high = block_bounds(0, keep.saturating_sub(1)).1;
        let found = self.database()?.scan(&low, &high, REMOVALS_MAX)?;
        if found.is_empty() || keep == 0 {
            return Ok(VerifyStep::Done);
        }
        let removals = found.into_iter().map(|(key, _)| key).collect();
        self.commit(Vec::new(), removals, self.held.clone())?;
        Ok(VerifyStep::Removal)
    }
}
