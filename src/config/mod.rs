//! Configuration: defaults, then a file, then the environment, then flags;
//! each setting has one name everywhere, is checked once, and remembers where
//! its value came from. What a value means is for the module that gets it.
//!
//! The list of settings is [`settings::SETTINGS`]: flags, environment, file,
//! `--print-config` and docs/configuration.md all follow it.

mod check;
mod layers;
mod parse;
mod print;
pub mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use crate::access::Secret;
use crate::store::redis::MoveIn;
pub use layers::{Resolved, Shown, Source, Sources};
pub use parse::HostPort;

/// The environment's name for the file of settings.
pub const CONFIG_ENV: &str = "SIDECAR_CONFIG";

/// Every setting, parsed. Only `cli` and `server` see this; they fill in the
/// options of the modules below.
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
    pub grpc_addr: Option<HostPort>,
    pub value_bytes_max: usize,
    pub state_bytes_max: Option<u64>,
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

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Why the start was stopped: one line with the name, what it got and what it
/// takes. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Lays flags over environment over file over defaults, and checks the
    /// whole.
    ///
    /// # Errors
    /// The first value or combination of values that is wrong, or a name that
    /// does not exist.
    pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
        let resolved = Resolved::from_sources(sources)?;
        resolved.config.check()?;
        Ok(resolved.config)
    }

    /// Where clients reach a node of the cluster: as it says itself, or its
    /// host among the members, or where it listens for peers if that is one
    /// address, with the port of HTTP.
    pub fn advertised_url(&self) -> Option<String> {
        let from_addresses = || {
            let of_members = self.members.get(&self.node_id?).map(|member| &member.host);
            let own = Some(&self.raft_addr.host)
                .filter(|host| !host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_unspecified()));
            let host = of_members.or(own)?.clone();
            let address = HostPort { host, port: self.port };
            Some(format!("http://{address}/mcp"))
        };
        self.advertise_url.clone().or_else(from_addresses)
    }
}

impl Backend {
    /// As `STATE_BACKEND` and health spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Memory => "memory",
            Backend::Redis => "redis",
            Backend::Raft => "raft",
        }
    }
}
