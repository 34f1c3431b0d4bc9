//! What is told about the runs of a name: which one has waited longest, what has happened
//! lately, and at what cost.

use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::footprint::of_question;
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::query::{Answer, NameStats, Question};
use mcp_state_sidecar::machine::run_group::{RunChanges, WINDOW_MS};
use mcp_state_sidecar::machine::status::Status;
use mcp_state_sidecar::machine::*;

use crate::commands::*;
use crate::counted::Counted;
use crate::world::{START_MS, World};

fn question(rows: usize) -> Question {
    Question::Stats { scan: Scan::default(), page: Page::of_rows(rows) }
}

fn stats(world: &World) -> NameStats {
    match world.ask(question(1)) {
        Answer::Stats { mut rows, .. } if rows.len() == 1 => rows.remove(0),
        other => panic!("{other:?}"),
    }
}

fn oldest(world: &World) -> Option<(String, u64)> {
    stats(world).oldest.map(|(run_id, since)| (run_id.to_string(), since.0 - START_MS))
}

#[test]
fn a_run_that_is_tried_again_and_again_does_not_hide_one_that_nobody_takes() {
    let mut world = World::default();
    let busy = created(world.run(Command::Create(Create { priority: 9, ..create_of("n") })));
    let starved = created(world.run(create("n")));
    assert_eq!(oldest(&world), Some((busy.clone(), 0)), "of two that wait alike, the first");
    world.advance_ms(60_000);
    world.run(claim(&busy, "a", 60_000));
    assert_eq!(oldest(&world), Some((starved.clone(), 0)));
    let token = world.revision();
    world.run(Command::Release(held(&busy, "a", token)));
    assert_eq!(crate::runs::run(&world, &busy).status, Status::Created);
    assert_eq!(oldest(&world), Some((starved, 0)), "it has waited since the beginning");
}

#[test]
fn a_run_waits_from_its_time_on_whether_or_not_the_sweep_has_come() {
    let mut world = World::default();
    let later = Create { delay_ms: Some(10_000), ..create_of("n") };
    let delayed = created(world.run(Command::Create(later)));
    world.advance_ms(9_999);
    assert_eq!(oldest(&world), None);
    world.advance_ms(20_001);
    let before = oldest(&world);
    assert_eq!(before, Some((delayed, 10_000)));
    world.run(Command::Sweep { limit: 10 });
    assert_eq!(oldest(&world), before);
}

#[test]
fn a_lapsed_claim_waits_since_it_lapsed_however_late_the_sweep_records_it() {
    let mut world = World::default();
    let retried = Create { max_attempts: 3, ..create_of("n") };
    let run_id = created(world.run(Command::Create(retried)));
    world.run(claim(&run_id, "a", 10_000));
    world.advance_ms(60_000);
    assert_eq!(oldest(&world), Some((run_id.clone(), 10_000)));
    world.run(Command::Sweep { limit: 10 });
    assert_eq!(oldest(&world), Some((run_id, 10_000)));
}

#[test]
fn what_happened_lately_fades_within_two_windows() {
    let mut world = World::default();
    // A window begins here, so that the test knows which part of it is over.
    world.now_ms = START_MS.next_multiple_of(WINDOW_MS);
    let runs: Vec<_> = (0..4).map(|_| created(world.run(create("n")))).collect();
    world.run(claim(&runs[0], "a", 9_000_000));
    world.run(complete(&runs[0], claimant("a", world.revision())));
    world.run(claim(&runs[1], "a", 9_000_000));
    world.run(fail(&runs[1], false, claimant("a", world.revision())));
    let all = RunChanges { created: 4, claimed: 2, completed: 1, failed: 1 };
    assert_eq!(stats(&world).recent, all);
    world.advance_ms(WINDOW_MS - 1);
    assert_eq!(stats(&world).recent, all, "the window is not over");
    // In the middle of the next one, half of what happened counts as longer ago, and half a
    // run is rounded up.
    world.advance_ms(1 + WINDOW_MS / 2);
    let half = RunChanges { created: 2, claimed: 1, completed: 1, failed: 1 };
    assert_eq!(stats(&world).recent, half);
    world.run(create("n"));
    assert_eq!(stats(&world).recent, RunChanges { created: 3, ..half });
    world.advance_ms(WINDOW_MS / 2);
    assert_eq!(stats(&world).recent.claimed, 0);
    world.advance_ms(WINDOW_MS);
    assert_eq!(stats(&world).recent, RunChanges::default());
}

/// The most rows and entries that are read about one name: its counts, its pause, and two
/// searches that find a run each.
const READS_PER_NAME_MAX: usize = 8;

/// Reading the page of names, and seeing that there are no more.
const READS_PER_PAGE: usize = 2;

#[test]
fn the_cost_depends_on_the_names_and_not_on_the_runs() {
    let mut world = World::default();
    for name in ["a", "b", "c"] {
        for _ in 0..100 {
            world.run(create(name));
            let later = Create { delay_ms: Some(1_000), ..create_of(name) };
            world.run(Command::Create(later));
        }
    }
    let now = ClusterMs(world.now_ms + 1_000);
    let counted = Counted::new(&world.tables, of_question(&question(9), now));
    let Ok(Answer::Stats { rows, next }) = answer(&question(9), &counted, now) else { panic!() };
    assert_eq!((rows.len(), next), (3, None));
    assert!(rows.iter().all(|row| row.counts[Status::Created as usize] == 200));
    let reads = counted.reads();
    let most = 3 * READS_PER_NAME_MAX + READS_PER_PAGE;
    assert!(reads <= most, "{reads} reads for three names");
}
