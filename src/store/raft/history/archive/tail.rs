//! The end of the archive: events that are not written yet, and what is needed to
//! continue the frame that they are in.

use tokio::time::Instant;

use super::format::{OpenBlock, frame_of};
use super::posting::FrameIndex;
use crate::machine::{Chain, Event};
use crate::store::raft::host::DatabaseRecord;

/// Events of one frame, the newest, on their way to the disk.
pub(super) struct ArchiveTail {
    frame: u64,
    /// All events of the frame, written or not.
    index: FrameIndex,
    /// Rewritten with every batch until it is full.
    open: Option<OpenBlock>,
    open_changed: bool,
    closed: Vec<DatabaseRecord>,
    closed_bytes: usize,
    /// The first and last revision that is not written.
    waiting: Option<(u64, u64)>,
    since: Option<Instant>,
    last: u64,
    chain: Chain,
}

impl ArchiveTail {
    /// A tail behind the revision `last`. `index` has the events of its frame that
    /// are held already.
    pub(super) fn behind(last: u64, chain: Chain, frame: u64, index: FrameIndex) -> ArchiveTail {
        ArchiveTail {
            frame,
            index,
            open: None,
            open_changed: false,
            closed: Vec::new(),
            closed_bytes: 0,
            waiting: None,
            since: None,
            last,
            chain,
        }
    }

    pub(super) fn last(&self) -> (u64, Chain) {
        (self.last, self.chain)
    }

    pub(super) fn waiting(&self) -> Option<(u64, u64)> {
        self.waiting
    }

    /// When the oldest event that is not written yet came in.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        let open = self.open.as_ref().filter(|_| self.open_changed);
        self.closed_bytes + open.map_or(0, OpenBlock::body_bytes)
    }

    /// Adds the next event. The events that wait must be taken before the first
    /// event of another frame is added.
    pub(super) fn push(&mut self, event: &Event) {
        let revision = event.revision.0;
        if frame_of(revision) != self.frame {
            assert!(self.waiting.is_none(), "frame {} is not written yet", self.frame);
            self.frame = frame_of(revision);
            self.index = FrameIndex::default();
            self.open = None;
        }
        let before = self.chain;
        let open = self.open.get_or_insert_with(|| OpenBlock::new(revision, before));
        if !open.push(event) {
            let full = std::mem::replace(open, OpenBlock::new(revision, before));
            open.push(event);
            if self.open_changed {
                self.closed_bytes += full.body_bytes();
                self.closed.extend(full.puts());
            }
        }
        self.open_changed = true;
        self.index.add(event);
        let first = self.waiting.map_or(revision, |(first, _)| first);
        self.waiting = Some((first, revision));
        self.since.get_or_insert_with(Instant::now);
        (self.last, self.chain) = (revision, event.chain);
    }

    /// Takes all records that are to be written.
    pub(super) fn take(&mut self) -> Vec<DatabaseRecord> {
        let mut puts = std::mem::take(&mut self.closed);
        if std::mem::take(&mut self.open_changed) {
            puts.extend(self.open.iter().flat_map(OpenBlock::puts));
        }
        puts.extend(self.index.take_changed(self.frame));
        self.closed_bytes = 0;
        self.waiting = None;
        self.since = None;
        puts
    }

    /// Continues behind a gap, where `chain` is the value at `last`. The events that
    /// wait must be taken before.
    pub(super) fn jump(&mut self, last: u64, chain: Chain) {
        assert!(self.waiting.is_none(), "events before {last} are not written yet");
        self.open = None;
        (self.last, self.chain) = (last, chain);
    }
}
