//! The window: the newest events of the history, in memory, indexed by subject,
//! actor and action. Keeping older events is an archive's job.
//!
//! As with the tables, a clone is almost free and never changes.

use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdSet, Vector};

use crate::machine::filter::{ChangeFilter, HistoryFilter};
use crate::machine::page::Page;
use crate::machine::{Action, Event, HistoryView, Revision, Text};

/// The memory that an event takes besides its text: its fields, their
/// allocations and three index entries.
const EVENT_OVERHEAD_BYTES: u64 = 320;

/// Events with consecutive revisions, oldest first, without gaps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The revision before that of the oldest event.
    floor: Revision,
    events: Vector<Arc<Event>>,
    index: OrdSet<(EventFacet, Revision)>,
    bytes: u64,
}

/// How much a window may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    pub events_max: usize,
    pub bytes_max: u64,
}

impl WindowLimits {
    /// The limits of a node whose older events are archived: enough for every
    /// waiting call and for looking at recent history, and little enough that a
    /// node needs no more than 300 MB.
    pub const ARCHIVED: WindowLimits = WindowLimits { events_max: 10_000, bytes_max: 64 << 20 };
}

/// A property by which events are found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventFacet {
    Subject(Text),
    Actor(Text),
    Action(Action),
}

impl Window {
    /// An empty window that expects the event after `revision` next.
    pub fn after(revision: Revision) -> Window {
        Window { floor: revision, ..Window::default() }
    }

    /// Adds the next event.
    ///
    /// # Panics
    ///
    /// If its revision does not follow the newest one: with a gap, questions about
    /// the history would get wrong answers.
    pub fn push(&mut self, event: Event) {
        let next = Revision(self.newest().0 + 1);
        assert!(event.revision == next, "history has a gap: {next} then {}", event.revision);
        self.bytes += size_bytes(&event);
        self.index.extend(facets(&event).map(|facet| (facet, event.revision)));
        self.events.push_back(Arc::new(event));
    }

    /// Drops every event up to and including `revision`.
    pub fn evict_to(&mut self, revision: Revision) {
        if revision >= self.newest() {
            // Removing them one by one would copy what other clones share, and
            // there may be very many.
            *self = Window::after(self.newest());
            return;
        }
        while self.floor < revision
            && let Some(event) = self.events.pop_front()
        {
            for facet in facets(&event) {
                self.index.remove(&(facet, event.revision));
            }
            self.floor = event.revision;
            self.bytes -= size_bytes(&event);
        }
    }

    /// Whether there is more than `limits` allow.
    pub fn exceeds(&self, limits: &WindowLimits) -> bool {
        self.events.len() > limits.events_max || self.bytes > limits.bytes_max
    }

    /// The revision up to which events must be evicted so that the rest keeps
    /// within `limits`, but at most `upto`. If all may stay, it is the revision
    /// before the oldest. The time it takes grows with the events to evict.
    pub fn surplus(&self, limits: &WindowLimits, upto: Revision) -> Revision {
        let (mut events, mut bytes) = (self.events.len(), self.bytes);
        let mut evict_to = self.floor;
        for event in self.events.iter().take_while(|event| event.revision <= upto) {
            if events <= limits.events_max && bytes <= limits.bytes_max {
                break;
            }
            events -= 1;
            bytes -= size_bytes(event);
            evict_to = event.revision;
        }
        evict_to
    }

    /// The revision of the oldest event, or of the next one if there is none.
    pub fn oldest(&self) -> Revision {
        Revision(self.floor.0 + 1)
    }

    /// The revision of the newest event, or the one before [`Window::oldest`] if
    /// there is none.
    pub fn newest(&self) -> Revision {
        Revision(self.floor.0 + self.events.len() as u64)
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// About how much memory the events take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The event with this revision, if it is here.
    pub fn get(&self, revision: Revision) -> Option<&Arc<Event>> {
        let position = revision.0.checked_sub(self.oldest().0)?;
        self.events.get(usize::try_from(position).ok()?)
    }

    /// Events after `revision`, oldest first.
    pub fn iter_after(&self, revision: Revision) -> impl Iterator<Item = &Arc<Event>> {
        let start = revision.0.saturating_sub(self.floor.0);
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.events.len());
        (start..self.events.len()).filter_map(|position| self.events.get(position))
    }

    fn found_by(
        &self,
        facet: EventFacet,
        after: Revision,
        before: Revision,
    ) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        let range = (Bound::Excluded((facet.clone(), after)), Bound::Excluded((facet, before)));
        // The map panics if a range ends before it starts.
        let range = (after < before).then_some(range);
        let found = range.into_iter().flat_map(|range| self.index.range(range));
        found.filter_map(|(_, revision)| self.get(*revision))
    }

    fn before(&self, revision: Revision) -> impl Iterator<Item = &Arc<Event>> {
        let end = revision.0.saturating_sub(self.oldest().0).min(self.events.len() as u64);
        (0..end as usize).rev().filter_map(|position| self.events.get(position))
    }
}

impl HistoryView for Window {
    type Error = Infallible;

    fn newest(
        &self,
        filter: &HistoryFilter,
        before: Option<Revision>,
        page: Page,
    ) -> Result<Vec<Event>, Infallible> {
        let before = before.unwrap_or(Revision(u64::MAX));
        let found = |facet| {
            let newest_first = self.found_by(facet, Revision::ZERO, before).rev();
            take(newest_first, |event| filter.admits(event), page)
        };
        Ok(match (&filter.subject, &filter.actor, filter.action) {
            (Some(subject), _, _) => found(EventFacet::Subject(subject.clone())),
            (None, Some(actor), _) => found(EventFacet::Actor(actor.clone())),
            (None, None, Some(action)) => found(EventFacet::Action(action)),
            (None, None, None) => take(self.before(before), |_| true, page),
        })
    }

    fn since(
        &self,
        filter: &ChangeFilter,
        after: Revision,
        page: Page,
    ) -> Result<Vec<Event>, Infallible> {
        let admits = |event: &Event| filter.admits(event);
        Ok(match filter {
            ChangeFilter::Key(key) => {
                let facet = EventFacet::Subject(key.clone());
                take(self.found_by(facet, after, Revision(u64::MAX)), admits, page)
            }
            ChangeFilter::Prefix(_) | ChangeFilter::Grants => {
                take(self.iter_after(after), admits, page)
            }
        })
    }
}

fn take<'a>(
    events: impl Iterator<Item = &'a Arc<Event>>,
    admits: impl Fn(&Event) -> bool,
    page: Page,
) -> Vec<Event> {
    let events = events.filter(|event| admits(event)).map(|event| Event::clone(event));
    let Ok(read) = page.read(events.map(Ok::<_, Infallible>), Event::bytes);
    read
}

fn facets(event: &Event) -> impl Iterator<Item = EventFacet> + use<> {
    let subject = EventFacet::Subject(event.subject.clone());
    let actor = event.actor.clone().map(EventFacet::Actor);
    [subject, EventFacet::Action(event.action)].into_iter().chain(actor)
}

fn size_bytes(event: &Event) -> u64 {
    let json = |json: &Option<crate::machine::Json>| json.as_ref().map_or(0, |j| j.as_str().len());
    let actor = event.actor.as_ref().map_or(0, |actor| actor.len());
    let text = event.subject.len() + actor + json(&event.new) + json(&event.previous);
    text as u64 + EVENT_OVERHEAD_BYTES
}
