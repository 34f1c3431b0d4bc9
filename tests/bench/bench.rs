//! The benchmark: how many writes and reads a second, and how long each takes,
//! over MCP and over gRPC, on SQLite and on three nodes. Run it with
//! `./scripts/bench`; nothing here is a test.
//!
//! Every system under load runs as processes of its own beside the clients, on
//! the same machine and disk, one system at a time, in one run. Where `etcd` is
//! installed, three nodes of it carry the same load for comparison.

mod etcd;
mod figures;
mod grpc;
mod http;
mod load;
mod servers;

use std::error::Error;
use std::time::Duration;

use figures::Table;
use load::{Load, Operation};
use servers::{Servers, System};

/// What anything here may fail with; a benchmark stops at the first failure.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Concurrent clients, each with a connection of its own and one call at a time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

/// What the memory figure is taken with.
const KEYS: usize = 100_000;

fn main() -> Result<()> {
    let mut seconds = 5.0;
    let mut only = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().ok_or("--seconds takes a number")?.parse()?,
            "--only" => only = arguments.next(),
            // `cargo bench` passes it to every benchmark.
            "--bench" => {}
            other => {
                return Err(format!("unknown argument {other}; takes --seconds, --only").into());
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(Duration::from_secs_f64(seconds), only.as_deref()))
}

async fn run(time: Duration, only: Option<&str>) -> Result<()> {
    println!("{}", figures::machine());
    println!("each row: {} s after a warm-up; values of 256 bytes\n", time.as_secs_f64());
    let mut table = Table::new();
    for system in System::ALL {
        if only.is_some_and(|name| name != system.name()) {
            continue;
        }
        if let Some(why) = system.missing() {
            println!("{}: skipped, {why}", system.name());
            continue;
        }
        measure(system, time, &mut table).await?;
    }
    println!("\n{table}");
    Ok(())
}

/// All rows of one system.
async fn measure(system: System, time: Duration, table: &mut Table) -> Result<()> {
    let servers = Servers::start(system).await?;
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
    if system == System::Cluster {
        load::fill(&servers, KEYS).await?;
        for (node, bytes) in servers.resident_bytes()?.iter().enumerate() {
            let mib = bytes / (1 << 20);
            println!("node {}: {mib} MiB resident with {KEYS} keys of 256 bytes", node + 1);
        }
    }
    servers.stop().await;
    Ok(())
}
