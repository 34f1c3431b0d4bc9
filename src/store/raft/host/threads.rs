//! Where work runs that keeps a thread waiting for a disk: beside the threads
//! that serve calls, which must never wait.
//!
//! Lasting work is a future, so that it has one form for the machine, where it
//! has a thread to itself and may block it, and for a simulation, where it is
//! one task among all others and every wait is simulated.

use std::fmt;
use std::io;

use futures::future::BoxFuture;

/// Runs work beside the caller.
pub trait Threads: fmt::Debug + Send + Sync + 'static {
    /// Runs lasting `work`, which may block between its waits.
    ///
    /// # Errors
    /// No thread can be had.
    fn spawn(&self, name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()>;

    /// Runs `work`, which blocks for a while, and returns once it is done.
    ///
    /// # Errors
    /// `work` panicked, or the runtime is going away.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, io::Result<()>>;
}

/// The machine's own threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemThreads;

impl Threads for SystemThreads {
    fn spawn(&self, name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        // The thread has a runtime to itself: it may outlive the caller's, whose
        // timers would panic then.
        let work = move || match tokio::runtime::Builder::new_current_thread().enable_time().build()
        {
            Ok(runtime) => runtime.block_on(work),
            // Whoever waits for the work sees that its end of a channel is gone.
            Err(error) => tracing::error!(name, %error, "a thread has no timers"),
        };
        std::thread::Builder::new().name(name.into()).spawn(work).map(drop)
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, io::Result<()>> {
        let running = tokio::task::spawn_blocking(work);
        Box::pin(async { running.await.map_err(io::Error::other) })
    }
}
