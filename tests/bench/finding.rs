//! Finding: what it costs to find, list, wait for or remove something beside
//! rows that have nothing to do with it. Each row is measured twice, beside few
//! and beside many of them, each time on a system of its own, and the table
//! gives the ratio: it should be below 2.
//!
//! What limits the figures: clients and servers share the machine, so a longest
//! time includes its pauses, and a rate includes the clients' work.

mod claims;
mod fill;
mod pages;
mod probe;
mod report;
mod stalls;
mod waiters;
mod woken;

use std::time::Duration;

use clap::ValueEnum;
use tokio::time::timeout;

use crate::Result;
use crate::asked::Asked;
use crate::program::Program;
use crate::servers::Servers;
use crate::system::System;
use report::{Compared, Figure, Outcome};

/// Unrelated rows in the smaller state.
const FEW: usize = 1_000;

/// Filling a state may take so long; slower ones are given up.
const FILLED_WITHIN: Duration = Duration::from_secs(1_200);

/// What a measurement may take beyond the time that is asked for.
const MEASURED_WITHIN: Duration = Duration::from_secs(60);

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Finding {
    /// Runs are delayed until tomorrow, and agents wait for another name.
    Delayed,
    /// Runs whose delay has passed.
    Due,
    /// Runs share a tag, and a claim asks for another one too.
    Tags,
    /// One run becomes claimable while many agents wait.
    Run,
    /// Agents wait beside runs of another name.
    Idle,
    /// Runs can be claimed beside ten times as many that are over.
    Ended,
    /// A run with many children is cancelled.
    Cancel,
    /// A run ends that many others depend on.
    Dependents,
    /// A run with many large steps is resumed.
    Resume,
    /// Runs are looked for that can be claimed.
    Discover,
    /// One lease changes hands while many callers wait.
    Lease,
    /// Everything is removed.
    Reset,
    /// Many keys expire at once.
    Expiry,
    /// Lists are read by pages.
    Pages,
}

/// What a state was filled with.
#[derive(Default)]
struct Filled {
    /// The run that the measurement is about.
    run_id: String,
    /// When the keys expire.
    expiry: Option<std::time::Instant>,
}

impl Finding {
    const ALL: [Finding; 14] = [
        Finding::Delayed,
        Finding::Due,
        Finding::Tags,
        Finding::Run,
        Finding::Idle,
        Finding::Ended,
        Finding::Cancel,
        Finding::Dependents,
        Finding::Resume,
        Finding::Discover,
        Finding::Lease,
        Finding::Reset,
        Finding::Expiry,
        Finding::Pages,
    ];

