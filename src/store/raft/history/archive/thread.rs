//! The one thread that touches sled, and the bounded way to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::worker::{ArchiveSignals, ArchiveWorker, JobFailure};
use super::{ArchiveError, Options};

/// Jobs that may wait; more callers wait in turn for a place.
const JOBS_MAX: usize = 64;
/// With nothing to do the thread looks up this often.
const IDLE: Duration = Duration::from_secs(60);

type ArchiveJob = Box<dyn FnOnce(&mut ArchiveWorker) + Send>;

/// The way to the thread. It ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct ArchiveThread {
    jobs: Sender<(ArchiveJob, OwnedSemaphorePermit)>,
    /// One for each place in the queue.
    places: Arc<Semaphore>,
}

impl ArchiveThread {
    /// Starts the thread and opens the archive on it. Also returns why what
    /// was there was moved aside, if so.
    pub(super) fn start(
        dir: PathBuf,
        options: Options,
        signals: ArchiveSignals,
    ) -> Result<(ArchiveThread, Option<String>), ArchiveError> {
        let (jobs, queue) = channel();
        let (opened_tx, opened) = channel();
        let work = move || {
            let (mut worker, damage) = match ArchiveWorker::open(dir, options, signals) {
                Ok(opened) => opened,
                Err(error) => {
                    let _ = opened_tx.send(Err(error));
                    return;
                }
            };
            let _ = opened_tx.send(Ok(damage));
            work_off(&queue, &mut worker);
        };
        std::thread::Builder::new()
            .name("archive".into())
            .spawn(work)
            .map_err(|error| ArchiveError::Stopped(error.to_string()))?;
        let damage = opened.recv().map_err(|_| ArchiveError::Closed)??;
        Ok((ArchiveThread { jobs, places: Arc::new(Semaphore::new(JOBS_MAX)) }, damage))
    }

    /// Runs `job` on the thread. A caller that goes away leaves it running.
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

    /// Runs `job` for a caller that may not wait otherwise, as in a drop. Not
    /// where the queue is full, or the thread has ended.
    pub(super) fn run_now(&self, job: impl FnOnce(&mut ArchiveWorker) + Send + 'static) {
        let Ok(place) = self.places.clone().try_acquire_owned() else { return };
        let (reply, result) = channel();
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

/// Jobs first; what is to be done of itself in between.
fn work_off(queue: &Receiver<(ArchiveJob, OwnedSemaphorePermit)>, worker: &mut ArchiveWorker) {
    while !worker.is_closed() {
        let wait = worker.due().map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
        match queue.recv_timeout(wait) {
            Ok((job, _place)) => job(worker),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let closed = worker.close();
                let _ = worker.settle(closed);
                return;
            }
        }
        if worker.due().is_some_and(|at| at <= Instant::now()) {
            let done = worker.turn();
            // Logged in there; nobody asked.
            let _ = worker.settle(done);
        }
    }
}
