//! The thread that makes the next segment ahead of need and deletes old ones,
//! so that neither stalls a commit. When to do either is the writer's to say.

use std::path::{Path, PathBuf};
#[cfg(not(feature = "simulation"))]
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::{Receiver, Sender, channel};
#[cfg(not(feature = "simulation"))]
use std::thread::JoinHandle;

use super::SegmentNumber;
use super::error::LogError;
use super::segment::{self, Segment};
use super::stats::LogStats;

#[cfg(not(feature = "simulation"))]
/// Tasks that may wait: purges faster than the disk deletes then slow down.
const TASKS_MAX: usize = 64;

enum SegmentTask {
    Make { number: SegmentNumber, bytes: u64 },
    Remove(Vec<Segment>),
}

/// Makes and deletes segments on a thread of its own; ends when dropped.
#[derive(Debug)]
pub(super) struct SegmentPool {
    dir: PathBuf,
    hands: PoolWorker,
    made: Receiver<Result<Segment, LogError>>,
    /// A segment that an earlier run left ready.
    spare: Option<Segment>,
    stats: LogStats,
}

impl SegmentPool {
    /// # Errors
    /// When no thread can be started.
    pub fn start(dir: &Path, spare: Option<Segment>, stats: LogStats) -> Result<Self, LogError> {
        let (results, made) = channel();
        let dir = dir.to_path_buf();
        let hands = PoolWorker::hire(&dir, &stats, results)?;
        Ok(Self { dir, hands, made, spare, stats })
    }

    /// Asks for a segment, unless one was left ready; [`SegmentPool::take`] follows.
    pub fn prepare(&mut self, number: SegmentNumber, bytes: u64) {
        if self.spare.is_none() {
            self.send(SegmentTask::Make { number, bytes });
        }
    }

    /// The segment asked for, or one in its place when that is too small.
    ///
    /// # Errors
    /// When it cannot be made, tried twice: room may have come since.
    pub fn take(&mut self, number: SegmentNumber, bytes: u64) -> Result<Segment, LogError> {
        let ready = match self.spare.take() {
            Some(spare) => Ok(spare),
            None => self.receive(),
        };
        match ready {
            Ok(segment) if segment.bytes >= bytes => return Ok(segment),
            Ok(small) => self.stats.segment_went(small.bytes),
            Err(error) => tracing::warn!(%error, "no segment was ready; trying again"),
        }
        self.send(SegmentTask::Make { number, bytes });
        self.receive()
    }

    /// Deletes segments, some time.
    pub fn remove(&mut self, segments: Vec<Segment>) {
        if !segments.is_empty() {
            self.send(SegmentTask::Remove(segments));
        }
    }

    fn send(&self, task: SegmentTask) {
        // A janitor that is gone shows in `receive`; deletions can wait for an open.
        match &self.hands {
            #[cfg(not(feature = "simulation"))]
            PoolWorker::Thread { tasks: Some(tasks), .. } => _ = tasks.send(task),
            #[cfg(not(feature = "simulation"))]
            PoolWorker::Thread { tasks: None, .. } => {}
            #[cfg(feature = "simulation")]
            PoolWorker::OfTheCaller(results) => carry_out(&self.dir, &self.stats, task, results),
        }
    }

    fn receive(&self) -> Result<Segment, LogError> {
        let gone = |_| {
            let source = std::io::Error::other("the janitor thread is gone");
            LogError::io("make a segment in", &self.dir, source)
        };
        self.made.recv().map_err(gone)?
    }
}

type PoolResults = Sender<Result<Segment, LogError>>;

/// Who does the work.
#[derive(Debug)]
enum PoolWorker {
    /// It ends when the last of the tasks is done.
    #[cfg(not(feature = "simulation"))]
    Thread { tasks: Option<SyncSender<SegmentTask>>, thread: Option<JoinHandle<()>> },
    /// A simulation has no second thread: a task is done as it is sent.
    #[cfg(feature = "simulation")]
    OfTheCaller(PoolResults),
}

impl PoolWorker {
    #[cfg(not(feature = "simulation"))]
    fn hire(dir: &Path, stats: &LogStats, results: PoolResults) -> Result<PoolWorker, LogError> {
        let (tasks, todo) = std::sync::mpsc::sync_channel(TASKS_MAX);
        let (folder, stats) = (dir.to_path_buf(), stats.clone());
        let work = move || {
            todo.into_iter().for_each(|task| carry_out(&folder, &stats, task, &results));
        };
        let thread = std::thread::Builder::new()
            .name("log-janitor".into())
            .spawn(work)
            .map_err(|source| LogError::io("start the janitor of", dir, source))?;
        Ok(PoolWorker::Thread { tasks: Some(tasks), thread: Some(thread) })
    }

    #[cfg(feature = "simulation")]
    fn hire(_: &Path, _: &LogStats, results: PoolResults) -> Result<PoolWorker, LogError> {
        Ok(PoolWorker::OfTheCaller(results))
    }
}

#[cfg(not(feature = "simulation"))]
impl Drop for PoolWorker {
    fn drop(&mut self) {
        let PoolWorker::Thread { tasks, thread } = self;
        *tasks = None;
        if let Some(thread) = thread.take() {
            // Its panic has been printed; nothing is left to do for it.
            let _ = thread.join();
        }
    }
}

fn carry_out(dir: &Path, stats: &LogStats, task: SegmentTask, results: &PoolResults) {
    match task {
        SegmentTask::Make { number, bytes } => {
            let made = Segment::create(dir, number, bytes);
            if made.is_ok() {
                stats.segment_came(bytes);
            }
            // The writer may be gone: the segment is found at the next open.
            let _ = results.send(made);
        }
        SegmentTask::Remove(segments) => remove(dir, stats, &segments),
    }
}

/// A segment that cannot be deleted now is stale, and deleted at the next open.
fn remove(dir: &Path, stats: &LogStats, segments: &[Segment]) {
    for segment in segments {
        match segment::remove(dir, segment.number) {
            Ok(()) => stats.segment_went(segment.bytes),
            Err(error) => tracing::warn!(%error, "an old segment stays"),
        }
    }
    if let Err(error) = segment::sync_dir(dir) {
        tracing::warn!(%error, "an old segment may come back");
    }
}
