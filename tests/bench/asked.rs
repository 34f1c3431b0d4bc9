//! What is asked of a run of the benchmark, on its command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::Result;
use crate::finding::Finding;
use crate::program::Program;
use crate::system::{Fsync, Kind};

/// Writes, reads, waits and look-ups, measured on this machine.
#[derive(Parser)]
pub struct Asked {
    /// How long each row takes, in seconds.
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub seconds: Duration,
    /// One kind of system alone, or one measurement. `finding` and `waiting` are
    /// measured only where they are named.
    #[arg(long)]
    pub only: Option<Only>,
    /// Of any measurement, one kind of system alone.
    #[arg(long)]
    pub on: Option<Kind>,
    /// When Redis syncs its file.
    #[arg(long, default_value = "always")]
    pub redis_fsync: Fsync,
    /// Another binary of the program, measured too, row by row in turn.
    #[arg(long)]
    pub against: Option<PathBuf>,
    /// The larger number of unrelated rows of `--only finding`.
    #[arg(long, default_value_t = 100_000)]
    pub rows: usize,
    /// One row of `--only finding` alone.
    #[arg(long)]
    pub row: Option<Finding>,
    /// Our nodes and etcd's under `h2load` and `wrk`, and one process beside others,
    /// which `--on three-nodes` leaves out.
    #[arg(long)]
    pub rivals: bool,
    /// How often `--rivals` measures each row; the medians count.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// `cargo bench` passes it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What `--only` takes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    Memory,
    Sqlite,
    Redis,
    ThreeNodes,
    ThreeEtcd,
    /// A node comes back that was away.
    Away,
    /// What a call costs beside unrelated rows.
    Finding,
    /// Many callers wait for work on three nodes.
    Waiting,
}

impl Only {
    /// The kind of system that it names, if it names one.
    fn kind(self) -> Option<Kind> {
        match self {
            Only::Memory => Some(Kind::Memory),
            Only::Sqlite => Some(Kind::Sqlite),
            Only::Redis => Some(Kind::Redis),
            Only::ThreeNodes => Some(Kind::ThreeNodes),
            Only::ThreeEtcd => Some(Kind::ThreeEtcd),
            Only::Away | Only::Finding | Only::Waiting => None,
        }
    }
}

impl Asked {
    /// Whether systems of this kind are to be measured, whatever is measured.
    pub fn concerns(&self, kind: Kind) -> bool {
        self.on.is_none_or(|on| on == kind)
    }

    /// Whether plain writes and reads on this kind are asked for.
    pub fn plain(&self, kind: Kind) -> bool {
        self.concerns(kind) && self.only.is_none_or(|only| only.kind() == Some(kind))
    }

    /// Whether [`crate::away`] is asked for.
    pub fn away(&self) -> bool {
        let only = self.only.is_none_or(|only| only == Only::Away);
        only && self.concerns(Kind::ThreeNodes)
    }

    /// The binaries to measure, this one first.
    pub fn programs(&self) -> Result<Vec<Program>> {
        let against = self.against.as_ref().map(|path| Program::other(path)).transpose()?;
        Ok([Program::this()].into_iter().chain(against).collect())
    }
}

fn seconds(text: &str) -> Result<Duration> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}
