//! Our program beside others in one run, under load generators that neither side wrote:
//! `h2load` for gRPC and `wrk` for MCP. First three nodes of ours beside three of etcd;
//! then one process of ours on each store beside the Python reference, and beside Redis
//! under its own `redis-benchmark`. The systems of a contest run all the time and carry
//! each row in turn, in an order that changes with each round; the medians of the rounds
//! count. All calls are about one hot key of 256 bytes.
//!
//! To read: `side` (who carries a row), `call` (what is called), `tool`, `generator` and
//! `burst` (who calls), `reference` (the Python package), `host` (what the machine says),
//! `report` (what is printed).

mod burst;
mod call;
mod generator;
mod host;
mod reference;
mod report;
mod side;
mod tool;

use std::time::{Duration, Instant};

use self::burst::Burst;
use self::generator::Generator;
use self::host::{Limits, Usage};
use self::reference::Reference;
use self::report::{Contest, Figures, Idle, Row};
use self::side::{Seen, Side};
use crate::Result;
use crate::asked::Asked;
use crate::load::{Operation, Protocol};
use crate::program::Program;
use crate::servers::{Servers, data_dir, resident_bytes};
use crate::system::System;
use support::redis_server::RedisServer;

/// Clients in all, of clusters and of single processes.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const CLIENTS_OF_ONE: [usize; 2] = [1, 64];

/// Not counted: connections open and caches fill.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long all have had nothing to do before that is measured, and for how long.
const SETTLE: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(10);

/// The least part of what good answers have that must have been received. `redis-benchmark`
/// does not tell, and stops at an error.
const RECEIVED: f64 = 0.99;

/// Measures all, and prints tables in Markdown.
pub async fn measure(asked: &Asked, program: &Program) -> Result<()> {
    let limits = host::probe()?;
    let clusters = clusters(asked, program, &limits).await?;
    println!("\n{limits}\n\n{clusters}");
    if asked.on.is_none() {
        println!("\n{}", processes(asked, program, &limits).await?);
    }
    Ok(())
}

async fn clusters(asked: &Asked, program: &Program, limits: &Limits) -> Result<Contest> {
    let ours = start(System::Cluster, asked, program).await?;
    let etcd = start(System::Etcd, asked, program).await?;
    let mut sides = Vec::new();
    if let Some(servers) = &ours {
        sides.extend([Protocol::Grpc, Protocol::Mcp].map(|by| Side::Servers(servers, by)));
    }
    sides.extend(etcd.iter().map(|servers| Side::Servers(servers, Protocol::Etcd)));
    let contest = Contest::new((System::Etcd.name(), "gRPC"), "etcd");
    measure_all(contest, &sides, &CLIENTS, asked, limits).await
}

async fn processes(asked: &Asked, program: &Program, limits: &Limits) -> Result<Contest> {
    let memory = start(System::Memory, asked, program).await?;
    let sqlite = start(System::Sqlite(1), asked, program).await?;
    let on_redis = start(System::Redis(1), asked, program).await?;
    let reference = Reference::start().await?;
    let redis = on_redis.is_some().then(|| {
        let settings = ["--appendonly", "yes", "--appendfsync", asked.redis_fsync.name()];
        tempfile::tempdir_in(data_dir()).map(|dir| RedisServer::start_in(dir, &settings))
    });
    let redis = redis.transpose()?;
    let mut sides = Vec::new();
    for servers in [&memory, &sqlite, &on_redis].into_iter().flatten() {
        sides.push(Side::Servers(servers, Protocol::Mcp));
    }
    sides.extend(redis.as_ref().map(Side::Redis));
    sides.extend(reference.as_ref().map(Side::Reference));
    let contest = Contest::new(("Python reference", "MCP"), "reference");
    measure_all(contest, &sides, &CLIENTS_OF_ONE, asked, limits).await
}

/// Starts a system, or says why that cannot be done here.
async fn start(system: System, asked: &Asked, program: &Program) -> Result<Option<Servers>> {
    if let Some(why) = system.missing() {
        println!("{}: skipped, {why}", system.name());
        return Ok(None);
    }
    Ok(Some(Servers::start(system, asked.redis_fsync, program).await?))
}

