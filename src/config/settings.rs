//! The list of settings: one row each, with everything there is to know about
//! it. Nothing else in the program spells a setting's default.

use std::path::PathBuf;

use super::parse::{self, Why};
use super::{Config, Secret};

/// One setting, under its three names.
pub struct Setting {
    /// In the TOML file.
    pub name: &'static str,
    /// In the environment.
    pub env: &'static str,
    /// On the command line, without the dashes. Secrets have none: everyone
    /// on the machine can read another process's arguments.
    pub flag: Option<&'static str>,
    /// As text; none where unset means something of its own.
    pub default: Option<&'static str>,
    pub kind: Kind,
    /// What a value must be, to follow "takes".
    pub takes: &'static str,
    /// What it is for, for people.
    pub about: &'static str,
    /// Parses the text into the configuration.
    pub apply: fn(&mut Config, &str) -> Result<(), Why>,
}

/// How a setting may be written and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Several texts: commas between them, or an array in the file.
    List,
    /// The flag alone means `true`.
    Switch,
    /// Never shown.
    Secret,
}

/// Every setting there is, in the order in which people are shown them.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "state_backend",
        env: "STATE_BACKEND",
        flag: Some("state-backend"),
        default: Some("sqlite"),
        kind: Kind::Plain,
        takes: "sqlite, redis, raft or memory",
        about: "Where the state lives: a file, a Redis, a cluster of nodes, or memory that is gone at exit",
        apply: |c, text| put(&mut c.state_backend, parse::backend(text)),
    },
    Setting {
        name: "db_path",
        env: "DB_PATH",
        flag: Some("db-path"),
        default: Some("state_sidecar.db"),
        kind: Kind::Plain,
        takes: "a file's path",
        about: "The SQLite file; several processes may share one",
        apply: |c, text| put(&mut c.db_path, path(text)),
    },
    Setting {
        name: "redis_url",
        env: "REDIS_URL",
        flag: Some("redis-url"),
        default: Some("redis://localhost:6379"),
        kind: Kind::Secret,
        takes: "redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://…, redis+unix:///PATH or \
                redis+sentinel://HOST[:PORT][,…]/NAME[/DB]",
        about: "redis: where it is; rediss:// for TLS, redis+sentinel:// to ask Sentinels",
        apply: |c, text| put(&mut c.redis_url, secret(text)),
    },
    Setting {
        name: "redis_prefix",
        env: "SIDECAR_REDIS_PREFIX",
        flag: Some("redis-prefix"),
        default: Some("sidecar"),
        kind: Kind::Plain,
        takes: "1 to 64 letters, digits, '-', '_', '.', '/' and ':'",
        about: "redis: what all keys begin with, in braces; sidecars with the same share one state",
        apply: |c, text| put(&mut c.redis_prefix, parse::redis_prefix(text)),
    },
    Setting {
        name: "redis_move_in",
        env: "SIDECAR_REDIS_MOVE_IN",
        flag: Some("redis-move-in"),
        default: Some("auto"),
        kind: Kind::Plain,
        takes: "auto, always or never",
        about: "redis: whether what lies there under the Python reference's names becomes the state at the first start; auto: if some of it is surely the reference's",
        apply: |c, text| put(&mut c.redis_move_in, parse::move_in(text)),
    },
    Setting {
        name: "host",
        env: "SIDECAR_HOST",
        flag: Some("host"),
        default: Some("0.0.0.0"),
        kind: Kind::Plain,
        takes: "a host name or an address, without a port",
        about: "Where HTTP listens; callers beyond loopback are refused until a token is set",
        apply: |c, text| put(&mut c.host, parse::host(text)),
    },
    Setting {
        name: "port",
        env: "SIDECAR_PORT",
        flag: Some("port"),
        default: Some("8000"),
        kind: Kind::Plain,
        takes: "a port from 0 to 65535 (0: any that is free)",
        about: "The port of HTTP: /mcp, /healthz, /readyz, /metrics",
        apply: |c, text| put(&mut c.port, parse::number(text, PORTS).map(|port| port as u16)),
    },
    Setting {
        name: "grpc_addr",
        env: "SIDECAR_GRPC_ADDR",
        flag: Some("grpc-addr"),
        default: None,
        kind: Kind::Plain,
        takes: "host:port",
        about: "Where the public gRPC service listens, off where unset; raft serves it at SIDECAR_RAFT_ADDR",
        apply: |c, text| put(&mut c.grpc_addr, parse::host_port(text, true).map(Some)),
    },
    Setting {
        name: "token",
        env: "SIDECAR_TOKEN",
        flag: None,
        default: None,
        kind: Kind::Secret,
        takes: "8 characters or more, without spaces",
        about: "What callers must show: `Authorization: Bearer …`",
        apply: |c, text| put(&mut c.token, shown_secret(text)),
    },
    Setting {
        name: "token_file",
        env: "SIDECAR_TOKEN_FILE",
        flag: Some("token-file"),
        default: None,
        kind: Kind::Plain,
        takes: "the path of a file that holds the token",
        about: "The token, read from a file",
        apply: |c, text| put(&mut c.token_file, path(text).map(Some)),
    },
    Setting {
        name: "admin_token",
        env: "SIDECAR_ADMIN_TOKEN",
        flag: None,
        default: None,
        kind: Kind::Secret,
        takes: "8 characters or more, without spaces",
        about: "A second token that alone may administer (sidecar_reset)",
        apply: |c, text| put(&mut c.admin_token, shown_secret(text)),
    },
    Setting {
        name: "admin_token_file",
        env: "SIDECAR_ADMIN_TOKEN_FILE",
        flag: Some("admin-token-file"),
        default: None,
        kind: Kind::Plain,
        takes: "the path of a file that holds the token",
        about: "The second token, read from a file",
        apply: |c, text| put(&mut c.admin_token_file, path(text).map(Some)),
    },
    Setting {
        name: "insecure",
        env: "SIDECAR_INSECURE",
        flag: Some("insecure"),
        default: Some("false"),
        kind: Kind::Switch,
        takes: "true or false",
        about: "Serve callers and peers from beyond loopback without token and secret",
        apply: |c, text| put(&mut c.insecure, parse::switch(text)),
    },
    Setting {
        name: "allowed_hosts",
        env: "SIDECAR_ALLOWED_HOSTS",
        flag: Some("allowed-hosts"),
        default: Some(""),
        kind: Kind::List,
        takes: "host names, with or without port, commas between them",
        about: "Values of the Host header that are served, besides loopback's",
        apply: |c, text| put(&mut c.allowed_hosts, parse::list(text)),
    },
    Setting {
        name: "allowed_origins",
        env: "SIDECAR_ALLOWED_ORIGINS",
        flag: Some("allowed-origins"),
        default: Some(""),
        kind: Kind::List,
        takes: "origins such as https://agents.example.org, commas between them",
        about: "Web pages that may call, besides those of this machine",
        apply: |c, text| put(&mut c.allowed_origins, parse::list(text)),
    },
    Setting {
        name: "value_bytes_max",
        env: "SIDECAR_VALUE_BYTES_MAX",
        flag: Some("value-bytes-max"),
        default: Some("1048576"),
        kind: Kind::Plain,
        takes: "a number of bytes from 1024 to 2097152",
        about: "The largest value, step output or context that is stored",
        apply: |c, text| {
            put(&mut c.value_bytes_max, parse::number(text, VALUE_BYTES).map(|n| n as usize))
        },
    },
    Setting {
        name: "state_bytes_max",
        env: "SIDECAR_STATE_BYTES_MAX",
        flag: Some("state-bytes-max"),
        default: None,
        kind: Kind::Plain,
        takes: "a number of bytes from 1024",
        about: "How large the state may become: its names and values, and 64 bytes a row, the \
            history aside; in a cluster the leader's counts",
        apply: |c, text| {
            put(&mut c.state_bytes_max, parse::number(text, 1024..=u64::MAX).map(Some))
        },
    },
    Setting {
        name: "node_id",
        env: "SIDECAR_NODE_ID",
        flag: Some("node-id"),
        default: None,
        kind: Kind::Plain,
        takes: "this node's number, 1 or more",
        about: "raft: this node's number; one that SIDECAR_MEMBERS lacks waits for `cluster add`",
        apply: |c, text| put(&mut c.node_id, parse::number(text, 1..=u64::MAX).map(Some)),
    },
    Setting {
        name: "cluster_name",
        env: "SIDECAR_CLUSTER_NAME",
        flag: Some("cluster-name"),
        default: Some("sidecar"),
        kind: Kind::Plain,
        takes: "a name",
        about: "raft: nodes of another name are refused",
        apply: |c, text| put(&mut c.cluster_name, parse::text(text)),
    },
    Setting {
        name: "members",
        env: "SIDECAR_MEMBERS",
        flag: Some("members"),
        default: None,
        kind: Kind::List,
        takes: "1=host:9000,2=host:9000,3=host:9000",
        about: "raft: the nodes that found the cluster, and their peers' address, the same on each; it forms itself on first start",
        apply: |c, text| put(&mut c.members, parse::members(text)),
    },
    Setting {
        name: "raft_addr",
        env: "SIDECAR_RAFT_ADDR",
        flag: Some("raft-addr"),
        default: Some("0.0.0.0:9000"),
        kind: Kind::Plain,
        takes: "host:port",
        about: "raft: where this node listens for its peers and for gRPC",
        apply: |c, text| put(&mut c.raft_addr, parse::host_port(text, true)),
    },
    Setting {
        name: "advertise_url",
        env: "SIDECAR_ADVERTISE_URL",
        flag: Some("advertise-url"),
        default: None,
        kind: Kind::Plain,
        takes: "a URL such as http://host:8000/mcp",
        about: "raft: where clients reach this node's MCP; made from SIDECAR_MEMBERS, or SIDECAR_RAFT_ADDR, and SIDECAR_PORT where unset",
        apply: |c, text| put(&mut c.advertise_url, parse::url(text).map(Some)),
    },
    Setting {
        name: "data_dir",
        env: "SIDECAR_DATA_DIR",
        flag: Some("data-dir"),
        default: None,
        kind: Kind::Plain,
        takes: "a folder's path",
        about: "raft: this node's log, snapshots and history",
        apply: |c, text| put(&mut c.data_dir, path(text).map(Some)),
    },
    Setting {
        name: "cluster_secret",
        env: "SIDECAR_CLUSTER_SECRET",
        flag: None,
        default: None,
        kind: Kind::Secret,
        takes: "8 characters or more, without spaces",
        about: "raft: what peers must show one another, the same on each node",
        apply: |c, text| put(&mut c.cluster_secret, shown_secret(text)),
    },
    Setting {
        name: "cluster_secret_file",
        env: "SIDECAR_CLUSTER_SECRET_FILE",
        flag: Some("cluster-secret-file"),
        default: None,
        kind: Kind::Plain,
        takes: "the path of a file that holds the secret",
        about: "raft: the secret, read from a file",
        apply: |c, text| put(&mut c.cluster_secret_file, path(text).map(Some)),
    },
    Setting {
        name: "heartbeat_ms",
        env: "SIDECAR_HEARTBEAT_MS",
        flag: Some("heartbeat-ms"),
        default: Some("100"),
        kind: Kind::Plain,
        takes: "milliseconds from 10 to 10000",
        about: "raft: how often the leader shows that it lives",
        apply: |c, text| put(&mut c.heartbeat_ms, parse::number(text, 10..=10_000)),
    },
    Setting {
        name: "election_min_ms",
        env: "SIDECAR_ELECTION_MIN_MS",
        flag: Some("election-min-ms"),
        default: Some("150"),
        kind: Kind::Plain,
        takes: "milliseconds from 20 to 60000, more than SIDECAR_HEARTBEAT_MS",
        about: "raft: the shortest silence after which a node stands for election",
        apply: |c, text| put(&mut c.election_min_ms, parse::number(text, 20..=60_000)),
    },
    Setting {
        name: "election_max_ms",
        env: "SIDECAR_ELECTION_MAX_MS",
        flag: Some("election-max-ms"),
        default: Some("300"),
        kind: Kind::Plain,
        takes: "milliseconds from 20 to 60000, more than SIDECAR_ELECTION_MIN_MS",
        about: "raft: the longest such silence; each node draws its own in between",
        apply: |c, text| put(&mut c.election_max_ms, parse::number(text, 20..=60_000)),
    },
    Setting {
        name: "snapshot_entries",
        env: "SIDECAR_SNAPSHOT_ENTRIES",
        flag: Some("snapshot-entries"),
        default: Some("50000"),
        kind: Kind::Plain,
        takes: "a number of log entries from 100 to 100000000",
        about: "raft: entries after which the next snapshot is taken",
        apply: |c, text| put(&mut c.snapshot_entries, parse::number(text, ENTRIES)),
    },
    Setting {
        name: "keep_entries",
        env: "SIDECAR_KEEP_ENTRIES",
        flag: Some("keep-entries"),
        default: Some("10000"),
        kind: Kind::Plain,
        takes: "a number of log entries from 100 to 100000000",
        about: "raft: entries kept behind a snapshot for nodes that were away for a moment",
        apply: |c, text| put(&mut c.keep_entries, parse::number(text, ENTRIES)),
    },
    Setting {
        name: "log",
        env: "SIDECAR_LOG",
        flag: Some("log"),
        default: Some("info,rmcp=warn,openraft=error,openraft::raft::raft_inner=off"),
        kind: Kind::Plain,
        takes: "off, error, warn, info, debug or trace, also by module: info,rmcp=warn",
        about: "What is logged, on standard error",
        apply: |c, text| put(&mut c.log, parse::log_filter(text)),
    },
    Setting {
        name: "log_format",
        env: "SIDECAR_LOG_FORMAT",
        flag: Some("log-format"),
        default: Some("text"),
        kind: Kind::Plain,
        takes: "text or json",
        about: "How log lines look",
        apply: |c, text| put(&mut c.log_format, parse::log_format(text)),
    },
];

const ENTRIES: std::ops::RangeInclusive<u64> = 100..=100_000_000;

const PORTS: std::ops::RangeInclusive<u64> = 0..=u16::MAX as u64;

// A request of one value must fit in a body of 4 MiB, escaped.
const VALUE_BYTES: std::ops::RangeInclusive<u64> = 1024..=2 * 1024 * 1024;

/// A guess must take longer than the cluster lives.
const SECRET_CHARS_MIN: usize = 8;

/// The setting of this name in the file.
pub fn by_name(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

fn put<T>(place: &mut T, value: Result<T, Why>) -> Result<(), Why> {
    *place = value?;
    Ok(())
}

fn path(text: &str) -> Result<PathBuf, Why> {
    parse::text(text).map(PathBuf::from)
}

fn secret(text: &str) -> Result<Option<Secret>, Why> {
    parse::text(text).map(|text| Some(Secret::new(text)))
}

/// A secret that travels in a header.
pub(super) fn shown_secret(text: &str) -> Result<Option<Secret>, Why> {
    let fits_a_header = text.chars().all(|c| c.is_ascii_graphic());
    if text.chars().count() < SECRET_CHARS_MIN || !fits_a_header {
        return Err(Why::new());
    }
    secret(text)
}
