//! A system under load, as processes of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::program::Program;
use crate::system::{Fsync, System};
use support::redis_server::RedisServer;

/// A system that does not answer by then does not work.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Nodes of a cluster.
pub const NODES: usize = 3;

/// One system, running.
pub struct Servers {
    system: System,
    program: Program,
    processes: Vec<Child>,
    mcp_ports: Vec<u16>,
    grpc_ports: Vec<u16>,
    redis: Option<RedisServer>,
    _dir: TempDir,
}

/// Where data are written.
pub fn data_dir() -> String {
    std::env::var("BENCH_DIR").unwrap_or("target".to_owned())
}

impl Servers {
    /// Starts the system on free ports of loopback, with `program` as the sidecar,
    /// and waits until it answers.
    pub async fn start(system: System, fsync: Fsync, program: &Program) -> Result<Servers> {
        let nodes = system.processes();
        let dir = || tempfile::tempdir_in(data_dir());
        let redis = match system {
            System::Redis(_) => {
                let settings = ["--appendonly", "yes", "--appendfsync", fsync.name()];
                Some(RedisServer::start_in(dir()?, &settings))
            }
            System::Memory | System::Sqlite(_) | System::Cluster | System::Etcd => None,
        };
        let mut servers = Servers {
            system,
            program: program.clone(),
            processes: Vec::new(),
            mcp_ports: free_ports(nodes)?,
            grpc_ports: free_ports(nodes)?,
            redis,
            _dir: dir()?,
        };
        for node in 0..nodes {
            let process = servers.spawn(node)?;
            servers.processes.push(process);
        }
        for node in 0..nodes {
            servers.ready(node, READY_WITHIN).await?;
        }
        Ok(servers)
    }

    fn spawn(&self, node: usize) -> Result<Child> {
        let mut command = match self.system {
            System::Memory | System::Sqlite(_) | System::Redis(_) | System::Cluster => {
                self.sidecar(node)
            }
            System::Etcd => self.etcd(node),
        };
        let log = std::fs::File::create(self.log_of(node))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(command.spawn()?)
    }

    /// SIGKILL for one process.
    pub fn kill_one(&mut self, node: usize) {
        // A process that has ended already cannot be ended.
        let _ = self.processes[node].kill();
        let _ = self.processes[node].wait();
    }

    /// Starts one again that was killed.
    pub fn start_one(&mut self, node: usize) -> Result<()> {
        self.processes[node] = self.spawn(node)?;
        Ok(())
    }

    /// What one process has logged since it was started last.
    pub fn log(&self, node: usize) -> Result<String> {
        Ok(std::fs::read_to_string(self.log_of(node))?)
    }

    fn log_of(&self, node: usize) -> PathBuf {
        self._dir.path().join(format!("{node}.log"))
    }

    pub fn system(&self) -> System {
        self.system
    }

    /// The binary that runs, where it is ours.
    pub fn binary(&self) -> &str {
        match self.system {
            System::Memory | System::Sqlite(_) | System::Redis(_) | System::Cluster => {
                self.program.name()
            }
            System::Etcd => "etcd",
        }
    }

    /// How many processes there are.
    pub fn count(&self) -> usize {
        self.processes.len()
    }

    /// Where client `number` finds MCP.
    pub fn mcp(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.mcp_ports[number % self.mcp_ports.len()])
    }

    /// Where client `number` finds gRPC.
    pub fn grpc(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.grpc_ports[number % self.grpc_ports.len()])
    }

    /// The number of each process, and of the Redis that they share.
    pub fn pids(&self) -> Vec<u32> {
        let redis = self.redis.as_ref().and_then(RedisServer::pid);
        self.processes.iter().map(Child::id).chain(redis).collect()
    }

    /// Resident memory of each process.
    pub fn resident_bytes(&self) -> Result<Vec<u64>> {
        self.processes.iter().map(|process| resident_bytes(process.id())).collect()
    }

    /// Ends all processes.
    pub async fn stop(mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        for node in 0..self.processes.len() {
            self.kill_one(node);
        }
    }

    fn sidecar(&self, node: usize) -> Command {
        let mut command = self.program.command();
        let dir = self._dir.path();
        command.arg("serve").env("SIDECAR_PORT", self.mcp_ports[node].to_string());
        let grpc = format!("127.0.0.1:{}", self.grpc_ports[node]);
        match self.system {
            System::Memory => command.env("STATE_BACKEND", "memory").env("SIDECAR_GRPC_ADDR", grpc),
            System::Sqlite(_) => command
                .env("STATE_BACKEND", "sqlite")
                .env("DB_PATH", dir.join("state.db"))
                .env("SIDECAR_GRPC_ADDR", grpc),
            System::Redis(_) => command
                .env("STATE_BACKEND", "redis")
                .env("REDIS_URL", self.redis.as_ref().map(RedisServer::url).unwrap_or_default())
                .env("SIDECAR_GRPC_ADDR", grpc),
            System::Cluster | System::Etcd => {
                let members: Vec<String> = (1..)
                    .zip(&self.grpc_ports)
                    .map(|(id, port)| format!("{id}=127.0.0.1:{port}"))
                    .collect();
                command
                    .env("STATE_BACKEND", "raft")
                    .env("SIDECAR_NODE_ID", (node + 1).to_string())
                    .env("SIDECAR_RAFT_ADDR", grpc)
                    .env("SIDECAR_MEMBERS", members.join(","))
                    .env("SIDECAR_DATA_DIR", dir.join(format!("node{}", node + 1)))
            }
        };
        command
    }

    fn etcd(&self, node: usize) -> Command {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let cluster: Vec<String> = (0..)
            .zip(&self.mcp_ports)
            .map(|(number, port)| format!("n{number}={}", url(*port)))
            .collect();
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("n{node}")])
            .args(["--data-dir", &self._dir.path().join(format!("n{node}")).to_string_lossy()])
            .args(["--listen-peer-urls", &url(self.mcp_ports[node])])
            .args(["--initial-advertise-peer-urls", &url(self.mcp_ports[node])])
            .args(["--listen-client-urls", &url(self.grpc_ports[node])])
            .args(["--advertise-client-urls", &url(self.grpc_ports[node])])
            .args(["--initial-cluster", &cluster.join(",")])
            .args(["--log-level", "error"]);
        command
    }

    /// Waits until one process serves, and has caught up where it is a node.
    pub async fn ready(&self, node: usize, within: Duration) -> Result<()> {
        let (port, deadline) = (self.mcp_ports[node], Instant::now() + within);
        loop {
            let ready = match self.system {
                System::Memory | System::Sqlite(_) | System::Redis(_) | System::Cluster => {
                    is_ready(port).await.unwrap_or(false)
                }
                System::Etcd => etcd_is_ready(self.grpc(0)).await.is_ok(),
            };
            if ready {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{} did not become ready", self.system.name()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn is_ready(port: u16) -> Result<bool> {
    answers(&format!("127.0.0.1:{port}"), "/readyz").await
}

/// Whether `path` is answered with 200, over a connection of its own.
pub async fn answers(host: &str, path: &str) -> Result<bool> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

async fn etcd_is_ready(host: String) -> Result<()> {
    crate::etcd::EtcdClient::connect(host).await?.write("ready", "yes").await
}

/// Ports that were free a moment ago.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: std::io::Result<Vec<_>> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    listeners?.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// The memory of a process that is in the machine's.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
    Ok(kib * 1024)
}
