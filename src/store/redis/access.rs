//! Access to a state: the connection to its Redis, and what is found there when it
//! is opened.

use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use tokio::time::Instant;

use super::address::RedisAddress;
use super::connection::{NewestCommit, RedisConnection};
use super::error::{RedisFault, RedisOpenError};
use super::fetch::{Fetch, Fetched};
use super::layout::{FORMAT, RedisKey, RedisKeys};
use super::options::{MoveIn, Options, is_prefix};
use crate::machine::command::StateLimits;

/// How long opening waits for a Redis that is starting or failing over.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two attempts.
const OPEN_PAUSE: Duration = Duration::from_millis(100);

/// How a state is reached.
pub(in crate::store) struct RedisAccess {
    pub address: Arc<RedisAddress>,
    pub keys: Arc<RedisKeys>,
    pub connection: Arc<RedisConnection>,
    pub newest_commit: Arc<NewestCommit>,
    pub prefix: String,
    pub move_in: MoveIn,
    pub limits: StateLimits,
}

impl RedisAccess {
    /// Access as `options` describe it. Nothing is connected yet.
    ///
    /// # Errors
    /// The URL or the prefix is invalid.
    pub fn new(options: Options) -> Result<RedisAccess, RedisOpenError> {
        let Options { url, prefix, move_in, limits } = options;
        let address = Arc::new(RedisAddress::parse(&url)?);
        if !is_prefix(&prefix) {
            return Err(RedisOpenError::Prefix(prefix));
        }
        let keys = Arc::new(RedisKeys::new(&prefix));
        let sidecar = format!("{:016x}", rand::random::<u64>());
        let newest_commit = Arc::new(NewestCommit::default());
        let connection = Arc::new(RedisConnection::new(
            address.clone(),
            keys.clone(),
            newest_commit.clone(),
            sidecar,
        ));
        Ok(RedisAccess { address, keys, connection, newest_commit, prefix, move_in, limits })
    }

    /// A further connection to the same Redis.
    pub fn new_connection(&self) -> RedisConnection {
        let (address, keys) = (self.address.clone(), self.keys.clone());
        let sidecar = self.connection.sidecar().to_owned();
        RedisConnection::new(address, keys, self.newest_commit.clone(), sidecar)
    }

    /// The state's position and its format. If there is no state yet, it is the
    /// beginning in the current format.
    ///
    /// # Errors
    /// Redis cannot be reached, or the state has a newer format.
    pub async fn find_state(&self) -> Result<(Fetched, u64), RedisOpenError> {
        let give_up = Instant::now() + OPEN_TIMEOUT;
        let found = (|| self.read_position())
            .retry(ConstantBuilder::default().with_delay(OPEN_PAUSE).without_max_times())
            .when(|fault| fault.is_temporary() && Instant::now() < give_up)
            .await;
        match found.map_err(|fault| self.open_error(fault))? {
            (found, format) if format <= FORMAT => Ok((found, format)),
            (_, found) => {
                let (place, prefix) = (self.place(), self.prefix.clone());
                Err(RedisOpenError::Newer { place, prefix, found, known: FORMAT })
            }
        }
    }

    async fn read_position(&self) -> Result<(Fetched, u64), RedisFault> {
        let format = self.format().await?.unwrap_or(FORMAT);
        if format > FORMAT {
            // This version may not be able to read the rest.
            return Ok((Fetched::default(), format));
        }
        Ok((self.connection.read(&Fetch::default(), None).await?, format))
    }

    /// The format of the state, if there is one.
    pub async fn format(&self) -> Result<Option<u64>, RedisFault> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.of(RedisKey::Meta)).arg("format");
        let command = &command;
        self.connection.run(|mut redis| async move { command.query_async(&mut redis).await }).await
    }

    /// The server's name in messages.
    pub fn place(&self) -> String {
        self.address.place.clone()
    }

    /// What a fault means to a caller that opens the state.
    pub fn open_error(&self, fault: RedisFault) -> RedisOpenError {
        let place = self.place();
        match fault {
            RedisFault::Unreached(reason) | RedisFault::Gone(reason) => {
                RedisOpenError::Unreached { place, reason }
            }
            RedisFault::NotNow(reason) | RedisFault::Refused(reason) => {
                RedisOpenError::Unfit { place, reason }
            }
            RedisFault::Damaged(reason) => RedisOpenError::Damaged { place, reason },
        }
    }
}
