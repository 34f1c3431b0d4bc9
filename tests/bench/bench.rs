//! The benchmark: how many writes and reads a second, and how long each takes,
//! over MCP and over gRPC, in memory, on SQLite, on Redis and on three nodes,
//! also with several sidecars that share one state. Run it with
//! `./scripts/bench`; nothing here is a test.
//!
//! Every system under load runs as processes of its own beside the clients, on
//! the same machine and disk, one system at a time, in one run. Where `etcd` is
//! installed, three nodes of it carry the same load for comparison; and where
//! another binary of the program is named, it takes turns with this one.
//!
//! To read: `asked` (what a run measures), `system`, `program` and `servers` (what
//! is started), `load`, `notice` and `away` with the clients `http`, `grpc` and
//! `etcd` (plain calls), `finding`, `waiting` and `rivals` with `position` (what is
//! measured only where it is named), `figures` (what is printed).

mod asked;
mod away;
mod etcd;
mod figures;
mod finding;
mod grpc;
mod http;
mod load;
mod notice;
mod position;
mod program;
mod rivals;
mod servers;
mod system;
mod waiting;

use std::error::Error;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use asked::{Asked, Only};
use figures::Table;
use load::{Load, Operation};
use program::Program;
use servers::Servers;
use system::{Kind, System};

/// What anything here may fail with; a benchmark stops at the first failure.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Concurrent clients, each with a connection of its own and one call at a time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

/// What the memory figure is taken with.
const KEYS: usize = 100_000;

fn main() -> Result<()> {
    let asked = Asked::parse();
    allow_many_connections()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&asked))
}

/// Thousands of waiting callers need a socket each, as many as the machine allows.
fn allow_many_connections() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

async fn run(asked: &Asked) -> Result<()> {
    println!("{}", figures::machine());
    println!("each row: {} s after a warm-up; values of 256 bytes", asked.seconds.as_secs_f64());
    println!("Redis: a server of its own, appendonly yes, appendfsync {}\n", fsync(asked));
    let programs = asked.programs()?;
    if asked.rivals {
        return rivals::measure(asked, &programs[0]).await;
    }
    match asked.only {
        Some(Only::Finding) => return finding::measure(asked, &programs).await,
        Some(Only::Waiting) => return waiting::measure(asked, &programs).await,
        None
        | Some(
            Only::Memory
            | Only::Sqlite
            | Only::Redis
            | Only::ThreeNodes
            | Only::ThreeEtcd
            | Only::Away,
        ) => {}
    }
    let mut table = Table::default();
    for system in System::ALL.into_iter().filter(|system| asked.plain(system.kind())) {
        match system.missing() {
            Some(why) => println!("{}: skipped, {why}", system.name()),
            None => measure(system, asked, &programs, &mut table).await?,
        }
    }
    for program in programs.iter().filter(|_| asked.away()) {
        let mut servers = Servers::start(System::Cluster, asked.redis_fsync, program).await?;
        println!("{} ({})", away::measure(&mut servers, asked.seconds).await?, program.name());
        servers.stop().await;
    }
    println!("\n{table}");
    let ratios = match &programs[..] {
        [this, other] => table.ratios(this, other),
        _ => Vec::new(),
    };
    for line in table.floors().into_iter().chain(ratios) {
        println!("{line}");
    }
    Ok(())
}

fn fsync(asked: &Asked) -> &'static str {
    asked.redis_fsync.name()
}

/// All rows of one system. Where there are two binaries, a system of each runs,
/// and they take turns with each row, first one and then the other going first,
/// so that what else the machine does meets both alike.
async fn measure(
    system: System,
    asked: &Asked,
    programs: &[Program],
    table: &mut Table,
) -> Result<()> {
    let binaries = if system.kind() == Kind::ThreeEtcd { 1 } else { programs.len() };
    let mut running = Vec::new();
    for program in &programs[..binaries] {
        running.push(Servers::start(system, asked.redis_fsync, program).await?);
    }
    let mut order: Vec<&Servers> = running.iter().collect();
    let time = asked.seconds;
    for protocol in system.protocols() {
        for operation in [Operation::Write, Operation::Read] {
            for clients in CLIENTS {
                let load = Load { protocol: *protocol, operation, clients, time };
                for servers in &order {
                    let row = load.run(servers).await?;
                    println!("{row}");
                    table.add(row);
                }
                order.reverse();
            }
        }
    }
    for servers in &running {
        measure_once(servers, asked, table).await?;
    }
    for servers in running {
        servers.stop().await;
    }
    Ok(())
}

/// What is measured of a system once, after its load.
async fn measure_once(servers: &Servers, asked: &Asked, table: &mut Table) -> Result<()> {
    if servers.count() > 1 && servers.system() != System::Etcd {
        let row = notice::measure(servers, asked.seconds).await?;
        println!("{row}");
        table.add(row);
    }
    if servers.system() == System::Cluster {
        load::fill(servers, servers.count(), KEYS).await?;
        for (node, bytes) in servers.resident_bytes()?.iter().enumerate() {
            let (mib, binary) = (bytes / (1 << 20), servers.binary());
            let node = node + 1;
            println!("node {node}: {mib} MiB resident with {KEYS} keys of 256 bytes ({binary})");
        }
    }
    Ok(())
}
