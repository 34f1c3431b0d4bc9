//! The benchmark: how many writes and reads a second, and how long each takes,
//! over MCP and over gRPC, on SQLite, on Redis and on three nodes, also with
//! several sidecars that share one state. Run it with `./scripts/bench`;
//! nothing here is a test.
//!
//! Every system under load runs as processes of its own beside the clients, on
//! the same machine and disk, one system at a time, in one run. Where `etcd` is
//! installed, three nodes of it carry the same load for comparison.

mod away;
mod etcd;
mod figures;
mod grpc;
mod http;
mod load;
mod notice;
#[path = "../support/redis.rs"]
mod redis;
mod servers;
mod system;

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use figures::Table;
use load::{Load, Operation};
use servers::Servers;
use system::{Fsync, System};

/// What anything here may fail with; a benchmark stops at the first failure.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Concurrent clients, each with a connection of its own and one call at a time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

/// What the memory figure is taken with.
const KEYS: usize = 100_000;

/// What `--only` calls the measurement of [`away`].
const AWAY: &str = "away";

/// What is asked of a run.
struct Asked {
    /// How long each row takes.
    time: Duration,
    /// One kind of system alone, or one measurement.
    only: Option<String>,
    fsync: Fsync,
}

fn main() -> Result<()> {
    let mut asked = Asked { time: Duration::from_secs(5), only: None, fsync: Fsync::Always };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => {
                let seconds = arguments.next().ok_or("--seconds takes a number")?;
                asked.time = Duration::from_secs_f64(seconds.parse()?);
            }
            "--only" => asked.only = Some(kind(arguments.next())?),
            "--redis-fsync" => asked.fsync = fsync(arguments.next())?,
            // `cargo bench` passes it to every benchmark.
            "--bench" => {}
            other => {
                let takes = "--seconds, --only, --redis-fsync";
                return Err(format!("unknown argument {other}; takes {takes}").into());
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&asked))
}

fn kind(name: Option<String>) -> Result<String> {
    let mut kinds: BTreeSet<&str> = System::ALL.iter().map(|system| system.kind()).collect();
    kinds.insert(AWAY);
    let known = name.filter(|name| kinds.contains(&**name));
    known.ok_or_else(|| format!("--only takes one of {kinds:?}").into())
}

fn fsync(name: Option<String>) -> Result<Fsync> {
    let known = Fsync::ALL.into_iter().find(|fsync| name.as_deref() == Some(fsync.name()));
    known.ok_or_else(|| "--redis-fsync takes always or everysec".into())
}

async fn run(asked: &Asked) -> Result<()> {
    println!("{}", figures::machine());
    println!("each row: {} s after a warm-up; values of 256 bytes", asked.time.as_secs_f64());
    println!("Redis: a server of its own, appendonly yes, appendfsync {}\n", asked.fsync.name());
    let mut table = Table::default();
    for system in System::ALL {
        if asked.only.as_ref().is_some_and(|kind| kind != system.kind()) {
            continue;
        }
        if let Some(why) = system.missing() {
            println!("{}: skipped, {why}", system.name());
            continue;
        }
        measure(system, asked, &mut table).await?;
    }
    if asked.only.as_deref().is_none_or(|kind| kind == AWAY) {
        let mut servers = Servers::start(System::Cluster, asked.fsync).await?;
        println!("{}", away::measure(&mut servers, asked.time).await?);
        servers.stop().await;
    }
    println!("\n{table}");
    for line in table.floors() {
        println!("{line}");
    }
    Ok(())
}

/// All rows of one system.
async fn measure(system: System, asked: &Asked, table: &mut Table) -> Result<()> {
    let servers = Servers::start(system, asked.fsync).await?;
    let time = asked.time;
    for protocol in system.protocols() {
        for operation in [Operation::Write, Operation::Read] {
            for clients in CLIENTS {
                let load = Load { protocol: *protocol, operation, clients, time };
                let row = load.run(&servers).await?;
                println!("{row}");
                table.add(row);
            }
        }
    }
    if servers.count() > 1 && system != System::Etcd {
        let row = notice::measure(&servers, time).await?;
        println!("{row}");
        table.add(row);
    }
    if system == System::Cluster {
        load::fill(&servers, servers.count(), KEYS).await?;
        for (node, bytes) in servers.resident_bytes()?.iter().enumerate() {
            let mib = bytes / (1 << 20);
            println!("node {}: {mib} MiB resident with {KEYS} keys of 256 bytes", node + 1);
        }
    }
    servers.stop().await;
    Ok(())
}
