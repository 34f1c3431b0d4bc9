//! The one place where the archive's worker runs, and the bounded queue to it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::ArchiveError;
use super::worker::{ArchiveWorker, JobFailure};
use crate::store::raft::host::Threads;

/// Jobs that may wait; more callers wait in turn for a place.
const JOBS_MAX: usize = 64;
/// With nothing to do the worker looks up this often.
const IDLE: Duration = Duration::from_secs(60);

type ArchiveJob = Box<dyn FnOnce(&mut ArchiveWorker) + Send>;

/// Sends jobs to the worker, which ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct ArchiveThread {
    jobs: UnboundedSender<(ArchiveJob, OwnedSemaphorePermit)>,
    /// One for each place in the queue.
    places: Arc<Semaphore>,
}

impl ArchiveThread {
    /// Starts to serve jobs.
    ///
    /// # Errors
    /// No thread can be had.
    pub(super) fn start(
        threads: &dyn Threads,
        worker: ArchiveWorker,
    ) -> Result<ArchiveThread, ArchiveError> {
        let (jobs, queue) = unbounded_channel();
        threads
            .spawn("archive", serve(queue, worker).boxed())
            .map_err(|error| ArchiveError::Stopped(error.to_string()))?;
        Ok(ArchiveThread { jobs, places: Arc::new(Semaphore::new(JOBS_MAX)) })
    }

    /// Has the worker do a job. A caller that goes away leaves it running.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut ArchiveWorker) -> Result<T, JobFailure> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| ArchiveError::Closed)?;
        let (reply, result) = oneshot::channel();
        let job: ArchiveJob = Box::new(move |worker| {
            let result = job(worker);
            // Whoever asked may be gone.
            let _ = reply.send(worker.settle(result));
        });
        self.jobs.send((job, place)).map_err(|_| ArchiveError::Closed)?;
        result.await.map_err(|_| ArchiveError::Closed)?
    }

    /// Has the worker do a job while the caller blocks its thread, as a drop
    /// has to. Does nothing where the queue is full or the worker has ended.
    pub(super) fn run_now(&self, job: impl FnOnce(&mut ArchiveWorker) + Send + 'static) {
        let Ok(place) = self.places.clone().try_acquire_owned() else { return };
        let (reply, result) = std::sync::mpsc::channel();
        let job: ArchiveJob = Box::new(move |worker| {
            job(worker);
            let _ = reply.send(());
        });
        if self.jobs.send((job, place)).is_ok() {
            // Fails where it ended before it came to the job.
            let _ = result.recv();
        }
    }
}

/// Does jobs first, and what is due unasked in between.
async fn serve(
    mut queue: UnboundedReceiver<(ArchiveJob, OwnedSemaphorePermit)>,
    mut worker: ArchiveWorker,
) {
    while !worker.is_closed() {
        let due = worker.due();
        if is_past(due) {
            // A timer would wait for its next tick.
            yield_now().await;
            if let Ok((job, _place)) = queue.try_recv() {
                job(&mut worker);
            }
        } else {
            let until = due.unwrap_or_else(|| Instant::now() + IDLE);
            match timeout_at(until, queue.recv()).await {
                Ok(Some((job, _place))) => job(&mut worker),
                Ok(None) => {
                    let closed = worker.close();
                    // Logged where it arose; nobody asked.
                    let _ = worker.settle(closed);
                    return;
                }
                Err(_due) => {}
            }
        }
        if is_past(worker.due()) {
            let done = worker.turn();
            let _ = worker.settle(done);
        }
    }
}

fn is_past(due: Option<Instant>) -> bool {
    due.is_some_and(|at| at <= Instant::now())
}
