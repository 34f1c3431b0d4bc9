//! What follows from the position of the replicated state for the events that are
//! held here.

use super::reader::BlockReader;
use super::worker::{ArchiveWorker, JobFailure};
use super::{RevisionSpan, StatePosition};
use crate::machine::meta::Anchor;
use crate::machine::{Chain, Revision};
use crate::store::raft::host::DatabaseFault;

impl ArchiveWorker {
    /// See [`super::Archive::adopt`].
    pub(super) fn adopt(&mut self, tip: StatePosition) -> Result<(), JobFailure> {
        self.flush()?;
        let StatePosition { revision, chain, ref anchor } = tip;
        let anchor = anchor.clone();
        self.tip = tip;
        self.drop_before(anchor)?;
        if self.held.contains(revision.0) {
            // Two histories diverge only once: if their newest events agree, all do.
            match BlockReader::new(self.database()?).event(revision.0)? {
                Some(event) if event.chain == chain => {}
                Some(_) => {
                    // It is another cluster's, or of a state that was never committed.
                    let reason = format!("the archive has another event {revision}");
                    return Err(DatabaseFault::Damaged(reason).into());
                }
                None => self.let_go(revision.0)?,
            }
        }
        self.publish();
        Ok(())
    }

    /// See [`super::Archive::drop_before`].
    pub(super) fn drop_before(&mut self, anchor: Anchor) -> Result<(), JobFailure> {
        self.flush()?;
        let last = anchor.revision.0;
        self.tip.anchor = anchor;
        let Some(&(lowest, _)) = self.held.ranges().first() else {
            self.publish();
            return Ok(());
        };
        if self.held.last().is_some_and(|held| held <= last) {
            self.empty()?;
        } else if lowest <= last {
            let mut held = self.held.clone();
            held.remove(0, last);
            self.commit(Vec::new(), Vec::new(), held)?;
            self.proof.start_removing();
        }
        self.publish();
        Ok(())
    }

    /// The newest range that is missing. Its upper end has a chain value that
    /// is known: the state's own, or the one that the event above it covers.
    pub(super) fn next_hole(&self) -> Option<RevisionSpan> {
        if self.tip.revision == Revision::ZERO {
            // It is not known yet where the history begins.
            return None;
        }
        let (first, last) = self.bounds();
        let (first, last) = self.held.highest_hole(first, last)?;
        Some(RevisionSpan::new(first, last))
    }

    /// The chain value at `revision`, where it is known without asking a peer.
    pub(super) fn chain_at(&self, revision: u64) -> Result<Option<Chain>, DatabaseFault> {
        if revision == self.tip.revision.0 {
            return Ok(Some(self.tip.chain));
        }
        if revision == self.tip.anchor.revision.0 {
            return Ok(Some(self.tip.anchor.chain));
        }
        let mut reader = BlockReader::new(self.database()?);
        if self.held.contains(revision) {
            return Ok(reader.event(revision)?.map(|event| event.chain));
        }
        if self.held.contains(revision + 1) {
            let above = reader.run(RevisionSpan::new(revision + 1, revision + 1))?;
            return Ok(above.ok().map(|run| run.before));
        }
        Ok(None)
    }
}
