//! The list of settings, with everything that the program knows about each of them. Flags,
//! environment, file, `--print-config` and the documentation all follow this list, and
//! nothing else in the program repeats a default.

use super::parse::{self, InvalidValue};
use super::types::Config;

/// One setting, with its names in the file, the environment and the command line.
pub struct Setting {
    /// The name in the TOML file.
    pub name: &'static str,
    /// The name in the environment.
    pub env: &'static str,
    /// The name on the command line, without the dashes. Secrets have none, since everyone
    /// on the machine can read the arguments of a process.
    pub flag: Option<&'static str>,
    /// The default as text. `None` where leaving the setting out has a meaning of its own.
    pub default: Option<&'static str>,
    pub kind: SettingKind,
    /// The values that are accepted; completes "expected …".
    pub expects: &'static str,
    /// The purpose of the setting, for people.
    pub about: &'static str,
    /// Parses the text into the configuration.
    pub apply: fn(&mut Config, &str) -> Result<(), InvalidValue>,
}

/// How a setting may be written and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    Plain,
    /// Several texts, separated by commas, or an array in the file.
    List,
    /// The flag without a value means `true`.
    Switch,
    /// The value is never shown.
    Secret,
}

/// Every setting, in the order in which people are shown them.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "state_backend",
        env: "STATE_BACKEND",
        flag: Some("state-backend"),
        default: Some("sqlite"),
        kind: SettingKind::Plain,
        expects: "sqlite, redis, raft or memory",
        about: "Where the state is kept: in a file, in Redis, in a cluster of nodes, or in memory until the program exits",
        apply: |c, text| put(&mut c.state_backend, parse::backend(text)),
    },
    Setting {
        name: "db_path",
        env: "DB_PATH",
        flag: Some("db-path"),
        default: Some("state_sidecar.db"),
        kind: SettingKind::Plain,
        expects: "the path of a file",
        about: "The SQLite file. Several processes may share it",
        apply: |c, text| put(&mut c.db_path, parse::path(text)),
    },
    Setting {
        name: "redis_url",
        env: "REDIS_URL",
        flag: Some("redis-url"),
        default: Some("redis://localhost:6379"),
        kind: SettingKind::Secret,
        expects: "redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://…, redis+unix:///PATH or \
                redis+sentinel://HOST[:PORT][,…]/NAME[/DB]",
        about: "redis: the address of the server; rediss:// uses TLS, and redis+sentinel:// asks Sentinels for it",
        apply: |c, text| put(&mut c.redis_url, parse::secret(text)),
    },
    Setting {
        name: "redis_prefix",
        env: "SIDECAR_REDIS_PREFIX",
        flag: Some("redis-prefix"),
        default: Some("sidecar"),
        kind: SettingKind::Plain,
        expects: "1 to 64 letters, digits, '-', '_', '.', '/' and ':'",
        about: "redis: the prefix of all keys, which is also their hash tag. Programs with the same prefix share one state",
        apply: |c, text| put(&mut c.redis_prefix, parse::redis_prefix(text)),
    },
    Setting {
        name: "redis_move_in",
        env: "SIDECAR_REDIS_MOVE_IN",
        flag: Some("redis-move-in"),
        default: Some("auto"),
        kind: SettingKind::Plain,
        expects: "auto, always or never",
        about: "redis: whether the first start takes over data under the Python reference's names: auto does if some of it was surely written by the reference",
        apply: |c, text| put(&mut c.redis_move_in, parse::move_in(text)),
    },
    Setting {
        name: "host",
        env: "SIDECAR_HOST",
        flag: Some("host"),
        default: Some("0.0.0.0"),
        kind: SettingKind::Plain,
        expects: "a host name or an address, without a port",
        about: "The host or address on which HTTP listens. Callers on other machines are refused until a token is set",
        apply: |c, text| put(&mut c.host, parse::host(text)),
    },
    Setting {
        name: "port",
        env: "SIDECAR_PORT",
        flag: Some("port"),
        default: Some("8000"),
        kind: SettingKind::Plain,
        expects: "a port from 0 to 65535 (0 means any free port)",
        about: "The port of HTTP, which serves /mcp, /healthz, /readyz and /metrics",
        apply: |c, text| put(&mut c.port, parse::number(text, PORTS).map(|port| port as u16)),
    },
    Setting {
        name: "grpc_addr",
        env: "SIDECAR_GRPC_ADDR",
        flag: Some("grpc-addr"),
        default: None,
        kind: SettingKind::Plain,
        expects: "host:port",
        about: "Where the public gRPC service listens. It is off if this is not set; with raft it is also served at SIDECAR_RAFT_ADDR",
        apply: |c, text| put(&mut c.grpc_addr, parse::listen_addr(text).map(Some)),
    },
    Setting {
        name: "token",
        env: "SIDECAR_TOKEN",
        flag: None,
        default: None,
        kind: SettingKind::Secret,
        expects: "8 or more characters without spaces",
        about: "The token that callers must send: `Authorization: Bearer …`",
        apply: |c, text| put(&mut c.token, parse::header_secret(text)),
    },
    Setting {
        name: "token_file",
        env: "SIDECAR_TOKEN_FILE",
        flag: Some("token-file"),
        default: None,
        kind: SettingKind::Plain,
        expects: "the path of a file that contains the token",
        about: "A file that contains the token",
        apply: |c, text| put(&mut c.token_file, parse::path(text).map(Some)),
    },
    Setting {
        name: "admin_token",
        env: "SIDECAR_ADMIN_TOKEN",
        flag: None,
        default: None,
        kind: SettingKind::Secret,
        expects: "8 or more characters without spaces",
        about: "A second token. If it is set, only it allows administration (sidecar_reset)",
        apply: |c, text| put(&mut c.admin_token, parse::header_secret(text)),
    },
    Setting {
        name: "admin_token_file",
        env: "SIDECAR_ADMIN_TOKEN_FILE",
        flag: Some("admin-token-file"),
        default: None,
        kind: SettingKind::Plain,
        expects: "the path of a file that contains the token",
        about: "A file that contains the second token",
        apply: |c, text| put(&mut c.admin_token_file, parse::path(text).map(Some)),
    },
    Setting {
        name: "insecure",
        env: "SIDECAR_INSECURE",
        flag: Some("insecure"),
        default: Some("false"),
        kind: SettingKind::Switch,
        expects: "true or false",
        about: "Serve callers and peers on other machines without a token or a secret",
        apply: |c, text| put(&mut c.insecure, parse::switch(text)),
    },
    Setting {
        name: "allowed_hosts",
        env: "SIDECAR_ALLOWED_HOSTS",
        flag: Some("allowed-hosts"),
        default: Some(""),
        kind: SettingKind::List,
        expects: "host names with or without a port, separated by commas",
        about: "Values of the Host header that are accepted besides the names of this machine",
        apply: |c, text| put(&mut c.allowed_hosts, parse::list(text)),
    },
    Setting {
        name: "allowed_origins",
        env: "SIDECAR_ALLOWED_ORIGINS",
        flag: Some("allowed-origins"),
        default: Some(""),
        kind: SettingKind::List,
        expects: "origins such as https://agents.example.org, separated by commas",
        about: "Web pages that may call, besides pages from this machine",
        apply: |c, text| put(&mut c.allowed_origins, parse::list(text)),
    },
    Setting {
        name: "tools",
        env: "SIDECAR_TOOLS",
        flag: Some("tools"),
        default: None,
        kind: SettingKind::List,
        expects: "default, all, reference, worker, orchestrator, or names of tools, separated by commas",
        about: "The tools that clients are offered. If it is not set, that is every tool but sidecar_reset, and a client may choose others with the header X-MCP-Toolsets; if it is set, a client may choose among these",
        apply: |c, text| put(&mut c.tools, parse::toolset(text)),
    },
    Setting {
        name: "value_bytes_max",
        env: "SIDECAR_VALUE_BYTES_MAX",
        flag: Some("value-bytes-max"),
        default: Some("1048576"),
        kind: SettingKind::Plain,
        expects: "a number of bytes from 1024 to 2097152",
        about: "The largest value, step output or context that is accepted",
        apply: |c, text| {
            put(&mut c.value_bytes_max, parse::number(text, VALUE_BYTES).map(|n| n as usize))
        },
    },
    Setting {
        name: "state_bytes_max",
        env: "SIDECAR_STATE_BYTES_MAX",
        flag: Some("state-bytes-max"),
        default: None,
        kind: SettingKind::Plain,
        expects: "a number of bytes, 1024 or more",
        about: "The largest size of the state: its names and values and 64 bytes for each row, without the history. In a cluster the setting of the leader counts",
        apply: |c, text| {
            put(&mut c.state_bytes_max, parse::number(text, 1024..=u64::MAX).map(Some))
        },
    },
    Setting {
        name: "run_retention",
        env: "SIDECAR_RUN_RETENTION",
        flag: Some("run-retention"),
        default: Some("7d"),
        kind: SettingKind::Plain,
        expects: "a time such as 3600, 90m, 24h or 7d, or forever",
        about: "How long a run that has ended is kept, with its steps and result, unless it was created with keep_seconds. In a cluster the setting of the leader counts",
        apply: |c, text| put(&mut c.run_retention_ms, parse::duration_ms(text)),
    },
    Setting {
        name: "node_id",
        env: "SIDECAR_NODE_ID",
        flag: Some("node-id"),
        default: None,
        kind: SettingKind::Plain,
        expects: "the number of this node, 1 or more",
        about: "raft: the number of this node. A node that SIDECAR_MEMBERS does not list waits for `cluster add`",
        apply: |c, text| put(&mut c.node_id, parse::number(text, 1..=u64::MAX).map(Some)),
    },
    Setting {
        name: "cluster_name",
        env: "SIDECAR_CLUSTER_NAME",
        flag: Some("cluster-name"),
        default: Some("sidecar"),
        kind: SettingKind::Plain,
        expects: "a name",
        about: "raft: the name of the cluster. Nodes with another name are refused",
        apply: |c, text| put(&mut c.cluster_name, parse::text(text)),
    },
    Setting {
        name: "members",
        env: "SIDECAR_MEMBERS",
        flag: Some("members"),
        default: None,
        kind: SettingKind::List,
        expects: "members such as 1=host:9000,2=host:9000,3=host:9000",
        about: "raft: the founding members with the addresses at which their peers reach them, the same on each node. They form the cluster at their first start",
        apply: |c, text| put(&mut c.members, parse::members(text)),
    },
    Setting {
        name: "raft_addr",
        env: "SIDECAR_RAFT_ADDR",
        flag: Some("raft-addr"),
        default: Some("0.0.0.0:9000"),
        kind: SettingKind::Plain,
        expects: "host:port",
        about: "raft: where this node listens for its peers and for gRPC",
        apply: |c, text| put(&mut c.raft_addr, parse::listen_addr(text)),
    },
    Setting {
        name: "advertise_url",
        env: "SIDECAR_ADVERTISE_URL",
        flag: Some("advertise-url"),
        default: None,
        kind: SettingKind::Plain,
        expects: "a URL such as http://host:8000/mcp",
        about: "raft: the URL at which clients reach MCP on this node. The default is made from SIDECAR_MEMBERS or SIDECAR_RAFT_ADDR, and SIDECAR_PORT",
        apply: |c, text| put(&mut c.advertise_url, parse::mcp_url(text).map(Some)),
    },
    Setting {
        name: "data_dir",
        env: "SIDECAR_DATA_DIR",
        flag: Some("data-dir"),
        default: None,
        kind: SettingKind::Plain,
        expects: "the path of a directory",
        about: "raft: the directory for the log, the snapshots and the history of this node",
        apply: |c, text| put(&mut c.data_dir, parse::path(text).map(Some)),
    },
    Setting {
        name: "cluster_secret",
        env: "SIDECAR_CLUSTER_SECRET",
        flag: None,
        default: None,
        kind: SettingKind::Secret,
        expects: "8 or more characters without spaces",
        about: "raft: the secret by which peers recognise one another, the same on each node",
        apply: |c, text| put(&mut c.cluster_secret, parse::header_secret(text)),
    },
    Setting {
        name: "cluster_secret_file",
        env: "SIDECAR_CLUSTER_SECRET_FILE",
        flag: Some("cluster-secret-file"),
        default: None,
        kind: SettingKind::Plain,
        expects: "the path of a file that contains the secret",
        about: "raft: a file that contains the secret",
        apply: |c, text| put(&mut c.cluster_secret_file, parse::path(text).map(Some)),
    },
    Setting {
        name: "heartbeat_ms",
        env: "SIDECAR_HEARTBEAT_MS",
        flag: Some("heartbeat-ms"),
        default: Some("100"),
        kind: SettingKind::Plain,
        expects: "milliseconds from 10 to 10000",
        about: "raft: how often the leader sends heartbeats",
        apply: |c, text| put(&mut c.heartbeat_ms, parse::number(text, 10..=10_000)),
    },
    Setting {
        name: "election_min_ms",
        env: "SIDECAR_ELECTION_MIN_MS",
        flag: Some("election-min-ms"),
        default: Some("150"),
        kind: SettingKind::Plain,
        expects: "milliseconds from 20 to 60000, more than SIDECAR_HEARTBEAT_MS",
        about: "raft: the shortest election timeout, which is the silence of the leader after which a node stands for election",
        apply: |c, text| put(&mut c.election_min_ms, parse::number(text, 20..=60_000)),
    },
    Setting {
        name: "election_max_ms",
        env: "SIDECAR_ELECTION_MAX_MS",
        flag: Some("election-max-ms"),
        default: Some("300"),
        kind: SettingKind::Plain,
        expects: "milliseconds from 20 to 60000, more than SIDECAR_ELECTION_MIN_MS",
        about: "raft: the longest election timeout. Each node draws one at random between the two",
        apply: |c, text| put(&mut c.election_max_ms, parse::number(text, 20..=60_000)),
    },
    Setting {
        name: "snapshot_entries",
        env: "SIDECAR_SNAPSHOT_ENTRIES",
        flag: Some("snapshot-entries"),
        default: Some("50000"),
        kind: SettingKind::Plain,
        expects: "a number of log entries from 100 to 100000000",
        about: "raft: the number of log entries after which the next snapshot is taken",
        apply: |c, text| put(&mut c.snapshot_entries, parse::number(text, ENTRIES)),
    },
    Setting {
        name: "keep_entries",
        env: "SIDECAR_KEEP_ENTRIES",
        flag: Some("keep-entries"),
        default: Some("10000"),
        kind: SettingKind::Plain,
        expects: "a number of log entries from 100 to 100000000",
        about: "raft: the number of log entries that are kept behind a snapshot, so that a node that was away for a moment needs no snapshot",
        apply: |c, text| put(&mut c.keep_entries, parse::number(text, ENTRIES)),
    },
    Setting {
        name: "log",
        env: "SIDECAR_LOG",
        flag: Some("log"),
        default: Some("info,rmcp=warn,openraft=error,openraft::raft::raft_inner=off"),
        kind: SettingKind::Plain,
        expects: "off, error, warn, info, debug or trace, also for each module: info,rmcp=warn",
        about: "What is logged on standard error",
        apply: |c, text| put(&mut c.log, parse::log_filter(text)),
    },
    Setting {
        name: "log_format",
        env: "SIDECAR_LOG_FORMAT",
        flag: Some("log-format"),
        default: Some("text"),
        kind: SettingKind::Plain,
        expects: "text or json",
        about: "The format of log lines",
        apply: |c, text| put(&mut c.log_format, parse::log_format(text)),
    },
];

const ENTRIES: std::ops::RangeInclusive<u64> = 100..=100_000_000;

const PORTS: std::ops::RangeInclusive<u64> = 0..=u16::MAX as u64;

// A request with one value must fit into a body of 4 MiB, even if every byte is escaped.
const VALUE_BYTES: std::ops::RangeInclusive<u64> = 1024..=2 * 1024 * 1024;

/// Finds a setting by its name in the file.
pub fn by_name(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

fn put<T>(place: &mut T, value: Result<T, InvalidValue>) -> Result<(), InvalidValue> {
    *place = value?;
    Ok(())
}
