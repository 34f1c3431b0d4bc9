//! Claims beside runs that cannot be claimed, yet or at all: runs whose time has
//! not come, runs whose time has come all at once, and runs that lack a tag.

use std::time::{Duration, Instant};

use mcp_state_sidecar::proto::state;
use mcp_state_sidecar::proto::state::command::Command;
use mcp_state_sidecar::proto::state::reply::Reply;

use super::Filled;
use super::fill::{fill, run, run_id, tag};
use super::probe::Probe;
use super::report::Figure;
use super::waiters::Waiters;
use crate::Result;
use crate::grpc::GrpcClient;
use crate::servers::Servers;

/// Agents that wait beside delayed runs.
const AGENTS: usize = 50;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// The delay that has passed.
const DELAY: Duration = Duration::from_secs(1);

/// What each run has, and what none has, in the order of names: looking only at
/// the first one would mean to look at every run.
const SHARED: &str = "shared";
const UNSHARED: &str = "unshared";

pub async fn fill_delayed(servers: &Servers, size: usize) -> Result<Filled> {
    let delayed = |_| Command::Create(state::Create { delay_ms: Some(DAY_MS), ..run("work") });
    fill(servers, size, delayed).await?;
    Ok(Filled::default())
}

/// Runs whose delay is over once this returns, for the last ones just now.
pub async fn fill_due(servers: &Servers, size: usize) -> Result<Filled> {
    let delay_ms = Some(DELAY.as_millis() as u64);
    fill(servers, size, move |_| Command::Create(state::Create { delay_ms, ..run("work") }))
        .await?;
    tokio::time::sleep(DELAY).await;
    Ok(Filled::default())
}

pub async fn fill_tagged(servers: &Servers, size: usize) -> Result<Filled> {
    let tagged = |_| Command::Create(state::Create { tags: vec![tag(SHARED)], ..run("work") });
    fill(servers, size, tagged).await?;
    Ok(Filled::default())
}

/// So many runs that are over, and a tenth as many that can be claimed.
pub async fn fill_ended(servers: &Servers, size: usize) -> Result<Filled> {
    let created = fill(servers, size, |_| Command::Create(run("work"))).await?;
    let run_ids = created.iter().map(run_id).collect::<Result<Vec<_>>>()?;
    let end = move |number: usize| {
        let run_id = run_ids[number].clone();
        Command::Complete(state::Complete { run_id, ..state::Complete::default() })
    };
    fill(servers, size, end).await?;
    fill(servers, claimable_of(size), |_| Command::Create(run("work"))).await?;
    Ok(Filled::default())
}

/// How many runs can be claimed beside so many that are over: enough for the time that is
/// measured.
fn claimable_of(ended: usize) -> usize {
    (ended / 10).max(20_000)
}

/// What one writer manages while agents wait for runs of another name.
pub async fn write_beside_waiters(servers: &Servers, time: Duration) -> Result<Vec<Figure>> {
    let _waiters = Waiters::start(servers, AGENTS, |number| {
        claim_next(&format!("agent{number}"), Some("other"), Vec::new())
    })
    .await?;
    let probe = Probe::start(servers).await?;
    let began = Instant::now();
    tokio::time::sleep(time).await;
    let (ended, written) = (Instant::now(), probe.written() as usize);
    let writes = probe.stop().await?;
    Ok(vec![
        Figure::per_second("writes", written, ended - began),
        Figure::ms("longest write", writes.longest(began, ended)),
    ])
}

/// What one agent manages that claims one run after the other, and what another
/// client's writes take meanwhile. At most half of the runs are claimed, so that
/// there are as many as were asked for.
pub async fn claim_due(servers: &Servers, size: usize, time: Duration) -> Result<Vec<Figure>> {
    claim(servers, Some(size / 2), time, claim_next("agent", Some("work"), Vec::new())).await
}

/// As [`claim_due`], beside runs that are over.
pub async fn claim_beside_ended(
    servers: &Servers,
    size: usize,
    time: Duration,
) -> Result<Vec<Figure>> {
    claim_due(servers, claimable_of(size), time).await
}

/// As [`claim_due`], for a tag that no run has.
pub async fn claim_tagged(servers: &Servers, time: Duration) -> Result<Vec<Figure>> {
    let tags = vec![tag(SHARED), tag(UNSHARED)];
    claim(servers, None, time, claim_next("agent", None, tags)).await
}

async fn claim(
    servers: &Servers,
    most: Option<usize>,
    time: Duration,
    command: Command,
) -> Result<Vec<Figure>> {
    let mut client = GrpcClient::connect(servers.grpc(servers.count() - 1)).await?;
    let probe = Probe::start(servers).await?;
    let (began, mut tried) = (Instant::now(), 0);
    while began.elapsed() < time && most.is_none_or(|most| tried < most) {
        match client.submit(command.clone()).await? {
            Reply::Claimed(claimed) if claimed.claimed == most.is_some() => tried += 1,
            other => return Err(format!("{other:?}").into()),
        }
    }
    let ended = Instant::now();
    let writes = probe.stop().await?;
    Ok(vec![
        Figure::per_second("claims", tried, ended - began),
        Figure::ms("other writes p99", writes.p99(began, ended)),
        Figure::ms("longest other write", writes.longest(began, ended)),
    ])
}

pub fn claim_next(agent: &str, name: Option<&str>, tags: Vec<state::Tag>) -> Command {
    Command::ClaimNext(state::ClaimNext {
        agent_id: agent.to_owned(),
        name: name.map(str::to_owned),
        tags,
        ..state::ClaimNext::default()
    })
}
