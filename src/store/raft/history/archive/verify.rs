//! Proves in the background, once after each open, that everything that is held
//! is there: sled may have lost any page while it opened, without a sign of it.
//!
//! First all postings are read, and their marks are summed up by frame. Then the
//! events are read, newest first, each frame linked to the one above it, and the
//! sums are compared with those that the events call for. Postings that differ are
//! written anew, and events that fail are dropped.

use super::RevisionSpan;
use super::format::{block_bounds, frame_of, span_of};
use super::posting::{FrameIndex, Term, decode_posting, posting_bounds};
use super::reader::BlockReader;
use super::verify_progress::{VerifyProgress, VerifyStep};
use super::worker::{ArchiveWorker, JobFailure, REMOVALS_MAX};
use crate::store::raft::host::DatabaseFault;

/// How many postings are read in one turn. Frames are proven one in a turn.
const POSTINGS_MAX: usize = 1_024;

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
            // A damaged posting adds nothing, so that the sum of its frame differs.
            for revision in decode_posting(&key, &value).unwrap_or_default() {
                // Ignore entries of events that are not held.
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

    /// Proves the frame of the highest held revision up to `last`. Returns where to
    /// continue.
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
            let ends = reader.visit(RevisionSpan::new(a, b), |event| index.add(event))?;
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
