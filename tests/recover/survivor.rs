//! The only node of a cluster, in this process: it makes a folder to recover within
//! a second.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::machine::command::{Operation, Set, Transact};
use mcp_state_sidecar::machine::{Command, Json, Reply};
use mcp_state_sidecar::store::clock::{self, Clock};
use mcp_state_sidecar::store::raft::consensus::options;
use mcp_state_sidecar::store::raft::consensus::types::Peer;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::{Options, RaftStore, Started, log, rpc};
use mcp_state_sidecar::store::{Request, Store};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The number of commands, with one event each: enough for two snapshots and a log
/// behind them.
pub const SETS: u64 = 250;

/// Entries from one snapshot to the next.
const SNAPSHOT_ENTRIES: u64 = 100;

/// The size of a log segment; small, since folders are copied.
const SEGMENT_BYTES: u64 = 256 << 10;

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

pub fn log_options() -> log::Options {
    log::Options { segment_bytes: SEGMENT_BYTES, ..log::Options::default() }
}

/// Starts the only node of a cluster in `dir`, and waits until it leads.
pub async fn start(dir: &Path) -> Arc<RaftStore> {
    start_with(dir, log_options()).await
}

async fn start_with(dir: &Path, log: log::Options) -> Arc<RaftStore> {
    start_by("one", dir, log, clock::system()).await
}

/// Starts the only node of a cluster with another name and clock.
pub async fn of_cluster(name: &str, dir: &Path, clock: Clock) -> Arc<RaftStore> {
    start_by(name, dir, log::Options::default(), clock).await
}

async fn start_by(name: &str, dir: &Path, log: log::Options, clock: Clock) -> Arc<RaftStore> {
    let peer = Peer::at("127.0.0.1:1");
    let options = Options {
        cluster_name: name.to_owned(),
        node_id: 1,
        members: BTreeMap::from([(1, peer)]),
        url: String::new(),
        data_dir: dir.to_owned(),
        secret: None,
        limits: Default::default(),
        speaks: rpc::SPEAKS,
        consensus: options::Options {
            snapshot_entries: SNAPSHOT_ENTRIES,
            keep_entries: SNAPSHOT_ENTRIES,
            ..options::Options::default()
        },
        log,
    };
    let environment = Environment { clock, ..Environment::system() };
    let Started { store, .. } = RaftStore::start(options, environment).await.unwrap();
    let deadline = soon();
    while !store.health().await.cluster.unwrap().caught_up {
        assert!(Instant::now() < deadline, "the node has not become the leader");
        sleep(Duration::from_millis(10)).await;
    }
    store
}

pub fn request(command: Command) -> Request {
    Request { command, idempotency: None, actor: None, random: 7, attempt: false }
}

pub fn set(key: &str, value: u64) -> Command {
    let value = Json::new(value.to_string());
    let key = key.into();
    Command::Set(Set { key, value, ttl_ms: None, agent_id: None, if_revision: None, fence: None })
}

/// One command with the most events that one may have, all with the same value.
pub fn sets(value: u64) -> Command {
    let then = (0..128).map(|n| Operation::Set {
        key: format!("k/{n}").into(),
        value: Json::new(value.to_string()),
        ttl_ms: None,
    });
    Command::Transact(Transact {
        compare: Vec::new(),
        then: then.collect(),
        otherwise: Vec::new(),
        agent_id: None,
        fence: None,
    })
}

pub async fn submit(store: &dyn Store, command: Command) -> Reply {
    store.submit(request(command), soon()).await.unwrap()
}

/// The folder of a node that applied [`SETS`] commands and stopped.
pub async fn survivor() -> TempDir {
    survivor_with(log_options()).await
}

/// Like [`survivor`], with a log of many segments.
pub async fn survivor_of_segments() -> TempDir {
    survivor_with(log::Options { segment_bytes: 8 << 10, ..log_options() }).await
}

async fn survivor_with(log: log::Options) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = start_with(dir.path(), log).await;
    for n in 0..SETS {
        submit(&*store, set(&format!("key/{}", n % 50), n)).await;
    }
    let deadline = soon();
    while store.health().await.cluster.unwrap().snapshot_index < 2 * SNAPSHOT_ENTRIES - 50 {
        assert!(Instant::now() < deadline, "no snapshot was taken");
        sleep(Duration::from_millis(10)).await;
    }
    store.close().await;
    dir
}

/// Every file under `dir`, by its path relative to it.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(dir).unwrap().to_owned();
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    found
}

/// The names in a folder.
pub fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A copy of a folder, to be damaged.
pub fn copy(dir: &Path) -> TempDir {
    let copied = tempfile::tempdir().unwrap();
    for (name, content) in files(dir) {
        let path = copied.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    copied
}
