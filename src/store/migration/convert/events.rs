//! The book that a conversion writes: rows, and one event for each change,
//! counted and chained from nothing on.

use super::ms;
use crate::machine::{Action, Chain, ClusterMs, Event, Json, Meta, Revision, Row, Text, WallMs};
use crate::store::migration::Converted;

pub(super) struct ConvertedEvents {
    /// Where the telling has got to; its clock is the conversion's all along.
    meta: Meta,
    rows: Vec<Row>,
    events: Vec<Event>,
}

impl ConvertedEvents {
    /// An empty book, written at `now`.
    pub(super) fn new(now: ClusterMs) -> ConvertedEvents {
        let meta = Meta { clock: now, ..Meta::default() };
        ConvertedEvents { meta, rows: Vec::new(), events: Vec::new() }
    }

    /// What comes next happened at `at`, in Unix seconds, or a little later:
    /// time never falls.
    pub(super) fn turn_to(&mut self, at: f64) {
        self.meta.wall = self.meta.wall.max(WallMs(ms(at)));
    }

    /// The moment of the conversion.
    pub(super) fn now(&self) -> ClusterMs {
        self.meta.clock
    }

    /// When that happened which is being told.
    pub(super) fn wall(&self) -> WallMs {
        self.meta.wall
    }

    /// The revision of what was told last.
    pub(super) fn revision(&self) -> Revision {
        self.meta.revision
    }

    /// Writes down one change of state and gives the revision that it made.
    pub(super) fn record(
        &mut self,
        action: Action,
        subject: Text,
        new: Option<Json>,
        previous: Option<Json>,
        agent_id: Option<&Text>,
    ) -> Revision {
        let revision = self.meta.revision.next();
        let event = Event {
            revision,
            at: self.meta.wall,
            actor: agent_id.cloned(),
            action,
            subject,
            new,
            previous,
            chain: Chain::default(),
        }
        .seal(self.meta.chain);
        self.meta.revision = revision;
        self.meta.chain = event.chain;
        self.meta.sets += u64::from(action == Action::StateSet);
        self.events.push(event);
        revision
    }

    /// A row as it is in the end.
    pub(super) fn put(&mut self, row: Row) {
        self.meta.count(&row);
        self.rows.push(row);
    }

    /// All of it, at the moment of the conversion.
    pub(super) fn close(mut self) -> Converted {
        self.meta.wall = self.meta.wall.max(WallMs(self.meta.clock.0));
        Converted { meta: self.meta, rows: self.rows, events: self.events }
    }
}
