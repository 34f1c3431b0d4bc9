//! The recent events, which are in memory, and which of them may leave it.

use super::archive::{EventRun, RevisionSpan, StatePosition, size_of};
use super::options::Options;
use crate::machine::{Chain, Event, Meta, Revision};
use crate::store::window::Window;

/// The events in memory, and the position of the state to which they lead.
pub(super) struct RecentEvents {
    pub window: Window,
    /// The chain value before the oldest event in memory.
    floor_chain: Chain,
    /// The position of the state.
    pub tip: StatePosition,
    /// The archive must learn the tip: a snapshot has set it, or its anchor moved.
    pub tip_changed: bool,
    /// The newest archived revision when the archive last made no progress.
    stuck_at: Option<Revision>,
}

impl RecentEvents {
    /// No events, after the state at `meta`.
    pub fn after(meta: &Meta) -> RecentEvents {
        let tip = tip_of(meta);
        let window = Window::after(tip.revision);
        let floor_chain = tip.chain;
        RecentEvents { window, floor_chain, tip, tip_changed: true, stuck_at: None }
    }

    /// Appends events. Returns whether memory holds more than the cap.
    pub fn push(
        &mut self,
        events: Vec<Event>,
        meta: &Meta,
        options: &Options,
        durable: Revision,
    ) -> bool {
        events.into_iter().for_each(|event| self.window.push(event));
        // A node that starts without a snapshot has its first tip at revision 0, and
        // the archive would see no hole before that.
        let is_first = self.tip.revision == Revision::ZERO && meta.revision > Revision::ZERO;
        self.tip_changed |= is_first || self.tip.anchor != meta.anchor;
        self.tip = tip_of(meta);
        let anchor = &meta.anchor;
        if self.window.oldest() <= anchor.revision {
            self.window.evict_to(anchor.revision);
            self.floor_chain = anchor.chain;
        }
        self.evict(options, durable)
    }

    /// Evicts archived events that exceed the usual limits. Returns whether memory
    /// still holds more than the cap.
    pub fn evict(&mut self, options: &Options, durable: Revision) -> bool {
        // Look no further than the archived events: if every event looked at all
        // that are not archived, a lagging archive would make applying ever slower.
        let surplus = self.window.surplus(&options.keep, durable);
        self.evict_to(surplus);
        self.window.exceeds(&options.cap)
    }

    /// Whether the archive made no progress at `durable` before.
    pub fn is_stuck(&self, durable: Revision) -> bool {
        self.stuck_at == Some(durable)
    }

    /// Evicts down to the cap, whether or not the events are archived.
    pub fn evict_unarchived(&mut self, options: &Options, durable: Revision) {
        self.stuck_at = Some(durable);
        let surplus = self.window.surplus(&options.cap, self.window.newest());
        self.evict_to(surplus);
    }

    fn evict_to(&mut self, revision: Revision) {
        if let Some(event) = self.window.get(revision) {
            self.floor_chain = event.chain;
            self.window.evict_to(revision);
        }
    }

    /// The run that ends with `span.last`, if that event is in memory.
    pub fn range(&self, span: RevisionSpan, bytes_max: usize) -> Option<EventRun> {
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
        Some(EventRun { before, events })
    }

    /// The run that begins with `span.first`, if that event is in memory.
    pub fn range_up(&self, span: RevisionSpan, bytes_max: usize) -> Option<EventRun> {
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
        (!events.is_empty()).then_some(EventRun { before, events })
    }

    /// The chain value before the event at `revision`.
    pub fn chain_before(&self, revision: Revision) -> Option<Chain> {
        if revision == self.window.oldest() {
            return Some(self.floor_chain);
        }
        self.window.get(Revision(revision.0.checked_sub(1)?)).map(|event| event.chain)
    }
}

fn tip_of(meta: &Meta) -> StatePosition {
    StatePosition { revision: meta.revision, chain: meta.chain, anchor: meta.anchor.clone() }
}
