//! Work that keeps a thread waiting, away from the threads that serve calls. In
//! a simulation there is one thread, and the work is done in its place: what
//! another thread did meanwhile would depend on the machine.

use std::io;

/// Does `work` and returns what it gave.
///
/// # Errors
/// Those of `work`; or it panicked, or the runtime is going away.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    #[cfg(not(feature = "simulation"))]
    return tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?;
    #[cfg(feature = "simulation")]
    return work();
}
