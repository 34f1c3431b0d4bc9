//! Reads events: none comes out whose checksum, revision or links are wrong.

use super::database::ArchiveDatabase;
use super::format::{
    BlockHead, EventBlock, block_bounds, block_first, block_key, frame_of, span_of,
};
use super::{EventRun, RevisionSpan};
use crate::machine::{Chain, Event};
use crate::store::raft::host::DatabaseFault;

/// Reads blocks, and keeps the last one, because its other events are often wanted
/// next.
pub(super) struct BlockReader<'a> {
    database: &'a ArchiveDatabase,
    block: Option<EventBlock>,
}

impl<'a> BlockReader<'a> {
    pub(super) fn new(database: &'a ArchiveDatabase) -> Self {
        BlockReader { database, block: None }
    }

    /// The block that holds `revision`; none if it is missing or damaged.
    pub(super) fn block(&mut self, revision: u64) -> Result<Option<&EventBlock>, DatabaseFault> {
        let fits = self.block.as_ref().is_some_and(|block| position(block, revision).is_some());
        if !fits {
            self.block = self.load(revision)?;
        }
        Ok(self.block.as_ref().filter(|block| position(block, revision).is_some()))
    }

    /// The event; none if it is missing or damaged.
    pub(super) fn event(&mut self, revision: u64) -> Result<Option<Event>, DatabaseFault> {
        let block = self.block(revision)?;
        Ok(block.and_then(|block| Some(block.events[position(block, revision)?].clone())))
    }

    /// Shows all events of `span`, oldest first, with all links checked. Returns the
    /// chain values before the first and after the last, or the revision at which
    /// something is missing or damaged.
    pub(super) fn visit(
        &mut self,
        span: RevisionSpan,
        mut show: impl FnMut(&Event),
    ) -> Result<Result<(Chain, Chain), u64>, DatabaseFault> {
        let mut ends: Option<(Chain, Chain)> = None;
        let mut next = span.first.0;
        while next <= span.last.0 {
            let Some(block) = self.block(next)? else { return Ok(Err(next)) };
            let Some(at) = position(block, next) else { return Ok(Err(next)) };
            let before = if at == 0 { block.before } else { block.events[at - 1].chain };
            let (first, mut last) = ends.unwrap_or((before, before));
            if before != last {
                return Ok(Err(next));
            }
            for event in block.events[at..].iter().take((span.last.0 - next + 1) as usize) {
                show(event);
                last = event.chain;
            }
            ends = Some((first, last));
            next += (block.events.len() - at) as u64;
        }
        Ok(ends.ok_or(span.first.0))
    }

    /// All events of `span`; see [`BlockReader::visit`].
    pub(super) fn run(
        &mut self,
        span: RevisionSpan,
    ) -> Result<Result<EventRun, u64>, DatabaseFault> {
        let mut events = Vec::new();
        let ends = self.visit(span, |event| events.push(event.clone()))?;
        Ok(ends.map(|(before, _)| EventRun { before, events }))
    }

    fn load(&self, revision: u64) -> Result<Option<EventBlock>, DatabaseFault> {
        let (low, high) = block_bounds(span_of(frame_of(revision)).0, revision);
        let Some((key, mut value)) = self.database.last(&low, &high)? else { return Ok(None) };
        let Some(first) = block_first(&key) else { return Ok(None) };
        let first_key = block_key(first, 0);
        if key != first_key {
            match self.database.get(&first_key)? {
                Some(found) => value = found,
                None => return Ok(None),
            }
        }
        let Some(mut head) = BlockHead::decode(first, &value) else { return Ok(None) };
        for part in 1..head.parts {
            let Some(value) = self.database.get(&block_key(first, part))? else { return Ok(None) };
            if head.extend(part, &value).is_none() {
                return Ok(None);
            }
        }
        Ok(head.finish())
    }
}

fn position(block: &EventBlock, revision: u64) -> Option<usize> {
    let first = block.events.first()?.revision.0;
    let at = usize::try_from(revision.checked_sub(first)?).ok()?;
    (at < block.events.len()).then_some(at)
}
