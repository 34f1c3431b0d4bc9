//! Opens the store that the configuration names. Only this file and `export_import` know
//! all stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::access::Secret;
use crate::config::{Backend, Config};
use crate::store::Store;
use crate::store::clock::{self, Clock};
use crate::store::memory::MemoryStore;
use crate::store::raft::consensus::options::Options as Consensus;
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::host::Environment;
use crate::store::raft::membership::view::Expelled;
use crate::store::raft::{self, Peers, RaftStore, Started};
use crate::store::redis::{self, RedisClock, RedisStore};
use crate::store::sqlite::{self, SqliteStore};

/// A store that is open.
pub struct OpenedStore {
    pub store: Arc<dyn Store>,
    /// The service that the other nodes of a cluster call.
    pub peers: Option<Peers>,
    /// Reports when the cluster goes on without this node for good.
    pub expelled: Option<watch::Receiver<Option<Expelled>>>,
}

impl OpenedStore {
    /// A store that has no other nodes.
    fn single(store: impl Store) -> OpenedStore {
        OpenedStore { store: Arc::new(store), peers: None, expelled: None }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    #[error("DB_PATH: {0}")]
    Sqlite(#[from] sqlite::SqliteOpenError),
    #[error("REDIS_URL: {0}")]
    Redis(#[from] redis::RedisOpenError),
    #[error("SIDECAR_DATA_DIR: {0}")]
    Raft(#[from] raft::StartError),
    #[error("{0}: not set, though STATE_BACKEND=raft needs it")]
    Missing(&'static str),
}

/// Opens the store that `config` names.
///
/// # Errors
/// The store cannot be opened. Its data is unchanged.
pub async fn open(config: &Config) -> Result<OpenedStore, StoreOpenError> {
    let clock = clock::system();
    match config.state_backend {
        Backend::Memory => {
            Ok(OpenedStore::single(MemoryStore::new(clock).limited_to(config.limits())))
        }
        Backend::Sqlite => {
            let options = sqlite::Options { limits: config.limits(), ..Default::default() };
            let store = SqliteStore::open(&config.db_path, options, clock)?;
            Ok(OpenedStore::single(store))
        }
        Backend::Redis => {
            let store = RedisStore::open(redis_options(config), RedisClock::Server).await?;
            Ok(OpenedStore::single(store))
        }
        Backend::Raft => join(config, clock).await,
    }
}

pub(super) fn redis_options(config: &Config) -> redis::Options {
    let defaults = redis::Options::default();
    let url = config.redis_url.as_ref().map(Secret::expose).map(str::to_owned);
    redis::Options {
        url: url.unwrap_or(defaults.url),
        prefix: config.redis_prefix.clone(),
        move_in: config.redis_move_in,
        limits: config.limits(),
    }
}

/// Starts this node of a cluster. Until the service for its peers is served, it neither
/// leads nor follows.
async fn join(config: &Config, clock: Clock) -> Result<OpenedStore, StoreOpenError> {
    let options = raft::Options {
        cluster_name: config.cluster_name.clone(),
        node_id: config.node_id.ok_or(StoreOpenError::Missing("SIDECAR_NODE_ID"))?,
        members: members(config),
        url: config.advertised_url().unwrap_or_default(),
        data_dir: config.data_dir.clone().ok_or(StoreOpenError::Missing("SIDECAR_DATA_DIR"))?,
        secret: config.cluster_secret.as_ref().map(Secret::expose).map(str::to_owned),
        limits: config.limits(),
        consensus: Consensus {
            heartbeat: Duration::from_millis(config.heartbeat_ms),
            election_min: Duration::from_millis(config.election_min_ms),
            election_max: Duration::from_millis(config.election_max_ms),
            snapshot_entries: config.snapshot_entries,
            keep_entries: config.keep_entries,
        },
        log: raft::log::Options::default(),
        speaks: raft::rpc::SPEAKS,
    };
    let environment = Environment { clock, ..Environment::system() };
    let Started { store, peers } = RaftStore::start(options, environment).await?;
    let expelled = Some(store.expelled());
    Ok(OpenedStore { store, peers: Some(peers), expelled })
}

/// The founding members of the cluster, as the configuration names them.
pub(super) fn members(config: &Config) -> BTreeMap<NodeId, Peer> {
    config.members.iter().map(|(id, addr)| (*id, Peer::at(addr.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn defaults_are_those_of_the_modules() {
        let config = Config::load(&Sources::default()).unwrap();
        let consensus = Consensus::default();
        let ms = |duration: Duration| duration.as_millis() as u64;
        assert_eq!(config.heartbeat_ms, ms(consensus.heartbeat));
        assert_eq!(config.election_min_ms, ms(consensus.election_min));
        assert_eq!(config.election_max_ms, ms(consensus.election_max));
        assert_eq!(config.snapshot_entries, consensus.snapshot_entries);
        assert_eq!(config.keep_entries, consensus.keep_entries);
        assert_eq!(config.value_bytes_max, crate::limits::VALUE_BYTES_MAX_DEFAULT);
    }
}
