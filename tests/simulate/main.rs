//! The simulator: whole nodes on a simulated network, with disks that forget
//! what was not synced and clocks that go wrong, all in one thread. A seed
//! decides everything, so a run can be repeated byte for byte.
//!
//! ```text
//! cargo test --test simulate
//!     SEEDS=100 FROM=1     how many runs, and the first seed
//!     SEEDS=1 FROM=7       one run, with its trace
//! ```

mod bugs;
mod client;
mod clock;
mod database;
mod disk;
mod faults;
mod io;
mod node;
mod process;
mod record;
mod rng;
mod threads;
mod verdict;
mod work;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use bugs::Bug;
use process::Run;

/// Runs of a plain `cargo test`.
const SEEDS: u64 = 100;

/// Seeds within which a planted bug must be found.
const SEEDS_TO_FIND: u64 = 200;

/// Not a test: what a process of its own does for one run.
#[test]
fn one_run() {
    process::answer();
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn no_seed_breaks_a_promise() {
    let (seeds, from) = (setting("SEEDS").unwrap_or(SEEDS), setting("FROM").unwrap_or(1));
    let runs = on_all_cores(from..from + seeds, |seed| {
        let run = process::run(seed, None);
        if seeds == 1 {
            println!("{}", run.trace);
        }
        Run { trace: String::new(), ..run }
    });
    let total = |of: fn(&Run) -> u64| runs.iter().map(|(_, run)| of(run)).sum::<u64>();
    println!(
        "{seeds} seeds from {from}: {} calls, {} answered, {} unknown; {} faults; {} s simulated",
        total(|run| run.calls),
        total(|run| run.answered),
        total(|run| run.unknown),
        total(|run| run.faults),
        total(|run| run.simulated_ms) / 1000,
    );
    let broken: Vec<String> = runs
        .into_iter()
        .filter_map(|(seed, run)| run.violation.map(|why| format!("SEED={seed}: {why}")))
        .collect();
    assert!(broken.is_empty(), "{} seeds:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [3, 11] {
        let (first, second) = (process::run(seed, None), process::run(seed, None));
        for (number, lines) in first.trace.lines().zip(second.trace.lines()).enumerate() {
            assert_eq!(lines.0, lines.1, "SEED={seed}: line {number} differs");
        }
        assert!(first.trace == second.trace, "SEED={seed}: one trace is longer");
    }
}

#[test]
fn commands_acknowledged_before_they_are_on_the_disk_are_found() {
    finds(Bug::AcknowledgedBeforeSync);
}

#[test]
fn commands_applied_twice_are_found() {
    finds(Bug::AppliedTwice);
}

#[test]
fn reads_that_nobody_confirmed_are_found() {
    finds(Bug::ReadUnconfirmed);
}

#[test]
fn tokens_given_out_twice_are_found() {
    finds(Bug::TokenReused);
}

#[test]
fn attempts_that_are_not_counted_are_found() {
    finds(Bug::AttemptsUncounted);
}

#[test]
fn late_writes_that_are_let_through_are_found() {
    finds(Bug::StaleWrite);
}

#[test]
fn runs_that_do_not_wait_for_others_are_found() {
    finds(Bug::ReleasedEarly);
}

#[test]
fn schedules_that_fire_twice_are_found() {
    finds(Bug::FiredTwice);
}

/// A planted bug is found; tells by which seed.
fn finds(bug: Bug) {
    for seed in 1..=SEEDS_TO_FIND {
        if let Some(violation) = process::run(seed, Some(bug)).violation {
            let first = violation.lines().next().unwrap_or_default();
            println!("{bug:?} found with seed {seed}: {first}");
            return;
        }
    }
    panic!("{bug:?} was not found within {SEEDS_TO_FIND} seeds");
}

/// Each seed's result, in the order of the seeds.
fn on_all_cores<T: Send>(
    seeds: std::ops::Range<u64>,
    run: impl Fn(u64) -> T + Sync,
) -> Vec<(u64, T)> {
    let next = AtomicU64::new(seeds.start);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, run, end) = (&next, &run, seeds.end);
    let mut results: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(move || {
                    let mut done = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            return done;
                        }
                        done.push((seed, run(seed)));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run")).collect()
    });
    results.sort_by_key(|(seed, _)| *seed);
    results
}
