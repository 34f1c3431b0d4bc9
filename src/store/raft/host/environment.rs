//! Everything that a node takes from the host that it runs on, in one place.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::database::Databases;
use super::dial::{Dial, Tcp};
use super::disk::Disk;
use super::sled_database::SledDatabases;
use super::system_disk::SystemDisk;
use super::threads::{SystemThreads, Threads};
use crate::store::clock::{self, Clock};

/// What a node runs on. Clones are the same environment.
#[derive(Clone)]
pub struct Environment {
    pub disk: Arc<dyn Disk>,
    pub threads: Arc<dyn Threads>,
    /// Where the archive's database lives.
    pub databases: Arc<dyn Databases>,
    pub dial: Arc<dyn Dial>,
    pub clock: Clock,
    /// A new random number, which nobody can guess, at each call.
    pub random: fn() -> u64,
}

impl Environment {
    /// The machine's own.
    pub fn system() -> Environment {
        Environment {
            disk: Arc::new(SystemDisk),
            threads: Arc::new(SystemThreads),
            databases: Arc::new(SledDatabases),
            dial: Arc::new(Tcp),
            clock: clock::system(),
            random: rand::random,
        }
    }

    /// Does `work`, which keeps a thread waiting for the disk, away from the
    /// threads that serve calls, and returns what it gave.
    ///
    /// # Errors
    /// Those of `work`; or it panicked, or the runtime is going away.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (reply, result) = oneshot::channel();
        // Whoever asked may have gone.
        let work = move || drop(reply.send(work()));
        self.threads.run(Box::new(work)).await?;
        result.await.map_err(io::Error::other)?
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_struct("Environment");
        parts.field("disk", &self.disk).field("threads", &self.threads);
        parts.field("databases", &self.databases).field("dial", &self.dial);
        parts.finish_non_exhaustive()
    }
}
