//! The systems that can be measured, and what they are called.

use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::load::Protocol;
use crate::servers::NODES;

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// One process that keeps nothing.
    Memory,
    /// So many processes on one SQLite file.
    Sqlite(usize),
    /// So many processes on one Redis.
    Redis(usize),
    /// Three processes.
    Cluster,
    /// Three processes of etcd, where it is installed.
    Etcd,
}

/// Systems that differ only in how many processes there are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Memory,
    Sqlite,
    Redis,
    ThreeNodes,
    ThreeEtcd,
}

/// When Redis syncs its append-only file.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Before it answers, as the other stores do.
    Always,
    /// Once a second, beside the calls: a power loss takes the last second.
    #[value(name = "everysec")]
    EverySecond,
}

impl Fsync {
    /// As Redis names it.
    pub fn name(self) -> &'static str {
        match self {
            Fsync::Always => "always",
            Fsync::EverySecond => "everysec",
        }
    }
}

impl System {
    pub const ALL: [System; 8] = [
        System::Memory,
        System::Sqlite(1),
        System::Sqlite(4),
        System::Redis(1),
        System::Redis(2),
        System::Redis(4),
        System::Cluster,
        System::Etcd,
    ];

    /// One of each store of ours.
    pub const STORES: [System; 4] =
        [System::Memory, System::Sqlite(1), System::Redis(1), System::Cluster];

    pub fn name(self) -> &'static str {
        match self {
            System::Memory => "memory",
            System::Sqlite(1) => "SQLite",
            System::Sqlite(_) => "four on SQLite",
            System::Redis(1) => "Redis",
            System::Redis(2) => "two on Redis",
            System::Redis(_) => "four on Redis",
            System::Cluster => "three nodes",
            System::Etcd => "three etcd",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            System::Memory => Kind::Memory,
            System::Sqlite(_) => Kind::Sqlite,
            System::Redis(_) => Kind::Redis,
            System::Cluster => Kind::ThreeNodes,
            System::Etcd => Kind::ThreeEtcd,
        }
    }

    pub fn processes(self) -> usize {
        match self {
            System::Memory => 1,
            System::Sqlite(processes) | System::Redis(processes) => processes,
            System::Cluster | System::Etcd => NODES,
        }
    }

    /// One protocol is enough to see what sharing costs.
    pub fn protocols(self) -> &'static [Protocol] {
        match self {
            System::Memory | System::Sqlite(1) | System::Redis(1) | System::Cluster => {
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
            System::Memory | System::Sqlite(_) | System::Cluster => None,
            System::Redis(_) => (!runs("redis-server"))
                .then_some("there is no redis-server here; Debian's package redis-server has it"),
            System::Etcd => (!runs("etcd"))
                .then_some("there is no etcd here; Debian's package etcd-server has it"),
        }
    }
}
