//! Stalls: how long another client's write takes while something is carried out
//! that concerns very many rows. Nothing but a probe writes meanwhile, so the
//! revision tells when the last row has been reached.

use std::time::{Duration, Instant};

use mcp_state_sidecar::proto::state;
use mcp_state_sidecar::proto::state::command::Command;

use super::Filled;
use super::fill::{fill, key, run, run_id};
use super::probe::{Probe, Writes};
use super::report::Figure;
use crate::Result;
use crate::grpc::GrpcClient;
use crate::position::Position;
use crate::servers::Servers;

/// What a write takes before anything happens is measured for so long.
const BEFORE: Duration = Duration::from_secs(2);

/// After a reset, what it leaves to others may take so long.
const AFTER: Duration = Duration::from_secs(3);

/// How often it is looked whether the last row has been reached.
const LOOK: Duration = Duration::from_millis(20);

/// Keys that expire at once are written at so many a second at least, with some
/// time to spare.
const FILLED_PER_SECOND: f64 = 3_000.0;
const SPARE: Duration = Duration::from_secs(5);

/// One run with children.
pub async fn fill_children(servers: &Servers, size: usize) -> Result<Filled> {
    let parent = fill(servers, 1, |_| Command::Create(run("parent"))).await?;
    let parent = run_id(&parent[0])?;
    let parent_run_id = Some(parent.clone());
    let child = move |_| {
        let parent_run_id = parent_run_id.clone();
        Command::Create(state::Create { parent_run_id, ..run("child") })
    };
    fill(servers, size, child).await?;
    Ok(Filled { run_id: parent, ..Filled::default() })
}

/// One run, and others that depend on it.
pub async fn fill_dependents(servers: &Servers, size: usize) -> Result<Filled> {
    let first = fill(servers, 1, |_| Command::Create(run("first"))).await?;
    let first = run_id(&first[0])?;
    let depends_on = vec![first.clone()];
    let dependent = move |_| {
        let depends_on = depends_on.clone();
        Command::Create(state::Create { depends_on, ..run("dependent") })
    };
    fill(servers, size, dependent).await?;
    Ok(Filled { run_id: first, ..Filled::default() })
}

/// So many keys and so many runs.
pub async fn fill_all(servers: &Servers, size: usize) -> Result<Filled> {
    fill(servers, size, |number| Command::Set(key(format!("key/{number}")))).await?;
    fill(servers, size, |_| Command::Create(run("work"))).await?;
    Ok(Filled::default())
}

/// Keys that expire at the same moment.
pub async fn fill_expiring(servers: &Servers, size: usize) -> Result<Filled> {
    let lasts = SPARE + Duration::from_secs_f64(size as f64 / FILLED_PER_SECOND);
    let expiry = Instant::now() + lasts;
    let expiring = move |number| {
        let left = expiry.saturating_duration_since(Instant::now());
        let ttl_ms = Some(left.as_millis().max(1) as u64);
        Command::Set(state::Set { ttl_ms, ..key(format!("key/{number}")) })
    };
    fill(servers, size, expiring).await?;
    if Instant::now() + BEFORE > expiry {
        return Err("the keys expire before all are written".into());
    }
    Ok(Filled { expiry: Some(expiry), ..Filled::default() })
}

/// The call itself, the writes of another, and the time until all children are
/// cancelled too.
pub async fn cancel(servers: &Servers, run_id: &str, size: usize) -> Result<Vec<Figure>> {
    let cancel = state::Cancel { run_id: run_id.to_owned(), ..state::Cancel::default() };
    spread(servers, Command::Cancel(cancel), size, "until all are cancelled").await
}

/// The call itself, the writes of another, and the time until all dependents are released.
pub async fn end(servers: &Servers, run_id: &str, size: usize) -> Result<Vec<Figure>> {
    let complete = state::Complete { run_id: run_id.to_owned(), ..state::Complete::default() };
    spread(servers, Command::Complete(complete), size, "until all are released").await
}

/// Carries out a command that changes so many other runs after its own one.
async fn spread(
    servers: &Servers,
    command: Command,
    size: usize,
    until: &'static str,
) -> Result<Vec<Figure>> {
    let watched = Watched::start(servers).await?;
    tokio::time::sleep(BEFORE).await;
    let mut client = GrpcClient::connect(servers.grpc(0)).await?;
    let began = Instant::now();
    // One whose outcome is unknown is carried out all the same.
    let reply = client.submit(command).await;
    let call = began.elapsed();
    if let Err(error) = reply {
        println!("the call failed after {} ms: {error}", call.as_millis());
    }
    let (ended, writes) = watched.until_changed(size + 1).await?;
    let mut figures = vec![Figure::ms("the call", call)];
    figures.extend(stall(&writes, began, ended));
    figures.push(Figure::total_ms(until, ended - began));
    Ok(figures)
}

/// The call itself, and the writes of another until a while after.
pub async fn reset(servers: &Servers) -> Result<Vec<Figure>> {
    let probe = Probe::start(servers).await?;
    tokio::time::sleep(BEFORE).await;
    let mut client = GrpcClient::connect(servers.grpc(0)).await?;
    let began = Instant::now();
    client.submit(Command::Reset(state::Reset {})).await?;
    let call = began.elapsed();
    tokio::time::sleep(AFTER).await;
    let writes = probe.stop().await?;
    let mut figures = vec![Figure::ms("the call", call)];
    figures.extend(stall(&writes, began, Instant::now()));
    Ok(figures)
}

/// The writes of another until all keys are gone.
pub async fn expire(
    servers: &Servers,
    expiry: Option<Instant>,
    size: usize,
) -> Result<Vec<Figure>> {
    let expiry = expiry.ok_or("no keys expire")?;
    tokio::time::sleep_until((expiry - BEFORE).into()).await;
    let watched = Watched::start(servers).await?;
    let (ended, writes) = watched.until_changed(size).await?;
    let mut figures = stall(&writes, expiry, ended);
    figures.push(Figure::total_ms("until all are gone", ended - expiry));
    Ok(figures)
}

/// The longest write before it began, and between then and the end. One that was
/// under way as it began counts as held up by it.
fn stall(writes: &Writes, began: Instant, ended: Instant) -> Vec<Figure> {
    vec![
        Figure::ms("longest other write before", writes.longest_ended(began - BEFORE, began)),
        Figure::ms("longest other write meanwhile", writes.longest(began, ended)),
    ]
}

/// A probe, and how far the state was when it began.
struct Watched {
    probe: Probe,
    position: Position,
    before: u64,
}

impl Watched {
    async fn start(servers: &Servers) -> Result<Watched> {
        let mut position = Position::of(servers).await?;
        let before = position.revision().await?;
        Ok(Watched { probe: Probe::start(servers).await?, position, before })
    }

    /// When as many rows have changed as that, besides those that the probe writes.
    async fn until_changed(mut self, rows: usize) -> Result<(Instant, Writes)> {
        loop {
            // In this order: a write in between makes the wait longer, not shorter.
            let revision = self.position.revision().await?;
            let written = self.probe.written();
            if revision >= self.before + written + rows as u64 {
                let ended = Instant::now();
                return Ok((ended, self.probe.stop().await?));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
