//! The state that a conversion builds: rows, and one event for each change,
//! counted and chained from the first revision on.

use crate::machine::draft::append_event;
use crate::machine::{Action, ClusterMs, Event, Json, Meta, Revision, Row, Text, WallMs};
use crate::store::migration::model::Converted;

pub(super) struct StateBuilder {
    /// The position after the newest event. Its clock is the moment of the
    /// conversion all along.
    meta: Meta,
    rows: Vec<Row>,
    events: Vec<Event>,
}

impl StateBuilder {
    /// An empty state that is converted at `now`.
    pub(super) fn new(now: ClusterMs) -> StateBuilder {
        let meta = Meta { clock: now, ..Meta::default() };
        StateBuilder { meta, rows: Vec::new(), events: Vec::new() }
    }

    /// Sets the time of the events that follow to `at`, in Unix seconds, unless
    /// it is later already: the history's time never goes back.
    pub(super) fn advance_to(&mut self, at: f64) {
        self.meta.wall = self.meta.wall.max(WallMs(ms(at)));
    }

    /// The moment of the conversion.
    pub(super) fn now(&self) -> ClusterMs {
        self.meta.clock
    }

    /// The time of the events that follow.
    pub(super) fn wall(&self) -> WallMs {
        self.meta.wall
    }

    /// The revision of the newest event.
    pub(super) fn revision(&self) -> Revision {
        self.meta.revision
    }

    /// Adds the event of one change, and returns the revision that it made.
    pub(super) fn record(
        &mut self,
        action: Action,
        subject: Text,
        new: Option<Json>,
        previous: Option<Json>,
        agent_id: Option<&Text>,
    ) -> Revision {
        let actor = agent_id.cloned();
        let event = append_event(&mut self.meta, action, subject, new, previous, actor);
        self.meta.sets += u64::from(action == Action::StateSet);
        self.events.push(event);
        self.meta.revision
    }

    /// Adds a row in its final form.
    pub(super) fn put(&mut self, row: Row) {
        self.meta.count(&row);
        self.rows.push(row);
    }

    /// The state at the moment of the conversion.
    pub(super) fn finish(mut self) -> Converted {
        self.meta.wall = self.meta.wall.max(WallMs(self.meta.clock.0));
        Converted { meta: self.meta, rows: self.rows, events: self.events }
    }
}

/// Unix seconds as the nearest millisecond that every store can keep.
pub(super) fn ms(seconds: f64) -> u64 {
    // The cast gives zero for negative numbers and the maximum for too large ones.
    ((seconds * 1000.0).round() as u64).min(ClusterMs::LAST.0)
}