/// All rows of all sides.
async fn measure_all(
    mut contest: Contest,
    sides: &[Side<'_>],
    clients: &[usize],
    asked: &Asked,
    limits: &Limits,
) -> Result<Contest> {
    let (able, unable): (Vec<&Side<'_>>, Vec<&Side<'_>>) =
        sides.iter().partition(|side| side.tool().missing().is_none());
    for side in unable {
        let (system, protocol) = side.name();
        println!("{system}, {protocol}: skipped, {}", side.tool().missing().unwrap_or_default());
    }
    tokio::time::sleep(SETTLE).await;
    contest.idle = idle(&able).await?;
    for round in 0..asked.rounds {
        for operation in [Operation::Write, Operation::Read] {
            for clients in clients {
                for place in 0..able.len() {
                    let side = able[(place + round) % able.len()];
                    let row = Row { name: side.name(), operation, clients: *clients };
                    let carried = carry(side, row, asked.seconds, limits).await;
                    let figures = carried.map_err(|error| format!("{row}: {error}"))?;
                    println!("round {}: {row}: {figures}", round + 1);
                    contest.rounds.push((row, figures));
                }
            }
        }
    }
    for (idle, side) in contest.idle.iter_mut().zip(systems(&able)) {
        idle.bytes_after = resident(side)?;
    }
    Ok(contest)
}

/// One side for each system: one that is called in two ways has two sides.
fn systems<'a, 'b>(sides: &[&'a Side<'b>]) -> Vec<&'a Side<'b>> {
    let mut systems: Vec<&Side<'_>> = sides.to_vec();
    systems.dedup_by_key(|side| side.name().0);
    systems
}

/// What systems take that have nothing to do.
async fn idle(sides: &[&Side<'_>]) -> Result<Vec<Idle>> {
    let systems = systems(sides);
    let usage =
        || -> Result<Vec<Usage>> { systems.iter().map(|side| Usage::of(&side.pids())).collect() };
    let before = usage()?;
    tokio::time::sleep(IDLE).await;
    let used = usage()?.into_iter().zip(before).map(|(now, before)| now.since(&before).cpu);
    let mut idle = Vec::new();
    for (side, used) in systems.iter().zip(used) {
        let processes = side.hosts().len();
        let cores = used.as_secs_f64() / IDLE.as_secs_f64() / processes as f64;
        let (system, bytes) = (side.name().0, resident(side)?);
        idle.push(Idle { system, processes, cores, bytes, bytes_after: bytes });
    }
    Ok(idle)
}

/// Resident memory for each process that takes calls.
fn resident(side: &Side<'_>) -> Result<u64> {
    let bytes: Result<Vec<u64>> = side.pids().into_iter().map(resident_bytes).collect();
    Ok(bytes?.iter().sum::<u64>() / side.hosts().len() as u64)
}

/// One row on one side.
async fn carry(side: &Side<'_>, row: Row, time: Duration, limits: &Limits) -> Result<Figures> {
    let seen = side.observe().await?;
    let generator = Generator::new(side, row.operation)?;
    let warm_up = generator.run(row.clients, WARM_UP).await?;
    let (before, began) = (Usage::of(&side.pids())?, Instant::now());
    let burst = generator.run(row.clients, time).await?;
    let (usage, lasted) = (Usage::of(&side.pids())?.since(&before), began.elapsed());
    let made = warm_up.calls + burst.calls;
    check(&burst, row.operation, made, &seen, &side.observe().await?)?;
    Ok(Figures::new(&burst, &usage, lasted, side.floor(row.operation, limits)))
}

/// Whether the system has done what the generator was told.
fn check(
    burst: &Burst,
    operation: Operation,
    made: u64,
    before: &Seen,
    after: &Seen,
) -> Result<()> {
    if operation == Operation::Write {
        return match before.writes.zip(after.writes) {
            Some((before, after)) if after - before < made => {
                Err(format!("{made} writes were answered, {} were made", after - before).into())
            }
            Some(_) | None => Ok(()),
        };
    }
    let wanted = burst.calls as f64 * before.answer_bytes as f64 * RECEIVED;
    match (burst.bytes as f64) < wanted {
        true => Err(format!("{} bytes came, of {wanted:.0}", burst.bytes).into()),
        false => Ok(()),
    }
}
