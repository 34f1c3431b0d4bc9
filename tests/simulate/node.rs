//! One simulated node: everything that a real one is made of, but for the
//! program around it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mcp_state_sidecar::access::{self, Access};
use mcp_state_sidecar::api::grpc;
use mcp_state_sidecar::service::{self, Service};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::{Clock, TimeSource};
use mcp_state_sidecar::store::raft::consensus::options;
use mcp_state_sidecar::store::raft::consensus::types::Peer;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::{Options, RaftStore, Started, log, rpc};
use mcp_state_sidecar::sweep;
use tokio_util::sync::CancellationToken;
use turmoil::net::TcpListener;

use crate::bugs::{Bug, FaultyStore, Tokens};
use crate::database::SimulatedDatabases;
use crate::disk::SimulatedDisk;
use crate::io::{self, SimulatedTcp};
use crate::threads::SimulatedThreads;

/// Where every node listens.
pub const PORT: u16 = 9000;

/// Where all wall clocks would stand if they were right.
const START_MS: u64 = 1_700_000_000_000;

const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// A node as the world sees it from outside.
pub struct Outside {
    pub id: u64,
    /// The bug that is planted around it, if one is.
    pub bug: Option<Bug>,
    /// Granted in the whole cluster.
    pub tokens: Tokens,
    /// Its archive's, which a crash does not touch.
    pub databases: SimulatedDatabases,
    /// How far its wall clock is wrong.
    pub skew_ms: Arc<AtomicI64>,
    /// Its store, while it runs.
    pub store: RefCell<Option<Arc<RaftStore>>>,
    /// Why it did not start, if so.
    pub refused: RefCell<Option<String>>,
}

struct SkewedClock(Arc<AtomicI64>);

impl TimeSource for SkewedClock {
    fn wall_ms(&self) -> u64 {
        let right = START_MS + self.monotonic_ms();
        right.saturating_add_signed(self.0.load(Ordering::Relaxed))
    }

    fn monotonic_ms(&self) -> u64 {
        turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64
    }
}

impl Outside {
    pub fn new(id: u64, bug: Option<Bug>, tokens: Tokens) -> Rc<Outside> {
        Rc::new(Outside {
            id,
            bug,
            tokens,
            // Never everybody's may be lost: the history must be somewhere.
            databases: SimulatedDatabases::new(id == 1),
            skew_ms: Arc::default(),
            store: RefCell::default(),
            refused: RefCell::default(),
        })
    }

    pub fn name(&self) -> String {
        format!("n{}", self.id)
    }
}

/// What the node runs on.
fn environment(outside: &Outside) -> Environment {
    let forgets_log = outside.bug == Some(Bug::AcknowledgedBeforeSync);
    Environment {
        disk: Arc::new(SimulatedDisk::new(forgets_log)),
        threads: Arc::new(SimulatedThreads),
        databases: Arc::new(outside.databases.clone()),
        dial: Arc::new(SimulatedTcp),
        clock: Arc::new(SkewedClock(outside.skew_ms.clone())),
        // Follows from the seed; see `rng`.
        random: rand::random,
    }
}

/// Runs the node until its host is crashed.
pub async fn run(outside: Rc<Outside>, founders: u64) -> turmoil::Result {
    let environment = environment(&outside);
    let clock: Clock = environment.clock.clone();
    let members: BTreeMap<u64, Peer> =
        (1..=founders).map(|id| (id, Peer::at(format!("n{id}:{PORT}")))).collect();
    let options = Options {
        cluster_name: "simulated".to_owned(),
        node_id: outside.id,
        members,
        url: format!("http://n{}/mcp", outside.id),
        data_dir: PathBuf::from(format!("/node{}", outside.id)),
        secret: None,
        limits: Default::default(),
        speaks: rpc::SPEAKS,
        // Often, so that runs of some seconds have several.
        consensus: options::Options {
            snapshot_entries: 120,
            keep_entries: 40,
            ..options::Options::default()
        },
        log: log::Options { segment_bytes: 32 << 10, ..log::Options::default() },
    };
    let Started { store, peers } = match RaftStore::start(options, environment).await {
        Ok(started) => started,
        Err(error) => {
            outside.refused.replace(Some(error.to_string()));
            return Err(error.into());
        }
    };
    outside.store.replace(Some(store.clone()));
    let options = service::Options { clock, ..service::Options::default() };
    let served: Arc<dyn Store> = match outside.bug {
        Some(bug) => {
            let tokens = outside.tokens.clone();
            Arc::new(FaultyStore { store: store.clone(), bug, tokens })
        }
        None => store.clone(),
    };
    let service = Service::new(served.clone(), options);
    tokio::spawn(sweep::run(served, sweep::Options::default()));
    let access =
        access::Options { token: Some(access::Secret::new(TOKEN)), ..access::Options::default() };
    let api = grpc::api(service, Access::new(access), CancellationToken::new());
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let server = rpc::server_builder(KEEP_ALIVE).add_service(api).add_service(peers);
    server.serve_with_incoming(io::incoming(listener)).await?;
    Ok(())
}

/// What clients show: it gives the right to administer too.
pub const TOKEN: &str = "simulated";
