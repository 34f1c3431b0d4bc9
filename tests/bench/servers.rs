//! The systems under load, each as processes of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::load::Protocol;
use crate::redis::RedisServer;

/// A system that does not answer by then does not work.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// So many processes on one SQLite file.
    Sqlite(usize),
    /// So many processes on one Redis.
    Redis(usize),
    /// Three processes.
    Cluster,
    /// Three processes of etcd, where it is installed.
    Etcd,
}

/// One system, running.
pub struct Servers {
    system: System,
    processes: Vec<Child>,
    mcp_ports: Vec<u16>,
    grpc_ports: Vec<u16>,
    redis: Option<RedisServer>,
    _dir: TempDir,
}

/// When Redis syncs its append-only file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before it answers, as the other stores do.
    Always,
    /// Once a second, beside the calls: a power loss takes the last second.
    EverySecond,
}

impl Fsync {
    pub const ALL: [Fsync; 2] = [Fsync::Always, Fsync::EverySecond];

    /// As Redis names it.
    pub fn name(self) -> &'static str {
        match self {
            Fsync::Always => "always",
            Fsync::EverySecond => "everysec",
        }
    }
}

impl System {
    pub const ALL: [System; 7] = [
        System::Sqlite(1),
        System::Sqlite(4),
        System::Redis(1),
        System::Redis(2),
        System::Redis(4),
        System::Cluster,
        System::Etcd,
    ];

    pub fn name(self) -> &'static str {
        match self {
            System::Sqlite(1) => "SQLite",
            System::Sqlite(_) => "four on SQLite",
            System::Redis(1) => "Redis",
            System::Redis(2) => "two on Redis",
            System::Redis(_) => "four on Redis",
            System::Cluster => "three nodes",
            System::Etcd => "three etcd",
        }
    }

    /// What `--only` calls it, and others of its kind.
    pub fn kind(self) -> &'static str {
        match self {
            System::Sqlite(_) => "sqlite",
            System::Redis(_) => "redis",
            System::Cluster => "three-nodes",
            System::Etcd => "three-etcd",
        }
    }

    fn processes(self) -> usize {
        match self {
            System::Sqlite(processes) | System::Redis(processes) => processes,
            System::Cluster | System::Etcd => 3,
        }
    }

    /// One protocol is enough to see what sharing costs.
    pub fn protocols(self) -> &'static [Protocol] {
        match self {
            System::Sqlite(1) | System::Redis(1) | System::Cluster => {
                &[Protocol::Mcp, Protocol::Grpc]
            }
            System::Sqlite(_) | System::Redis(_) => &[Protocol::Mcp],
            System::Etcd => &[Protocol::Etcd],
        }
    }

    /// Why the system cannot be measured here, if so.
    pub fn missing(self) -> Option<&'static str> {
        let runs = |program: &str| {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            found.is_ok_and(|status| status.success())
        };
        match self {
            System::Sqlite(_) | System::Cluster => None,
            System::Redis(_) => {
                (!runs("redis-server")).then_some("there is no redis-server on this machine")
            }
            System::Etcd => (!runs("etcd")).then_some("there is no etcd on this machine"),
        }
    }
}

impl Servers {
    /// Starts the system on free ports of loopback and waits until it answers.
    pub async fn start(system: System, fsync: Fsync) -> Result<Servers> {
        let nodes = system.processes();
        let dir =
            || tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or("target".to_owned()));
        let redis = match system {
            System::Redis(_) => {
                let settings = ["--appendonly", "yes", "--appendfsync", fsync.name()];
                Some(RedisServer::start_in(dir()?, &settings))
            }
            System::Sqlite(_) | System::Cluster | System::Etcd => None,
        };
        let mut servers = Servers {
            system,
            processes: Vec::new(),
            mcp_ports: free_ports(nodes)?,
            grpc_ports: free_ports(nodes)?,
            redis,
            _dir: dir()?,
        };
        for node in 0..nodes {
            let mut command = match system {
                System::Sqlite(_) | System::Redis(_) | System::Cluster => servers.sidecar(node),
                System::Etcd => servers.etcd(node),
            };
            let log = std::fs::File::create(servers._dir.path().join(format!("{node}.log")))?;
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            servers.processes.push(command.spawn()?);
        }
        for port in &servers.mcp_ports {
            servers.wait_ready(*port).await?;
        }
        Ok(servers)
    }

    pub fn system(&self) -> System {
        self.system
    }

    /// Where client `number` finds MCP.
    pub fn mcp(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.mcp_ports[number % self.mcp_ports.len()])
    }

    /// Where client `number` finds gRPC.
    pub fn grpc(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.grpc_ports[number % self.grpc_ports.len()])
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
        for process in &mut self.processes {
            // A process that has ended already cannot be ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn sidecar(&self, node: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"));
        let dir = self._dir.path();
        command.arg("serve").env("SIDECAR_PORT", self.mcp_ports[node].to_string());
        let grpc = format!("127.0.0.1:{}", self.grpc_ports[node]);
        match self.system {
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

    async fn wait_ready(&self, port: u16) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let ready = match self.system {
                System::Sqlite(_) | System::Redis(_) | System::Cluster => {
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
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request =
        format!("GET /readyz HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
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

fn resident_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
    Ok(kib * 1024)
}