    fn name(self) -> &'static str {
        match self {
            Finding::Delayed => "delayed until tomorrow, 50 agents wait",
            Finding::Due => "delay of 1 s has passed",
            Finding::Tags => "a shared tag and one that no run has",
            Finding::Run => "one run, many agents wait",
            Finding::Idle => "agents wait beside runs of another name",
            Finding::Ended => "claims beside ten times as many runs that are over",
            Finding::Cancel => "a run with children is cancelled",
            Finding::Dependents => "a run ends that others depend on",
            Finding::Resume => "steps of 1 MB",
            Finding::Discover => "discover claimable beside claimed runs",
            Finding::Lease => "one lease, many callers wait",
            Finding::Reset => "reset",
            Finding::Expiry => "keys expire at once",
            Finding::Pages => "a page of 100",
        }
    }

    /// How much there is in the smaller and in the larger state: rows, waiting
    /// callers or steps.
    fn sizes(self, many: usize) -> [usize; 2] {
        match self {
            Finding::Delayed
            | Finding::Due
            | Finding::Tags
            | Finding::Ended
            | Finding::Cancel
            | Finding::Dependents
            | Finding::Discover
            | Finding::Reset
            | Finding::Expiry
            | Finding::Pages => [FEW, many],
            Finding::Run => [500, 4_000],
            Finding::Idle => [20, 200],
            Finding::Resume => [10, 100],
            Finding::Lease => [1_000, 4_000],
        }
    }

    /// Waiting costs log entries, which only a cluster has.
    fn concerns(self, system: System) -> bool {
        self != Finding::Idle || system == System::Cluster
    }

    async fn fill(self, servers: &Servers, size: usize) -> Result<Filled> {
        match self {
            Finding::Delayed => claims::fill_delayed(servers, size).await,
            Finding::Due => claims::fill_due(servers, size).await,
            Finding::Tags => claims::fill_tagged(servers, size).await,
            Finding::Run | Finding::Lease => Ok(Filled::default()),
            Finding::Idle => woken::fill_claimable(servers).await,
            Finding::Ended => claims::fill_ended(servers, size).await,
            Finding::Cancel => stalls::fill_children(servers, size).await,
            Finding::Dependents => stalls::fill_dependents(servers, size).await,
            Finding::Resume => pages::fill_steps(servers, size).await,
            Finding::Discover => pages::fill_claimed(servers, size).await,
            Finding::Reset => stalls::fill_all(servers, size).await,
            Finding::Expiry => stalls::fill_expiring(servers, size).await,
            Finding::Pages => pages::fill_lists(servers, size).await,
        }
    }

    async fn measure(
        self,
        servers: &Servers,
        filled: Filled,
        size: usize,
        time: Duration,
    ) -> Result<Vec<Figure>> {
        match self {
            Finding::Delayed => claims::write_beside_waiters(servers, time).await,
            Finding::Due => claims::claim_due(servers, size, time).await,
            Finding::Tags => claims::claim_tagged(servers, time).await,
            Finding::Run => woken::create_one(servers, size).await,
            Finding::Idle => woken::wait_idly(servers, size, time).await,
            Finding::Ended => claims::claim_beside_ended(servers, size, time).await,
            Finding::Cancel => stalls::cancel(servers, &filled.run_id, size).await,
            Finding::Dependents => stalls::end(servers, &filled.run_id, size).await,
            Finding::Resume => pages::resume(servers, &filled.run_id).await,
            Finding::Discover => pages::discover(servers, time).await,
            Finding::Lease => woken::release_one(servers, size).await,
            Finding::Reset => stalls::reset(servers).await,
            Finding::Expiry => stalls::expire(servers, filled.expiry, size).await,
            Finding::Pages => pages::list(servers, time).await,
        }
    }
}

/// Measures every row that is asked for, with each of the binaries in turn, and
/// prints the tables.
pub async fn measure(asked: &Asked, programs: &[Program]) -> Result<()> {
    let mut all = Vec::new();
    for finding in Finding::ALL {
        if asked.row.is_some_and(|row| row != finding) {
            continue;
        }
        for system in System::STORES {
            if !asked.concerns(system.kind()) || !finding.concerns(system) {
                continue;
            }
            match system.missing() {
                Some(why) => println!("{}: skipped, {why}", system.name()),
                None => all.extend(compare(finding, system, asked, programs).await?),
            }
        }
    }
    println!("\n{}", report::table(&all));
    for line in all.iter().flat_map(Compared::gaps) {
        println!("{line}");
    }
    Ok(())
}

/// One row on one system, with each of the binaries.
async fn compare(
    finding: Finding,
    system: System,
    asked: &Asked,
    programs: &[Program],
) -> Result<Vec<Compared>> {
    let mut compared: Vec<Compared> = programs
        .iter()
        .map(|program| Compared {
            what: finding.name(),
            system: system.name(),
            binary: program.name().to_owned(),
            sizes: finding.sizes(asked.rows),
            outcomes: Vec::new(),
        })
        .collect();
    for size in finding.sizes(asked.rows) {
        for (program, compared) in programs.iter().zip(&mut compared) {
            let servers = Servers::start(system, asked.redis_fsync, program).await?;
            let outcome = outcome(finding, &servers, size, asked.seconds).await;
            servers.stop().await;
            println!("{}", compared.line(size, &outcome));
            compared.outcomes.push(outcome);
        }
    }
    Ok(compared)
}

/// Fills and measures; what takes too long or fails is an outcome too.
async fn outcome(finding: Finding, servers: &Servers, size: usize, time: Duration) -> Outcome {
    let filled = match timeout(FILLED_WITHIN, finding.fill(servers, size)).await {
        Ok(Ok(filled)) => filled,
        Ok(Err(error)) => return Outcome::Failed(format!("filling: {error}")),
        Err(_) => return Outcome::CutOff("filling", FILLED_WITHIN),
    };
    let within = time + MEASURED_WITHIN;
    match timeout(within, finding.measure(servers, filled, size, time)).await {
        Ok(Ok(figures)) => Outcome::Measured(figures),
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Err(_) => Outcome::CutOff("measuring", within),
    }
}
