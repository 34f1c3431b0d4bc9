//! Load: many clients, one call at a time each, for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::etcd::EtcdClient;
use crate::figures::Row;
use crate::grpc::GrpcClient;
use crate::http::McpClient;
use crate::servers::Servers;

/// Not counted: connections open and caches fill.
const WARM_UP: Duration = Duration::from_secs(1);

/// Keys that the load goes round: enough that writers seldom meet.
const KEYS: u64 = 10_000;

/// Clients that fill a cluster before its memory is read.
const FILLERS: usize = 64;

/// How clients speak to a system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Mcp,
    Grpc,
    Etcd,
}

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Write,
    /// Linearizable.
    Read,
    /// See [`crate::notice`].
    Notice,
}

/// One row of the benchmark.
pub struct Load {
    pub protocol: Protocol,
    pub operation: Operation,
    pub clients: usize,
    pub time: Duration,
}

/// One client with its own connection.
pub enum Client {
    Mcp(McpClient),
    Grpc(GrpcClient),
    Etcd(EtcdClient),
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Mcp => "MCP",
            Protocol::Grpc => "gRPC",
            Protocol::Etcd => "etcd gRPC",
        }
    }
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Operation::Write => "write",
            Operation::Read => "read",
            Operation::Notice => "notice",
        }
    }
}

impl Load {
    /// Puts the load on all nodes of `servers` evenly.
    pub async fn run(&self, servers: &Servers) -> Result<Row> {
        let counting = Arc::new(AtomicBool::new(false));
        let over = Arc::new(AtomicBool::new(false));
        let next = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for number in 0..self.clients {
            let mut client = Client::connect(self.protocol, servers, number).await?;
            let (counting, over, next) = (counting.clone(), over.clone(), next.clone());
            let operation = self.operation;
            tasks.push(tokio::spawn(async move {
                let value = "v".repeat(256);
                let mut took = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let key = format!("bench/{}", next.fetch_add(1, Ordering::Relaxed) % KEYS);
                    let began = Instant::now();
                    match operation {
                        Operation::Write => client.write(&key, &value).await?,
                        Operation::Read | Operation::Notice => client.read(&key).await?,
                    }
                    if counting.load(Ordering::Relaxed) {
                        took.push(began.elapsed());
                    }
                }
                Result::Ok(took)
            }));
        }
        tokio::time::sleep(WARM_UP).await;
        counting.store(true, Ordering::Relaxed);
        let began = Instant::now();
        tokio::time::sleep(self.time).await;
        let lasted = began.elapsed();
        over.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        for task in tasks {
            took.extend(task.await??);
        }
        Ok(Row::new(servers, self, took, lasted))
    }
}

/// Writes `keys` different keys of 256 bytes, by way of the first `nodes`.
pub async fn fill(servers: &Servers, nodes: usize, keys: usize) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for number in 0..FILLERS {
        let mut client = Client::connect(Protocol::Grpc, servers, number % nodes).await?;
        let next = next.clone();
        tasks.push(tokio::spawn(async move {
            let value = "v".repeat(256);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= keys as u64 {
                    return Result::Ok(());
                }
                client.write(&format!("fill/{number}"), &value).await?;
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

impl Client {
    /// Connects client `number` to the node whose turn it is.
    pub async fn connect(protocol: Protocol, servers: &Servers, number: usize) -> Result<Client> {
        Ok(match protocol {
            Protocol::Mcp => Client::Mcp(McpClient::connect(servers.mcp(number)).await?),
            Protocol::Grpc => Client::Grpc(GrpcClient::connect(servers.grpc(number)).await?),
            Protocol::Etcd => Client::Etcd(EtcdClient::connect(servers.grpc(number)).await?),
        })
    }

    pub async fn write(&mut self, key: &str, value: &str) -> Result<()> {
        match self {
            Client::Mcp(client) => client.write(key, value).await,
            Client::Grpc(client) => client.write(key, value).await,
            Client::Etcd(client) => client.write(key, value).await,
        }
    }

    pub async fn read(&mut self, key: &str) -> Result<()> {
        match self {
            Client::Mcp(client) => client.read(key).await,
            Client::Grpc(client) => client.read(key).await,
            Client::Etcd(client) => client.read(key).await,
        }
    }
}
