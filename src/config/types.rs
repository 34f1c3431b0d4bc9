//! [`Config`]: every setting, parsed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::host_port::HostPort;
use crate::access::Secret;
use crate::api::mcp::tools::Toolset;
use crate::machine::command::StateLimits;
use crate::store::redis::MoveIn;

/// Every setting, parsed. Only `cli` and `server` use it; they fill in the options of the
/// modules below them.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub state_backend: Backend,
    pub db_path: PathBuf,
    pub redis_url: Option<Secret>,
    pub redis_prefix: String,
    pub redis_move_in: MoveIn,
    pub host: String,
    pub port: u16,
    pub token: Option<Secret>,
    pub token_file: Option<PathBuf>,
    pub admin_token: Option<Secret>,
    pub admin_token_file: Option<PathBuf>,
    pub insecure: bool,
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub tools: Option<Toolset>,
    pub grpc_addr: Option<HostPort>,
    pub value_bytes_max: usize,
    pub state_bytes_max: Option<u64>,
    pub run_retention_ms: Option<u64>,
    pub node_id: Option<u64>,
    pub cluster_name: String,
    pub members: BTreeMap<u64, HostPort>,
    pub raft_addr: HostPort,
    pub advertise_url: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub cluster_secret: Option<Secret>,
    pub cluster_secret_file: Option<PathBuf>,
    pub heartbeat_ms: u64,
    pub election_min_ms: u64,
    pub election_max_ms: u64,
    pub snapshot_entries: u64,
    pub keep_entries: u64,
    /// Directives in the form of `tracing_subscriber`'s `EnvFilter`.
    pub log: String,
    pub log_format: LogFormat,
}

/// Which store holds the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    #[default]
    Sqlite,
    Memory,
    Redis,
    Raft,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Config {
    /// What the state may hold.
    pub fn limits(&self) -> StateLimits {
        StateLimits { bytes_max: self.state_bytes_max, run_retention_ms: self.run_retention_ms }
    }

    /// The URL at which clients reach this node of a cluster. It is the one that the node
    /// advertises, or else the port of HTTP on the node's host: its address among the
    /// members, or else the address on which it listens for peers if that is a single one.
    pub fn advertised_url(&self) -> Option<String> {
        let from_addresses = || {
            let as_member = self.members.get(&self.node_id?).map(|member| &member.host);
            let own = Some(&self.raft_addr.host)
                .filter(|host| !host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_unspecified()));
            let host = as_member.or(own)?.clone();
            let address = HostPort { host, port: self.port };
            Some(format!("http://{address}/mcp"))
        };
        self.advertise_url.clone().or_else(from_addresses)
    }
}

impl Backend {
    /// The spelling that `STATE_BACKEND` and the health report use.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Memory => "memory",
            Backend::Redis => "redis",
            Backend::Raft => "raft",
        }
    }
}
