//! The stores that are compared. Each begins empty, has a clock that the test moves, and
//! has as many copies as may share it: two on a SQLite file and on a Redis, and three
//! nodes of a cluster.

use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::machine::command::StateLimits;
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::raft;
use mcp_state_sidecar::store::redis::{self, RedisClock, RedisStore};
use mcp_state_sidecar::store::sqlite::{self, SqliteStore};
use tempfile::TempDir;
use tokio::time::Instant;

use support::cluster::Cluster;
use support::redis_server::{self, RedisServer};

/// Far longer than anything here takes: who meets it hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// When everything begins, in milliseconds since the Unix epoch.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// A kind of store that can be opened here.
#[derive(Clone)]
pub enum Opener {
    Sqlite,
    /// On a server that all sequences share, each with a prefix of its own.
    Redis(Arc<RedisServer>),
    Raft,
}

/// One empty store, and what opens more of it.
pub struct Stage {
    pub name: &'static str,
    pub copies: Vec<Arc<dyn Store>>,
    place: Place,
}

enum Place {
    Sqlite { dir: TempDir, options: sqlite::Options, clock: Arc<ManualClock> },
    Redis { options: redis::Options, clock: Arc<ManualClock> },
    Raft(Cluster),
}

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Every kind that there is on this machine.
pub fn all(test: &str) -> Vec<Opener> {
    let mut all = vec![Opener::Sqlite, Opener::Raft];
    if redis_server::is_installed(&format!("{test} on Redis")) {
        all.push(Opener::Redis(Arc::new(RedisServer::start())));
    }
    all
}

/// How large the state may become: small enough to be in the way at times.
pub const LIMITS: StateLimits =
    StateLimits { bytes_max: Some(5_000), run_retention_ms: Some(20_000) };

impl Opener {
    pub fn name(&self) -> &'static str {
        match self {
            Opener::Sqlite => "sqlite",
            Opener::Redis(_) => "redis",
            Opener::Raft => "raft",
        }
    }

    /// Opens an empty store of which the state may become so large.
    pub async fn open(&self, clock: &Arc<ManualClock>, limits: StateLimits) -> Stage {
        let (place, copies): (Place, Vec<Arc<dyn Store>>) = match self {
            Opener::Sqlite => {
                let dir = tempfile::tempdir().expect("a folder");
                let options = sqlite::Options { limits, ..sqlite::Options::default() };
                let copies = (0..2).map(|_| sqlite_copy(&dir, options, clock)).collect();
                (Place::Sqlite { dir, options, clock: clock.clone() }, copies)
            }
            Opener::Redis(server) => {
                let options = redis::Options {
                    url: server.url(),
                    prefix: server.prefix(),
                    limits,
                    ..redis::Options::default()
                };
                let copies =
                    vec![redis_copy(&options, clock).await, redis_copy(&options, clock).await];
                (Place::Redis { options, clock: clock.clone() }, copies)
            }
            Opener::Raft => {
                let tweak = if limits == LIMITS { limited } else { steady };
                let cluster = Cluster::build(clock.clone(), tweak).await;
                cluster.work_as_one_version().await;
                let copies = cluster.stores().map(|store| store as Arc<dyn Store>).collect();
                (Place::Raft(cluster), copies)
            }
        };
        Stage { name: self.name(), copies, place }
    }
}

/// A new leader's clock may be behind by the allowance, as it should be, but
/// not by accident on a busy machine.
fn steady(options: &mut raft::Options) {
    options.consensus.election_min = Duration::from_secs(2);
    options.consensus.election_max = Duration::from_secs(4);
}

fn limited(options: &mut raft::Options) {
    steady(options);
    options.limits = LIMITS;
}

fn sqlite_copy(
    dir: &TempDir,
    options: sqlite::Options,
    clock: &Arc<ManualClock>,
) -> Arc<dyn Store> {
    let path = dir.path().join("state.db");
    let store = SqliteStore::open(&path, options, clock.clone());
    Arc::new(store.expect("a file of our own"))
}

async fn redis_copy(options: &redis::Options, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
    let store = RedisStore::open(options.clone(), RedisClock::Given(clock.clone())).await;
    Arc::new(store.expect("a prefix of our own"))
}

impl Stage {
    /// One of the copies.
    pub fn copy(&self, number: u64) -> &Arc<dyn Store> {
        &self.copies[number as usize % self.copies.len()]
    }

    /// Whether an answer that need not be fresh may be by an older clock, until
    /// a command has told it the time.
    pub fn local_lags(&self) -> bool {
        self.remembers_nodes()
    }

    /// Whether the copies are nodes, whose sessions are part of the state.
    pub fn remembers_nodes(&self) -> bool {
        match self.place {
            Place::Sqlite { .. } | Place::Redis { .. } => false,
            Place::Raft(_) => true,
        }
    }

    /// Closes one of the copies and opens it anew, where that is a matter of
    /// moments: nothing may be remembered outside the state.
    pub async fn reopen(&mut self, number: u64) {
        let at = number as usize % self.copies.len();
        match &self.place {
            Place::Sqlite { dir, options, clock } => {
                self.copies[at].close().await;
                self.copies[at] = sqlite_copy(dir, *options, clock);
            }
            Place::Redis { options, clock } => {
                self.copies[at].close().await;
                self.copies[at] = redis_copy(options, clock).await;
            }
            Place::Raft(_) => {}
        }
    }

    pub async fn end(self) {
        match self.place {
            Place::Sqlite { .. } | Place::Redis { .. } => {
                for copy in &self.copies {
                    copy.close().await;
                }
            }
            Place::Raft(cluster) => cluster.end().await,
        }
    }
}
