//! How far the proof of what was found at open has come.

use std::collections::HashMap;

use super::posting::posting_bounds;
use crate::machine::Chain;

/// How far the proof has come.
#[derive(Default)]
pub(super) struct VerifyProgress {
    pub(super) step: VerifyStep,
    /// The sum of the marks found, by frame.
    pub(super) found: HashMap<u64, u64>,
    /// The revision that comes next, and the chain value that it must have.
    pub(super) below: Option<(u64, Chain)>,
    /// Whether history was dropped, so that postings and blocks must be read again.
    pub(super) removes: bool,
}

#[derive(Default)]
pub(super) enum VerifyStep {
    /// Read the postings from this key on.
    Postings(Vec<u8>),
    /// Prove the frames up to the one of this revision.
    Events(u64),
    /// Remove the blocks before the first revision that is kept.
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

    /// Whether the event at `last` leads to what was proven above it. An event that
    /// is not next to that always does.
    pub(super) fn leads_up(&self, last: u64, chain: Chain) -> bool {
        self.below.is_none_or(|(below, expected)| below != last || expected == chain)
    }

    /// Removes history before the first revision that is kept.
    pub(super) fn start_removing(&mut self) {
        self.removes = true;
    }
}
