//! The state that the configuration names as the source or the target of a
//! transfer, without serving it. Beside `stores` the one place that knows all
//! stores.

use tokio::time::Instant;

use super::stores;
use crate::config::{Backend, Config};
use crate::machine::Meta;
use crate::store::export::{Export, StoreImport};
use crate::store::raft::offline::seed::{self, Seed, SeedError};
use crate::store::redis::{self, RedisClock, RedisImport, RedisStore};
use crate::store::sqlite::{self, SqliteImport};
use crate::store::{Store, StoreError};

/// Why a state cannot be moved; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("DB_PATH: {0}")]
    Export(#[from] sqlite::SqliteExportError),
    #[error("DB_PATH: {0}")]
    SqliteImport(#[from] sqlite::SqliteImportError),
    #[error("REDIS_URL: {0}")]
    Redis(#[from] redis::OpenError),
    #[error("REDIS_URL: {0}")]
    RedisExport(#[source] StoreError),
    #[error("REDIS_URL: {0}")]
    RedisImport(#[from] redis::RedisImportError),
    #[error("SIDECAR_DATA_DIR: {0}")]
    Seed(#[from] SeedError),
    #[error("{0}: not set, though STATE_BACKEND=raft needs it")]
    Missing(&'static str),
    /// Asked of a store that cannot do it.
    #[error("STATE_BACKEND: got {0:?}, {1}")]
    Unfit(&'static str, &'static str),
}

/// Exports the state that `config` names; processes that serve it go on.
///
/// # Errors
/// There is none, or it cannot be read by `deadline`.
pub async fn export(config: &Config, deadline: Instant) -> Result<Export, TransferError> {
    let unfit = |why| Err(TransferError::Unfit(config.state_backend.as_str(), why));
    match config.state_backend {
        Backend::Sqlite => Ok(sqlite::export_file(&config.db_path, deadline).await?),
        Backend::Redis => {
            let options = stores::redis_options(config);
            let store = RedisStore::open_to_read(options, RedisClock::Server).await?;
            store.export(deadline).await.map_err(TransferError::RedisExport)
        }
        Backend::Memory => unfit("whose state is in the process that serves it; use --node"),
        Backend::Raft => unfit("whose state is the whole cluster's; use --node with any node"),
    }
}

/// Begins an import of the state at `meta` into what `config` names.
///
/// # Errors
/// The target is not there, or not empty and not to be replaced.
pub async fn begin_import(
    config: &Config,
    meta: Meta,
    replace: bool,
) -> Result<Box<dyn StoreImport>, TransferError> {
    let unfit = |why| Err(TransferError::Unfit(config.state_backend.as_str(), why));
    match config.state_backend {
        Backend::Sqlite => Ok(Box::new(SqliteImport::begin(&config.db_path, meta, replace)?)),
        Backend::Redis => {
            let options = stores::redis_options(config);
            Ok(Box::new(RedisImport::begin(options, meta, replace).await?))
        }
        Backend::Memory => unfit("which is gone when this command ends"),
        Backend::Raft => Ok(Box::new(Seed::begin(seed_options(config)?, meta).await?)),
    }
}

/// Whose data directory is to be made: that of the node which `config` is of.
fn seed_options(config: &Config) -> Result<seed::Options, TransferError> {
    Ok(seed::Options {
        cluster_name: config.cluster_name.clone(),
        node_id: config.node_id.ok_or(TransferError::Missing("SIDECAR_NODE_ID"))?,
        members: stores::members(config),
        data_dir: config.data_dir.clone().ok_or(TransferError::Missing("SIDECAR_DATA_DIR"))?,
    })
}
