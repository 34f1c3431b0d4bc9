//! The thread that makes the next segment ahead of need and deletes old ones,
//! so that neither stalls a commit. When to do either is the writer's to say.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::SegmentNumber;
use super::error::LogError;
use super::segment::{self, Segment};
use super::stats::LogStats;

/// Tasks that may wait: purges faster than the disk deletes then slow down.
const TASKS_MAX: usize = 64;

enum Task {
    Make { number: SegmentNumber, bytes: u64 },
    Remove(Vec<Segment>),
}

/// Makes and deletes segments on a thread of its own; ends when dropped.
#[derive(Debug)]
pub(super) struct Janitor {
    dir: PathBuf,
    tasks: Option<SyncSender<Task>>,
    made: Receiver<Result<Segment, LogError>>,
    thread: Option<JoinHandle<()>>,
    /// A segment that an earlier run left ready.
    spare: Option<Segment>,
    stats: LogStats,
}

impl Janitor {
    /// # Errors
    /// When no thread can be started.
    pub fn start(dir: &Path, spare: Option<Segment>, stats: LogStats) -> Result<Self, LogError> {
        let (tasks, todo) = sync_channel(TASKS_MAX);
        let (results, made) = channel();
        let (folder, figures) = (dir.to_path_buf(), stats.clone());
        let thread = std::thread::Builder::new()
            .name("log-janitor".into())
            .spawn(move || work(&folder, &figures, &todo, &results))
            .map_err(|source| LogError::io("start the janitor of", dir, source))?;
        let (tasks, thread) = (Some(tasks), Some(thread));
        Ok(Self { dir: dir.to_path_buf(), tasks, made, thread, spare, stats })
    }

    /// Asks for a segment, unless one was left ready; [`Janitor::take`] follows.
    pub fn prepare(&mut self, number: SegmentNumber, bytes: u64) {
        if self.spare.is_none() {
            self.send(Task::Make { number, bytes });
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
        self.send(Task::Make { number, bytes });
        self.receive()
    }

    /// Deletes segments, some time.
    pub fn remove(&mut self, segments: Vec<Segment>) {
        if !segments.is_empty() {
            self.send(Task::Remove(segments));
        }
    }

    fn send(&self, task: Task) {
        // A janitor that is gone shows in `receive`; deletions can wait for an open.
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task);
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

impl Drop for Janitor {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed; nothing is left to do for it.
            let _ = thread.join();
        }
    }
}

fn work(
    dir: &Path,
    stats: &LogStats,
    todo: &Receiver<Task>,
    results: &Sender<Result<Segment, LogError>>,
) {
    for task in todo {
        match task {
            Task::Make { number, bytes } => {
                let made = Segment::create(dir, number, bytes);
                if made.is_ok() {
                    stats.segment_came(bytes);
                }
                // The writer may be gone: the segment is found at the next open.
                let _ = results.send(made);
            }
            Task::Remove(segments) => remove(dir, stats, &segments),
        }
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
