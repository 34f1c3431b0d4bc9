//! A made-up history, the same each time for a seed.

use mcp_state_sidecar::machine::meta::Anchor;
use mcp_state_sidecar::machine::value::{Json, WallMs};
use mcp_state_sidecar::machine::{Action, Chain, Event, Meta, Revision};
use mcp_state_sidecar::store::raft::history::archive::{EventRun, RevisionSpan, StatePosition};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// `SEED`, or one for this test; printed so that a failure can be repeated.
pub fn seed(test: &str) -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => 0x5eed,
    };
    println!("{test}: SEED={seed}");
    seed
}

/// What a history is made of.
#[derive(Clone, Copy)]
pub struct Plot {
    pub seed: u64,
    pub events: u64,
    pub keys: u64,
    /// One event of so many has a value up to this size.
    pub large: Option<(u64, usize)>,
}

/// A history from its first event on.
#[derive(Clone)]
pub struct Story {
    pub events: Vec<Event>,
}

impl Plot {
    /// The events, made up one by one.
    pub fn events(self) -> impl Iterator<Item = Event> {
        let mut rng = StdRng::seed_from_u64(self.seed);
        (1..=self.events).scan(Chain::default(), move |chain, revision| {
            let event = invent(&mut rng, self, revision).seal(*chain);
            *chain = event.chain;
            Some(event)
        })
    }
}

impl Story {
    pub fn write(plot: Plot) -> Story {
        Story { events: plot.events().collect() }
    }

    /// The state after `revision`, with all history kept.
    pub fn meta(&self, revision: u64) -> Meta {
        let chain = self.chain(revision);
        Meta { revision: Revision(revision), chain, ..Meta::default() }
    }

    pub fn tip(&self, revision: u64) -> StatePosition {
        StatePosition {
            revision: Revision(revision),
            chain: self.chain(revision),
            ..StatePosition::default()
        }
    }

    pub fn anchor(&self, revision: u64) -> Anchor {
        Anchor { revision: Revision(revision), chain: self.chain(revision) }
    }

    pub fn chain(&self, revision: u64) -> Chain {
        match revision {
            0 => Chain::default(),
            revision => self.events[revision as usize - 1].chain,
        }
    }

    pub fn last(&self) -> u64 {
        self.events.len() as u64
    }

    pub fn run(&self, span: RevisionSpan) -> EventRun {
        let events = self.events[span.first.0 as usize - 1..span.last.0 as usize].to_vec();
        EventRun { before: self.chain(span.first.0 - 1), events }
    }
}

fn invent(rng: &mut StdRng, plot: Plot, revision: u64) -> Event {
    let action = match rng.random_range(0..20) {
        0 => Action::StateDelete,
        1 => Action::LeaseAcquire,
        2 => Action::WorkflowCheckpoint,
        _ => Action::StateSet,
    };
    let name = format!("key/{}", rng.random_range(0..plot.keys));
    let subject = match action {
        Action::LeaseAcquire => format!("lease:{name}"),
        Action::WorkflowCheckpoint => format!("workflow:{name}"),
        _ => name,
    };
    let actor = format!("agent-{}", rng.random_range(0..7));
    let large = plot.large.filter(|(of, _)| rng.random_range(0..*of) == 0);
    let size = large.map_or(rng.random_range(10..250), |(_, max)| rng.random_range(max / 2..max));
    let new = format!("\"{revision}:{}\"", "x".repeat(size));
    Event {
        revision: Revision(revision),
        at: WallMs(1_700_000_000_000 + revision),
        actor: rng.random_bool(0.8).then(|| actor.as_str().into()),
        action,
        subject: subject.as_str().into(),
        new: (action != Action::StateDelete).then(|| Json::new(new)),
        previous: rng.random_bool(0.5).then(|| Json::new(format!("{revision}"))),
        chain: Chain::default(),
    }
}
