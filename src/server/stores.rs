//! Which store the configuration asks for, and how it is opened: the one place
//! that knows them all.

use std::sync::Arc;

use crate::config::{Backend, Config};
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Store, clock};

/// A store that is open.
pub struct Opened {
    pub store: Arc<dyn Store>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("DB_PATH: {0}")]
    Sqlite(#[from] sqlite::OpenError),
}

/// Opens the store that `config` names.
///
/// # Errors
/// Its files cannot be used; they are as they were.
pub async fn open(config: &Config) -> Result<Opened, OpenError> {
    let clock = clock::system();
    match config.state_backend {
        Backend::Memory => Ok(Opened { store: Arc::new(MemoryStore::new(clock)) }),
        Backend::Sqlite => {
            let store = SqliteStore::open(&config.db_path, sqlite::Options::default(), clock)?;
            Ok(Opened { store: Arc::new(store) })
        }
        Backend::Raft => raft(config, clock).await,
    }
}

async fn raft(_config: &Config, _clock: clock::Clock) -> Result<Opened, OpenError> {
    panic!()
}
