//! A whole state as a store exports it: every row and every event is checked against the
//! invariants and against what is expected.

use std::collections::BTreeMap;

use futures::StreamExt;
use mcp_state_sidecar::machine::group_counts::GroupCounts;
use mcp_state_sidecar::machine::invariant::{Rows, check_state};
use mcp_state_sidecar::machine::{Event, Revision, Row};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::export::Part;
use mcp_state_sidecar::store::memory::MemoryState;

use crate::stage::soon;

#[derive(Debug, PartialEq)]
pub struct Whole {
    rows: Rows,
    /// Oldest first.
    events: Vec<Event>,
}

impl Whole {
    /// What the model holds, but for what a node alone needs and what has happened lately,
    /// which exports leave out.
    pub fn of(state: &MemoryState) -> Whole {
        let rows = state.tables.rows().map(|row| Row::clone(row));
        let rows = Rows::collect(state.tables.meta().clone(), rows);
        let groups = GroupCounts::of(rows.runs.values()).0;
        let rows = Rows { origins: BTreeMap::new(), answers: BTreeMap::new(), groups, ..rows };
        let events = events_of(state, state.tables.meta().anchor.revision);
        Whole { rows, events }
    }

    /// What `store` hands out.
    pub async fn read(store: &dyn Store) -> Result<Whole, String> {
        let export = store.export(soon()).await.map_err(|error| error.to_string())?;
        let (mut rows, mut events) = (Vec::new(), Vec::new());
        let mut parts = export.parts;
        while let Some(some) = parts.next().await {
            for part in some.map_err(|error| error.to_string())? {
                match part {
                    Part::Row(row) => rows.push(row),
                    Part::Event(event) => events.push(event),
                }
            }
        }
        let count = rows.len();
        let mut rows = Rows::collect(export.meta, rows);
        // Exports leave the counts out, which follow from the runs.
        rows.groups = GroupCounts::of(rows.runs.values()).0;
        let kept = rows.keys.len() + rows.leases.len() + rows.runs.len() + rows.steps.len();
        let kept = kept + rows.sessions.len() + rows.schedules.len() + rows.pauses.len();
        let kept = kept + rows.cancellations.len() + rows.requests.len();
        match kept == count {
            true => Ok(Whole { rows, events }),
            false => Err(format!("{count} rows were handed out, of which {kept} are different")),
        }
    }

    /// Compares, and checks what must hold of every state by itself.
    pub fn check(&self, expected: &Whole) -> Result<(), String> {
        self.stands()?;
        if self.events != expected.events {
            let at = self.events.iter().zip(&expected.events).take_while(|(a, b)| a == b).count();
            let (ours, theirs) = (self.events.get(at), expected.events.get(at));
            return Err(format!("event {at} is {ours:?}, not {theirs:?}"));
        }
        match self.rows == expected.rows {
            true => Ok(()),
            false => Err(format!("the rows are {:?}, not {:?}", self.rows, expected.rows)),
        }
    }

    /// The invariants of a state, and the chain from its anchor to its head.
    fn stands(&self) -> Result<(), String> {
        let broken = check_state(&self.rows);
        if !broken.is_empty() {
            return Err(format!("broken: {broken:#?}"));
        }
        let meta = &self.rows.meta;
        let (mut revision, mut chain) = (meta.anchor.revision, meta.anchor.chain);
        for event in &self.events {
            if event.revision != revision.next() || !event.follows(chain) {
                return Err(format!("after {revision} the chain goes on with {event:?}"));
            }
            (revision, chain) = (event.revision, event.chain);
        }
        match (revision, chain) == (meta.revision, meta.chain) {
            true => Ok(()),
            false => {
                Err(format!("the chain ends at {revision}, the state is at {}", meta.revision))
            }
        }
    }
}

/// What a state's history has after `revision`, oldest first.
pub fn events_of(state: &MemoryState, revision: Revision) -> Vec<Event> {
    let revisions = revision.0 + 1..=state.history.newest().0;
    let events = revisions.filter_map(|revision| state.history.get(Revision(revision)));
    events.map(|event| Event::clone(event)).collect()
}
