//! Fills holes, and writes a whole frame anew.

use super::format::{OpenBlock, block_bounds, frame_of, span_of};
use super::posting::FrameIndex;
use super::reader::BlockReader;
use super::worker::{ArchiveWorker, JobFailure};
use super::{ArchiveError, EventRun, RevisionSpan};
use crate::store::raft::host::{DatabaseFault, DatabaseRecord};

impl ArchiveWorker {
    /// See [`super::Archive::fill`].
    pub(super) fn fill(&mut self, run: EventRun) -> Result<(), JobFailure> {
        self.flush()?;
        let hole = self.next_hole();
        let (Some(hole), Some(span)) = (hole, run.span()) else {
            return Err(refused("nothing is missing, or nothing was sent"));
        };
        if span.last != hole.last {
            return Err(refused(format!("{} is not the end of the hole", span.last)));
        }
        let Some(chain) = self.chain_at(hole.last.0)? else {
            // The event above the hole, which should tell, cannot be read.
            self.let_go(hole.last.0 + 1)?;
            return Err(refused("what is above the hole is damaged"));
        };
        if run.last_chain() != chain || !run.is_linked() {
            return Err(refused(format!("the run that ends at {} does not link up", span.last)));
        }
        let run = cut_below(run, hole.first.0);
        if span.first <= hole.first {
            self.meet_below(hole, &run)?;
        }
        self.write_run(run)?;
        self.publish();
        Ok(())
    }

    /// The event below the hole must lead to those that fill it.
    fn meet_below(&mut self, hole: RevisionSpan, run: &EventRun) -> Result<(), JobFailure> {
        let below = hole.first.0 - 1;
        if below == self.tip.anchor.revision.0 {
            if run.before != self.tip.anchor.chain {
                return Err(refused(format!("event {} does not follow the anchor", hole.first)));
            }
        } else if self.chain_at(below)? != Some(run.before) {
            // The upper end is proven, so the event that is held here is wrong.
            self.let_go(below)?;
        }
        Ok(())
    }

    /// Writes events that are proven, the upper frames first. If the node crashes
    /// half way, the rest of the hole still ends in a chain value that is known.
    fn write_run(&mut self, run: EventRun) -> Result<(), JobFailure> {
        let top = run.span().map_or(0, |span| frame_of(span.last.0));
        let mut rest = run;
        while let Some(last) = rest.events.last() {
            let frame = frame_of(last.revision.0);
            let at = rest.events.partition_point(|event| frame_of(event.revision.0) < frame);
            let events = rest.events.split_off(at);
            let part = EventRun { before: rest.last_chain(), events };
            self.write_frame(frame, Some(part))?;
        }
        if self.tail.as_ref().is_none_or(|tail| frame_of(tail.last().0) <= top) {
            self.load_tail()?;
        }
        Ok(())
    }

    /// Writes all postings of a frame, and the blocks of `more` in place of whatever
    /// has their keys. Returns the index of the frame. Held events of it that cannot
    /// be read are dropped. Nothing may wait in the tail.
    pub(super) fn write_frame(
        &mut self,
        frame: u64,
        more: Option<EventRun>,
    ) -> Result<FrameIndex, DatabaseFault> {
        let (first, last) = span_of(frame);
        let mut held = self.held.clone();
        let mut index = FrameIndex::default();
        // Event by event: a frame of large ones may not fit the memory.
        for (a, b) in self.held.within(first, last) {
            let mut reader = BlockReader::new(self.database()?);
            if let Err(revision) =
                reader.visit(RevisionSpan::new(a, b), |event| index.add(event))?
            {
                tracing::warn!(first = a, last = b, revision, "archived events do not read");
                held.remove(a, b);
            }
        }
        let (mut puts, mut gone) = (Vec::new(), Vec::new());
        if let Some((run, span)) = more.as_ref().and_then(|run| Some((run, run.span()?))) {
            held.insert(span.first.0, span.last.0);
            run.events.iter().for_each(|event| index.add(event));
            puts = blocks_of(run);
            let (low, high) = block_bounds(span.first.0, span.last.0);
            let found = self.database()?.scan(&low, &high, usize::MAX)?;
            gone.extend(found.into_iter().map(|(key, _)| key));
            gone.retain(|key| puts.iter().all(|(put, _)| put != key));
        }
        puts.extend(index.take_changed(frame));
        self.commit(puts, gone, held)?;
        self.proven.insert(frame, frame);
        Ok(index)
    }

    /// Drops the frame of `revision`, which failed its checks.
    pub(super) fn let_go(&mut self, revision: u64) -> Result<(), JobFailure> {
        self.flush()?;
        let (first, last) = span_of(frame_of(revision));
        tracing::warn!(first, last, revision, "archived events failed their checks");
        let mut held = self.held.clone();
        held.remove(first, last);
        self.commit(Vec::new(), Vec::new(), held)?;
        self.load_tail()?;
        self.publish();
        Ok(())
    }
}

fn refused(reason: impl Into<String>) -> JobFailure {
    ArchiveError::Refused(reason.into()).into()
}

/// Leaves out events before `first`.
fn cut_below(mut run: EventRun, first: u64) -> EventRun {
    let at = run.events.partition_point(|event| event.revision.0 < first);
    let rest = run.events.split_off(at);
    EventRun { before: run.last_chain(), events: rest }
}

/// The blocks of a run that is within one frame.
fn blocks_of(run: &EventRun) -> Vec<DatabaseRecord> {
    let mut puts = Vec::new();
    let mut before = run.before;
    let mut open: Option<OpenBlock> = None;
    for event in &run.events {
        let fresh = || OpenBlock::new(event.revision.0, before);
        let block = open.get_or_insert_with(fresh);
        if !block.push(event) {
            let full = std::mem::replace(block, fresh());
            block.push(event);
            puts.extend(full.puts());
        }
        before = event.chain;
    }
    puts.extend(open.iter().flat_map(OpenBlock::puts));
    puts
}
