//! What many waiting callers cost when one of them can be served, and when none
//! can: entries of the log, and time until the one is served.

use std::time::{Duration, Instant};

use mcp_state_sidecar::proto::state;
use mcp_state_sidecar::proto::state::command::Command;

use super::Filled;
use super::claims::claim_next;
use super::fill::{fill, run};
use super::report::Figure;
use super::waiters::Waiters;
use crate::Result;
use crate::grpc::GrpcClient;
use crate::position::Position;
use crate::servers::Servers;

/// How long entries are counted after the one thing has happened.
const COUNTED: Duration = Duration::from_secs(3);

/// Runs of another name that could be claimed.
const CLAIMABLE: usize = 150;

/// What callers wait for.
const RESOURCE: &str = "resource";

/// Who has it.
const HOLDER: &str = "holder";

const TTL_MS: u64 = 3600 * 1000;

pub async fn fill_claimable(servers: &Servers) -> Result<Filled> {
    fill(servers, CLAIMABLE, |_| Command::Create(run("work"))).await?;
    Ok(Filled::default())
}

/// Entries that idle waiters write in a second.
pub async fn wait_idly(servers: &Servers, size: usize, time: Duration) -> Result<Vec<Figure>> {
    let _waiters = start(servers, size).await?;
    let mut position = Position::of(servers).await?;
    let (began, before) = (Instant::now(), position.log_index().await?);
    tokio::time::sleep(time).await;
    let entries = position.log_index().await? - before;
    let per_second = entries as f64 / began.elapsed().as_secs_f64();
    Ok(vec![Figure::number("log entries a second", per_second)])
}

/// One run is created that all wait for.
pub async fn create_one(servers: &Servers, size: usize) -> Result<Vec<Figure>> {
    let waiters = start(servers, size).await?;
    serve_one(servers, waiters, Command::Create(run("wanted"))).await
}

/// The lease that all wait for is given back.
pub async fn release_one(servers: &Servers, size: usize) -> Result<Vec<Figure>> {
    let mut client = GrpcClient::connect(servers.grpc(0)).await?;
    client.submit(acquire(HOLDER)).await?;
    let waiters = Waiters::start(servers, size, |number| acquire(&format!("caller{number}"))).await;
    let release = Command::ReleaseLease(state::ReleaseLease {
        resource_id: RESOURCE.to_owned(),
        holder_id: HOLDER.to_owned(),
        ..state::ReleaseLease::default()
    });
    serve_one(servers, waiters?, release).await
}

async fn start(servers: &Servers, size: usize) -> Result<Waiters> {
    let agent = |number| claim_next(&format!("agent{number}"), Some("wanted"), Vec::new());
    Waiters::start(servers, size, agent).await
}

/// Carries out the command that lets one of the waiters be served.
async fn serve_one(
    servers: &Servers,
    mut waiters: Waiters,
    command: Command,
) -> Result<Vec<Figure>> {
    let mut client = GrpcClient::connect(servers.grpc(0)).await?;
    let mut position = Position::of(servers).await?;
    let before = position.log_index().await?;
    client.submit(command).await?;
    let answered = Instant::now();
    let served = waiters.granted_within(COUNTED).await?;
    let entries = position.log_index().await? - before;
    let [winner] = served[..] else {
        return Err(format!("{} callers were served, not one", served.len()).into());
    };
    let mut figures = vec![Figure::ms("until one was served", winner - answered)];
    if entries > 0 {
        figures.push(Figure::number("log entries", entries as f64));
    }
    Ok(figures)
}

fn acquire(holder: &str) -> Command {
    Command::Acquire(state::Acquire {
        resource_id: RESOURCE.to_owned(),
        holder_id: holder.to_owned(),
        ttl_ms: TTL_MS,
        ..Default::default()
    })
}
