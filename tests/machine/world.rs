//! A state, a clock and a sharp eye: every command that goes through a world
//! is checked against all invariants, and its reads are counted.

use std::collections::BTreeSet;

use mcp_state_sidecar::machine::command::{Idempotency, Origin};
use mcp_state_sidecar::machine::invariant::{self, Rows, Transition};
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;
use mcp_state_sidecar::store::window::Window;

use crate::counted::{Counted, READS_MAX};

/// When every world begins: a plausible wall clock.
pub const START_MS: u64 = 1_795_356_000_000;

pub struct World {
    pub tables: Tables,
    pub history: Window,
    pub now_ms: u64,
    /// What new run ids are made from; counts on.
    pub random: u64,
    /// Every action that ever happened, also before a reset.
    pub done: BTreeSet<Action>,
    rows: Rows,
}

impl Default for World {
    fn default() -> Self {
        World {
            tables: Tables::default(),
            history: Window::default(),
            now_ms: START_MS,
            random: 0,
            done: BTreeSet::new(),
            rows: Rows::default(),
        }
    }
}

impl World {
    /// Does `command` for an actor called `actor`.
    pub fn run(&mut self, command: Command) -> Reply {
        let envelope = self.envelope(command);
        self.step(&envelope)
    }

    /// Does what [`World::run`] does under an idempotency key.
    pub fn run_as(&mut self, key: &str, digest: u8, command: Command) -> Reply {
        let idempotency = Some(Idempotency { key: key.into(), digest: [digest; 32] });
        let envelope = Envelope { idempotency, ..self.envelope(command) };
        self.step(&envelope)
    }

    /// Does what [`World::run`] does as one attempt of a node.
    pub fn run_from(&mut self, origin: (u64, u64, u64), command: Command) -> Reply {
        let (session, sequence, lowest) = origin;
        let origin = Some(Origin { session, sequence, lowest });
        let envelope = Envelope { origin, ..self.envelope(command) };
        self.step(&envelope)
    }

    pub fn envelope(&mut self, command: Command) -> Envelope {
        self.random += 1;
        Envelope {
            origin: None,
            idempotency: None,
            actor: Some("actor".into()),
            random: self.random,
            wall: WallMs(self.now_ms),
            clock: ClusterMs(self.now_ms),
            limits: Default::default(),
            rules: Rules::Attempts,
            command,
        }
    }

    /// Decides, checks and commits.
    pub fn step(&mut self, envelope: &Envelope) -> Reply {
        let decision = self.decide(envelope);
        let after = self.rows.after(&decision);
        self.tables.apply(&decision);
        let rows = self.tables.rows().map(|row| Row::clone(row));
        let stored = Rows::collect(self.tables.meta().clone(), rows);
        assert_eq!(stored, after, "the tables hold something else after {:?}", envelope.command);
        let transition =
            Transition { before: &self.rows, envelope, decision: &decision, after: &after };
        let mut broken = invariant::check_transition(&transition);
        broken.extend(invariant::check_state(&after));
        assert!(broken.is_empty(), "{:?} broke {broken:#?}", envelope.command);
        self.tables.check_entries().unwrap();
        for event in decision.events {
            self.done.insert(event.action);
            self.history.push(event);
        }
        self.history.evict_to(decision.meta.anchor.revision);
        self.rows = after;
        decision.reply
    }

    fn decide(&self, envelope: &Envelope) -> Decision {
        let counted = Counted::new(&self.tables, footprint(envelope));
        let Ok(decision) = decide(envelope, &counted);
        let (reads, changes) = (counted.reads(), decision.changes.len());
        assert!(reads + changes < READS_MAX, "{:?}: {reads} reads", envelope.command);
        decision
    }

    /// The state, laid out.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    pub fn revision(&self) -> u64 {
        self.rows.meta.revision.0
    }

    pub fn clock(&self) -> ClusterMs {
        self.rows.meta.clock
    }

    pub fn advance_ms(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    pub fn ask(&self, question: Question) -> Answer {
        let Ok(answer) = match question.is_about_history() {
            true => answer_history(&question, &self.history, self.tables.meta()),
            false => answer(&question, &self.tables, ClusterMs(self.now_ms)),
        };
        answer
    }

    /// What the newest events did, oldest first.
    pub fn newest_actions(&self, count: usize) -> Vec<Action> {
        let newest = self.history.newest().0;
        let revisions = (newest + 1).saturating_sub(count as u64)..=newest;
        let events = revisions.filter_map(|revision| self.history.get(Revision(revision)));
        events.map(|event| event.action).collect()
    }

    /// The newest event.
    pub fn last_event(&self) -> Event {
        let newest = self.history.newest();
        Event::clone(self.history.get(newest).expect("something happened"))
    }
}
