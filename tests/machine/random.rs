//! Thousands of random commands by agents that forget, repeat themselves,
//! show stale tokens and come late, under clocks that jump.

use std::collections::BTreeSet;
use std::sync::Mutex;

use mcp_state_sidecar::machine::reply::*;
use mcp_state_sidecar::machine::*;
use mcp_state_sidecar::store::tables::Tables;

use crate::fleet::{Nodes, envelope};
use crate::naive;
use crate::rng::{RandomSource, for_each_seed};
use crate::tokens::Ledger;
use crate::world::World;

/// Commands of one seed; with four seeds the whole takes some seconds.
const COMMANDS: usize = 4_000;

/// Runs the commands of one seed through a world and gives their envelopes.
fn play(rng: &mut RandomSource, commands: usize) -> (World, Vec<Envelope>) {
    let (mut world, mut nodes) = (World::default(), Nodes::default());
    let mut ledger = Ledger::default();
    let mut log = Vec::new();
    for _ in 0..commands {
        let envelope = envelope(rng, &mut world, &mut nodes);
        let before = world.revision();
        let reply = world.step(&envelope);
        let internal =
            matches!(&reply, Reply::Refused(refusal) if refusal.code == RefusalCode::Internal);
        assert!(!internal, "a rule panicked on {envelope:?}");
        ledger.enter(&envelope.command, &reply, world.clock(), world.revision() > before);
        naive::compare(&world, rng);
        log.push(envelope);
    }
    (world, log)
}

#[test]
fn invariants_hold_whatever_agents_do() {
    let done = Mutex::new(BTreeSet::new());
    for_each_seed(|rng| {
        let (world, _) = play(rng, COMMANDS);
        done.lock().unwrap().extend(world.done);
    });
    // Or the test would say little.
    let done = done.lock().unwrap();
    let missing: Vec<_> = Action::ALL.iter().filter(|action| !done.contains(action)).collect();
    assert!(missing.is_empty(), "{missing:?} never happened");
}

#[test]
fn equal_logs_make_equal_replicas_also_across_a_snapshot() {
    for_each_seed(|rng| {
        let (world, log) = play(rng, COMMANDS / 5);
        let mut replica = Tables::default();
        for (position, envelope) in log.iter().enumerate() {
            if position == log.len() / 2 {
                let rows: Vec<Row> = replica.rows().map(|row| Row::clone(row)).collect();
                replica = Tables::restore(replica.meta().clone(), rows);
            }
            let Ok(decision) = decide(envelope, &replica);
            replica.apply(&decision);
        }
        assert_eq!(replica, world.tables);
    });
}

#[test]
fn a_clone_of_the_tables_never_changes() {
    for_each_seed(|rng| {
        let (world, log) = play(rng, 100);
        let kept = world.tables.clone();
        let before: Vec<Row> = kept.rows().map(|row| Row::clone(row)).collect();
        let mut tables = world.tables;
        for envelope in &log {
            let Ok(decision) = decide(envelope, &tables);
            tables.apply(&decision);
        }
        assert!(kept.rows().map(|row| &**row).eq(&before));
    });
}
