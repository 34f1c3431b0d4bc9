//! Makes the next segment ahead of need and deletes old ones, so that neither
//! stalls a commit. The writer says when to do either.

use futures::FutureExt;
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};

use super::error::LogError;
use super::numbers::SegmentNumber;
use super::segment::Segment;
use super::segment_dir::SegmentDir;
use super::stats::LogStats;
use crate::store::raft::host::Threads;

/// Tasks that may wait: purges faster than the disk deletes then slow down.
const TASKS_MAX: usize = 64;

enum SegmentTask {
    Make { number: SegmentNumber, bytes: u64 },
    Remove(Vec<Segment>),
}

type MadeSegment = Result<Segment, LogError>;

/// Makes and deletes segments beside the writer.
#[derive(Debug)]
pub(super) struct SegmentPool {
    dir: SegmentDir,
    tasks: Sender<SegmentTask>,
    /// Ends once the last of the tasks is done. At most two segments wait in it.
    made: UnboundedReceiver<MadeSegment>,
    /// A segment that an earlier run left ready.
    spare: Option<Segment>,
    stats: LogStats,
}

impl SegmentPool {
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        threads: &dyn Threads,
        dir: &SegmentDir,
        spare: Option<Segment>,
        stats: LogStats,
    ) -> Result<Self, LogError> {
        let (tasks, queue) = channel(TASKS_MAX);
        let (results, made) = unbounded_channel();
        threads
            .spawn("log-segments", serve(dir.clone(), stats.clone(), queue, results).boxed())
            .map_err(|source| LogError::io("start the segment pool of", &dir.folder, source))?;
        Ok(Self { dir: dir.clone(), tasks, made, spare, stats })
    }

    /// Asks for a segment, unless one was left ready; [`SegmentPool::take`] follows.
    pub async fn prepare(&mut self, number: SegmentNumber, bytes: u64) {
        if self.spare.is_none() {
            self.send(SegmentTask::Make { number, bytes }).await;
        }
    }

    /// The segment asked for, or one in its place when that is too small.
    ///
    /// # Errors
    /// When it cannot be made, tried twice: room may have come since.
    pub async fn take(&mut self, number: SegmentNumber, bytes: u64) -> MadeSegment {
        let ready = match self.spare.take() {
            Some(spare) => Ok(spare),
            None => self.receive().await,
        };
        match ready {
            Ok(segment) if segment.bytes >= bytes => return Ok(segment),
            Ok(small) => self.stats.segment_went(small.bytes),
            Err(error) => tracing::warn!(%error, "no segment was ready; trying again"),
        }
        self.send(SegmentTask::Make { number, bytes }).await;
        self.receive().await
    }

    /// Deletes segments some time.
    pub async fn remove(&mut self, segments: Vec<Segment>) {
        if !segments.is_empty() {
            self.send(SegmentTask::Remove(segments)).await;
        }
    }

    /// Returns once all tasks are done, after which the folder may be opened
    /// again.
    pub async fn close(self) {
        let Self { tasks, mut made, .. } = self;
        drop(tasks);
        while made.recv().await.is_some() {}
    }

    async fn send(&self, task: SegmentTask) {
        // If the pool's thread is gone, `receive` says so, and the next open
        // makes up for deletions.
        let _ = self.tasks.send(task).await;
    }

    async fn receive(&mut self) -> MadeSegment {
        self.made.recv().await.unwrap_or_else(|| {
            let source = std::io::Error::other("the thread that makes segments is gone");
            Err(LogError::io("make a segment in", &self.dir.folder, source))
        })
    }
}

async fn serve(
    dir: SegmentDir,
    stats: LogStats,
    mut queue: Receiver<SegmentTask>,
    results: UnboundedSender<MadeSegment>,
) {
    while let Some(task) = queue.recv().await {
        match task {
            SegmentTask::Make { number, bytes } => {
                let made = Segment::create(&dir, number, bytes);
                if made.is_ok() {
                    stats.segment_came(bytes);
                }
                // The writer may be gone: the segment is found at the next open.
                let _ = results.send(made);
            }
            SegmentTask::Remove(segments) => remove(&dir, &stats, &segments),
        }
    }
}

/// A segment that cannot be deleted now is stale, and deleted at the next open.
fn remove(dir: &SegmentDir, stats: &LogStats, segments: &[Segment]) {
    for segment in segments {
        match dir.remove(segment.number) {
            Ok(()) => stats.segment_went(segment.bytes),
            Err(error) => tracing::warn!(%error, "an old segment stays"),
        }
    }
    if let Err(error) = dir.sync() {
        tracing::warn!(%error, "an old segment may come back");
    }
}
