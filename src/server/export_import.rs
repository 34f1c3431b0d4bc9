//! Opens the store that the configuration names to export from it, or to import into it,
//! without serving it. Only this file and `stores` know all stores.

use tokio::time::Instant;

use super::stores;
use crate::config::{Backend, Config};
use crate::machine::Meta;
use crate::store::export::{Export, StoreImport};
use crate::store::raft::offline::seed::{self, Seed, SeedError};
use crate::store::redis::{self, RedisClock, RedisImport, RedisStore};
use crate::store::sqlite::{self, SqliteImport};
use crate::store::{Store, StoreError};

/// Why a state cannot be exported or imported. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ExportImportError {
    #[error("DB_PATH: {0}")]
    Export(#[from] sqlite::SqliteExportError),
    #[error("DB_PATH: {0}")]
    SqliteImport(#[from] sqlite::SqliteImportError),
    #[error("REDIS_URL: {0}")]
    Redis(#[from] redis::RedisOpenError),
    #[error("REDIS_URL: {0}")]
    RedisExport(#[source] StoreError),
    #[error("REDIS_URL: {0}")]
    RedisImport(#[from] redis::RedisImportError),
    #[error("SIDECAR_DATA_DIR: {0}")]
    Seed(#[from] SeedError),
    #[error("{0}: not set, though STATE_BACKEND=raft needs it")]
    Missing(&'static str),
    /// This kind of store cannot do it.
    #[error("STATE_BACKEND: got {0:?}, {1}")]
    Unsupported(&'static str, &'static str),
}

/// Begins an export of the state that `config` names. Processes that serve it go on.
///
/// # Errors
/// There is no such state, or it cannot be read by `deadline`.
pub async fn begin_export(config: &Config, deadline: Instant) -> Result<Export, ExportImportError> {
    let unsupported = |why| Err(ExportImportError::Unsupported(config.state_backend.as_str(), why));
    match config.state_backend {
        Backend::Sqlite => Ok(sqlite::export_file(&config.db_path, deadline).await?),
        Backend::Redis => {
            let options = stores::redis_options(config);
            let store = RedisStore::open_to_read(options, RedisClock::Server).await?;
            store.export(deadline).await.map_err(ExportImportError::RedisExport)
        }
        Backend::Memory => unsupported("whose state is in the process that serves it; use --node"),
        Backend::Raft => {
            unsupported("whose state is the whole cluster's; use --node with any node")
        }
    }
}

/// Begins an import of the state that `meta` describes, into the store that `config`
/// names.
///
/// # Errors
/// The target cannot be opened, or it holds a state and `replace` is false.
pub async fn begin_import(
    config: &Config,
    meta: Meta,
    replace: bool,
) -> Result<Box<dyn StoreImport>, ExportImportError> {
    let unsupported = |why| Err(ExportImportError::Unsupported(config.state_backend.as_str(), why));
    match config.state_backend {
        Backend::Sqlite => Ok(Box::new(SqliteImport::begin(&config.db_path, meta, replace)?)),
        Backend::Redis => {
            let options = stores::redis_options(config);
            Ok(Box::new(RedisImport::begin(options, meta, replace).await?))
        }
        Backend::Memory => unsupported("which is gone when this command ends"),
        Backend::Raft => Ok(Box::new(Seed::begin(seed_options(config)?, meta).await?)),
    }
}

/// The node whose data directory the import creates.
fn seed_options(config: &Config) -> Result<seed::Options, ExportImportError> {
    Ok(seed::Options {
        cluster_name: config.cluster_name.clone(),
        node_id: config.node_id.ok_or(ExportImportError::Missing("SIDECAR_NODE_ID"))?,
        members: stores::members(config),
        data_dir: config.data_dir.clone().ok_or(ExportImportError::Missing("SIDECAR_DATA_DIR"))?,
    })
}
