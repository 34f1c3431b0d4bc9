//! Our nodes and etcd's in one run, under load generators that neither side wrote:
//! `h2load` for gRPC and `wrk` for MCP. Both clusters run all the time and carry each
//! row in turn, first one and then the other going first, for several rounds, of which
//! the medians count. All calls are about one hot key of 256 bytes.

mod generator;
mod host;
mod report;

use std::time::{Duration, Instant};

use self::generator::{Burst, Generator};
use self::host::Usage;
use self::report::{Figures, Report, Row};
use crate::Result;
use crate::asked::Asked;
use crate::load::{Client, Operation, Protocol};
use crate::program::Program;
use crate::servers::{NODES, Servers};
use crate::system::System;

/// Clients in all, spread evenly over the nodes.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

/// Not counted: connections open and caches fill.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long the nodes have had nothing to do before that is measured, and for how long.
const SETTLE: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(10);

const KEY: &str = "bench/hot";
const VALUE_BYTES: usize = 256;

/// The systems that carry each row, and how their clients speak to them.
const SIDES: [(System, Protocol); 3] = [
    (System::Cluster, Protocol::Grpc),
    (System::Cluster, Protocol::Mcp),
    (System::Etcd, Protocol::Etcd),
];

/// Measures both, and prints a table in Markdown.
pub async fn measure(asked: &Asked, program: &Program) -> Result<()> {
    let missing = generator::missing().or(System::Etcd.missing().map(str::to_owned));
    if let Some(missing) = missing {
        println!("rivals: skipped, {missing}");
        return Ok(());
    }
    let mut rivals = Vec::new();
    for system in [System::Cluster, System::Etcd] {
        rivals.push(Servers::start(system, asked.redis_fsync, program).await?);
    }
    let mut report = Report::new(host::probe()?);
    tokio::time::sleep(SETTLE).await;
    for servers in &rivals {
        report.idle(servers, idle(servers).await?)?;
    }
    for round in 0..asked.rounds {
        for operation in [Operation::Write, Operation::Read] {
            for clients in CLIENTS {
                for place in 0..SIDES.len() {
                    let (system, protocol) = SIDES[(place + round) % SIDES.len()];
                    let servers = rivals.iter().find(|servers| servers.system() == system);
                    let servers = servers.ok_or("a system was not started")?;
                    let row = Row { protocol, operation, clients };
                    let figures = carry(servers, row, asked.seconds).await?;
                    println!("round {}: {row}: {figures}", round + 1);
                    report.add(row, figures);
                }
            }
        }
    }
    println!("\n{report}");
    for servers in rivals {
        servers.stop().await;
    }
    Ok(())
}

/// What nodes take that have nothing to do: the share of one core, all nodes together.
async fn idle(servers: &Servers) -> Result<f64> {
    let before = Usage::of(servers)?;
    tokio::time::sleep(IDLE).await;
    Ok(Usage::of(servers)?.since(&before).cpu.as_secs_f64() / IDLE.as_secs_f64())
}

/// One row on one system.
async fn carry(servers: &Servers, row: Row, time: Duration) -> Result<Figures> {
    check(servers, row).await?;
    let generator = Generator::new(servers, row.protocol, row.operation)?;
    load(&generator, row.clients, WARM_UP).await?;
    let (before, began) = (Usage::of(servers)?, Instant::now());
    let mut burst = load(&generator, row.clients, time).await?;
    let (usage, lasted) = (Usage::of(servers)?.since(&before), began.elapsed());
    check(servers, row).await?;
    Ok(Figures::new(&mut burst, &usage, lasted))
}

/// A single client calls each node for a third of the time, so that each system's
/// leader has the same part in it.
async fn load(generator: &Generator, clients: usize, time: Duration) -> Result<Burst> {
    if clients >= NODES {
        return generator.run(clients, time).await;
    }
    let mut all = Burst::default();
    for node in 0..NODES {
        all.append(generator.run_one(node, clients, time / NODES as u32).await?);
    }
    Ok(all)
}

/// A load generator takes every answer for a good one. A call of our own sees that the
/// system carries out what it is asked for.
async fn check(servers: &Servers, row: Row) -> Result<()> {
    let mut client = Client::connect(row.protocol, servers, 0).await?;
    client.write(KEY, &value()).await?;
    client.read(KEY).await
}

fn value() -> String {
    "v".repeat(VALUE_BYTES)
}
