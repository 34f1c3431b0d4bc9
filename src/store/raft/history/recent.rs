//! What of the history is in memory, and what may leave it.

use super::archive::{Run, Span, Tip, size_of};
use super::{HistoryShared, Options};
use crate::machine::{Chain, Event, Meta, Revision};
use crate::store::window::Window;

/// What is in memory.
pub(super) struct Recent {
    pub(super) window: Window,
    /// The chain value before the oldest event.
    pub(super) floor_chain: Chain,
    /// Where the state stands.
    pub(super) tip: Tip,
    /// The tip came with a snapshot, or its anchor moved: the archive is to know.
    pub(super) moved: bool,
    /// What was durable when the archive was last found not to move.
    stuck: Option<Revision>,
}

impl Recent {
    pub(super) fn at(meta: &Meta) -> Recent {
        let tip = tip_of(meta);
        let window = Window::after(tip.revision);
        Recent { window, floor_chain: tip.chain, tip, moved: true, stuck: None }
    }

    /// Takes events; says whether there is more than the cap.
    pub(super) fn take(&mut self, events: Vec<Event>, meta: &Meta, shared: &HistoryShared) -> bool {
        events.into_iter().for_each(|event| self.window.push(event));
        // The first tip of a start without a snapshot is the beginning of time,
        // below which the archive would see no hole.
        let begun = self.tip.revision == Revision::ZERO && meta.revision > Revision::ZERO;
        self.moved |= begun || self.tip.anchor != meta.anchor;
        self.tip = tip_of(meta);
        let anchor = &meta.anchor;
        if self.window.oldest() <= anchor.revision {
            self.window.evict_to(anchor.revision);
            self.floor_chain = anchor.chain;
        }
        let durable = *shared.archive.durable().borrow();
        self.evict(&shared.options, durable)
    }

    /// Evicts what is too much and archived; says whether there is more than
    /// the cap still.
    pub(super) fn evict(&mut self, options: &Options, durable: Revision) -> bool {
        // No further than it is archived: looking at all that is not, with each
        // event, would take longer the further the archive is behind.
        let surplus = self.window.surplus(&options.keep, durable);
        self.evict_to(surplus);
        self.window.exceeds(&options.cap)
    }

    /// Whether the archive was found not to move, and still is where it was.
    pub(super) fn is_stuck(&self, durable: Revision) -> bool {
        self.stuck == Some(durable)
    }

    /// Evicts down to the cap, archived or not, until the archive moves.
    pub(super) fn shed(&mut self, options: &Options, durable: Revision) {
        self.stuck = Some(durable);
        let surplus = self.window.surplus(&options.cap, self.window.newest());
        self.evict_to(surplus);
    }

    fn evict_to(&mut self, revision: Revision) {
        if let Some(event) = self.window.get(revision) {
            self.floor_chain = event.chain;
            self.window.evict_to(revision);
        }
    }

    /// The run that ends with `span.last`, from memory, if that is there.
    pub(super) fn range(&self, span: Span, bytes_max: usize) -> Option<Run> {
        let oldest = self.window.oldest().max(span.first);
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut next = span.last;
        while next >= oldest && (events.is_empty() || bytes < bytes_max) {
            let event = self.window.get(next)?;
            bytes += size_of(event);
            events.push(Event::clone(event));
            next = Revision(next.0 - 1);
        }
        events.reverse();
        let before = self.chain_before(events.first()?.revision)?;
        Some(Run { before, events })
    }

    /// The run that begins with `span.first`, from memory, if that is there.
    pub(super) fn range_up(&self, span: Span, bytes_max: usize) -> Option<Run> {
        let before = self.chain_before(span.first)?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut next = span.first;
        while next <= span.last
            && (events.is_empty() || bytes < bytes_max)
            && let Some(event) = self.window.get(next)
        {
            bytes += size_of(event);
            events.push(Event::clone(event));
            next = next.next();
        }
        (!events.is_empty()).then_some(Run { before, events })
    }

    /// The chain value that the event at `revision` follows.
    pub(super) fn chain_before(&self, revision: Revision) -> Option<Chain> {
        if revision == self.window.oldest() {
            return Some(self.floor_chain);
        }
        self.window.get(Revision(revision.0.checked_sub(1)?)).map(|event| event.chain)
    }
}

fn tip_of(meta: &Meta) -> Tip {
    Tip { revision: meta.revision, chain: meta.chain, anchor: meta.anchor.clone() }
}
