//! The way to the archive in a simulation: there is no second thread, and a job
//! is done as it comes, with all that is due after it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::raft::history::archive::worker::{ArchiveSignals, ArchiveWorker, JobFailure};
use crate::store::raft::history::archive::{ArchiveError, Options};

/// Turns after one job: what is due is done in bounded pieces.
const TURNS_MAX: usize = 10_000;

/// The way to the worker.
#[derive(Clone)]
pub(super) struct ArchiveThread(Arc<Mutex<ArchiveWorker>>);

impl ArchiveThread {
    pub(super) fn start(
        dir: PathBuf,
        options: Options,
        signals: ArchiveSignals,
    ) -> Result<(ArchiveThread, Option<String>), ArchiveError> {
        let (worker, damage) = ArchiveWorker::open(dir, options, signals)?;
        let thread = ArchiveThread(Arc::new(Mutex::new(worker)));
        thread.run_now(|_| {});
        Ok((thread, damage))
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut ArchiveWorker) -> Result<T, JobFailure> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        // Another task's turn comes between, as on a thread.
        tokio::task::yield_now().await;
        let mut result = None;
        self.run_now(|worker| {
            let done = job(worker);
            result = Some(worker.settle(done));
        });
        result.unwrap_or(Err(ArchiveError::Closed))
    }

    pub(super) fn run_now(&self, job: impl FnOnce(&mut ArchiveWorker)) {
        let mut worker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        job(&mut worker);
        for _ in 0..TURNS_MAX {
            if worker.is_closed() || worker.due().is_none() {
                return;
            }
            let done = worker.turn();
            // Logged in there; nobody asked.
            let _ = worker.settle(done);
        }
    }
}
