//! Waiting: many agents wait for work on three nodes, each with a connection of
//! its own over MCP, and runs arrive steadily. Entries of the log for each claim,
//! the time from the answer to whoever creates a run on one node to the answer to
//! whoever waits on another, and memory for each waiter. At last, whether a node
//! is reached on new connections while as many wait as may.

mod crowd;
mod reach;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::Result;
use crate::asked::Asked;
use crate::figures::{millis, percentile};
use crate::http::McpClient;
use crate::position::Position;
use crate::program::Program;
use crate::servers::Servers;
use crate::system::System;
use crowd::Crowd;

/// Callers that wait, on all nodes together.
const WAITERS: usize = 1_000;

/// Clients that create runs, and how often each does: 100 runs a second.
const CREATORS: usize = 10;
const EVERY: Duration = Duration::from_millis(100);

/// Not counted: caches fill and connections are used for the first time.
const WARM_UP: Duration = Duration::from_secs(2);

/// Until all wait, and until the last run is claimed.
const SETTLED: Duration = Duration::from_secs(2);

/// What the figures must stay below.
const ENTRIES_BELOW: f64 = 1.2;
const P50_BELOW: Duration = Duration::from_millis(5);
const P99_BELOW: Duration = Duration::from_millis(20);

/// Something that happened to a run, and on which node.
#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    node: usize,
}

/// Measures each binary and prints what it gave.
pub async fn measure(asked: &Asked, programs: &[Program]) -> Result<()> {
    for program in programs {
        println!("three nodes, {}:", program.name());
        let servers = Servers::start(System::Cluster, asked.redis_fsync, program).await?;
        let crowd = start(&servers).await?;
        arrive(&servers, crowd, asked.seconds).await?;
        servers.stop().await;
        let servers = Servers::start(System::Cluster, asked.redis_fsync, program).await?;
        reach::measure(&servers).await?;
        servers.stop().await;
    }
    Ok(())
}

/// Lets the waiters come, and prints what memory they take.
async fn start(servers: &Servers) -> Result<Crowd> {
    let before: u64 = servers.resident_bytes()?.iter().sum();
    let crowd = Crowd::start(servers, WAITERS).await?;
    tokio::time::sleep(SETTLED).await;
    let with: u64 = servers.resident_bytes()?.iter().sum();
    println!(
        "  memory of all nodes: {} MiB, {} MiB with {WAITERS} waiters; {:.1} KiB a waiter",
        before >> 20,
        with >> 20,
        with.saturating_sub(before) as f64 / 1024.0 / WAITERS as f64
    );
    Ok(crowd)
}

/// Lets runs arrive for `time`, and prints entries and times.
async fn arrive(servers: &Servers, crowd: Crowd, time: Duration) -> Result<()> {
    let mut position = Position::of(servers).await?;
    let mut creators = Vec::new();
    let until = Instant::now() + WARM_UP + time;
    for number in 0..CREATORS {
        creators.push(tokio::spawn(create(
            McpClient::connect(servers.mcp(number)).await?,
            number,
            until,
        )));
        // So that they do not create at the same moment.
        tokio::time::sleep(EVERY / CREATORS as u32).await;
    }
    tokio::time::sleep(WARM_UP).await;
    let (began, first) = (Instant::now(), position.log_index().await?);
    let mut created = HashMap::new();
    for creator in creators {
        created.extend(creator.await??);
    }
    tokio::time::sleep(SETTLED).await;
    let entries = position.log_index().await? - first;
    created.retain(|_, seen| seen.at > began);
    let mut claimed = crowd.stop();
    claimed.retain(|_, seen| seen.at > began);
    report(entries, &created, &claimed);
    Ok(())
}

/// Creates a run every [`EVERY`]; gives when each was answered.
async fn create(
    mut client: McpClient,
    number: usize,
    until: Instant,
) -> Result<HashMap<String, Seen>> {
    let mut created = HashMap::new();
    let mut ticks = tokio::time::interval(EVERY);
    while Instant::now() < until {
        ticks.tick().await;
        let answer = client.answer("workflow_create", r#"{"name":"work"}"#).await?;
        let run_id = answer["run_id"].as_str().ok_or("no run_id")?.to_owned();
        created.insert(run_id, Seen { at: Instant::now(), node: number % crate::servers::NODES });
    }
    Ok(created)
}

fn report(entries: u64, created: &HashMap<String, Seen>, claimed: &HashMap<String, Seen>) {
    // A create is an entry of its own.
    let for_claims = entries.saturating_sub(created.len() as u64);
    let per_claim = for_claims as f64 / claimed.len() as f64;
    println!(
        "  {} runs created, {} claimed, {entries} log entries: {per_claim:.2} a claim besides the \
         create's own; below {ENTRIES_BELOW}: {}",
        created.len(),
        claimed.len(),
        verdict(per_claim < ENTRIES_BELOW)
    );
    let elsewhere = created.iter().filter_map(|(run_id, created)| {
        let claimed = claimed.get(run_id).filter(|claimed| claimed.node != created.node)?;
        Some(claimed.at.saturating_duration_since(created.at))
    });
    let mut took: Vec<Duration> = elsewhere.collect();
    took.sort_unstable();
    let (p50, p99) = (percentile(&took, 50), percentile(&took, 99));
    println!(
        "  from the create's answer to the claim's on another node ({} of them): p50 {:.2} ms, \
         p99 {:.2} ms; below {} and {} ms: {}",
        took.len(),
        millis(p50),
        millis(p99),
        P50_BELOW.as_millis(),
        P99_BELOW.as_millis(),
        verdict(p50 < P50_BELOW && p99 < P99_BELOW)
    );
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}
