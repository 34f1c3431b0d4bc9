//! Reads entries from memory, or from the segments that the index names. An
//! entry that comes from disk is checked against the checksum that is known since
//! it was written.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use openraft::{OptionalSend, RaftLogReader};

use super::error::LogError;
use super::index::EntrySource;
use super::location::Location;
use super::payload::{self, LogOperation};
use super::queue::LogShared;
use super::record;
use super::segment::Segment;
use crate::store::raft::consensus::entry::{Entry, LogId, Vote, decode_entry};
use crate::store::raft::consensus::types::TypeConfig;
use crate::store::raft::host::Environment;

/// Reads the log. Clones read the same log.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub(super) environment: Environment,
    pub(super) shared: Arc<LogShared>,
    /// The most bytes of entries that one read returns; at least one entry.
    pub(super) read_bytes: u64,
}

impl LogReader {
    async fn read(&self, range: Range<u64>, bytes_max: u64) -> Result<Vec<Entry>, LogError> {
        self.shared.check()?;
        let sources = self.shared.index().sources(range, bytes_max);
        let stored = sources.iter().any(|source| matches!(source, EntrySource::Stored { .. }));
        if !stored {
            return sources.into_iter().map(load).collect();
        }
        // Fails only if the runtime is shutting down.
        self.environment
            .blocking(|| Ok(sources.into_iter().map(load).collect()))
            .await
            .unwrap_or(Err(LogError::Closed))
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.read(indexes(&range), u64::MAX).await?)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        Ok(self.read(start..end, self.read_bytes).await?)
    }

    /// Reads in parts, so that applying a long log does not load all of it.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let reader = self.clone();
        let parts = stream::try_unfold(indexes(&range), move |rest| {
            let reader = reader.clone();
            async move {
                let part = reader.read(rest.clone(), reader.read_bytes).await?;
                let Some(last) = part.last() else {
                    return Ok::<_, io::Error>(None);
                };
                let next = last.log_id.index + 1;
                let part = stream::iter(part).map(Ok::<_, io::Error>);
                Ok(Some((part, next..rest.end.max(next))))
            }
        });
        Box::pin(parts.try_flatten())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.shared.check()?;
        Ok(self.shared.index().vote)
    }
}

fn indexes(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end.max(start)
}

pub(super) fn load(source: EntrySource) -> Result<Entry, LogError> {
    match source {
        EntrySource::Cached(entry) => Ok(entry),
        EntrySource::Stored { id, location, segment } => load_stored(id, &location, &segment),
    }
}

fn load_stored(id: LogId, location: &Location, segment: &Segment) -> Result<Entry, LogError> {
    let damaged = |reason| LogError::damaged(&segment.path, location.at, reason);
    let mut bytes = vec![0; location.bytes as usize];
    segment
        .file
        .read_exact_at(&mut bytes, location.at)
        .map_err(|source| LogError::io("read", &segment.path, source))?;
    record::apply_mask(&mut bytes, location.mask);
    if crc32c::crc32c(&bytes) != location.checksum {
        return Err(damaged(format!("entry {id} is not what was written")));
    }
    match payload::decode(&bytes).map_err(damaged)? {
        LogOperation::Append(entry) => {
            decode_entry(entry).map_err(|error| damaged(error.to_string()))
        }
        LogOperation::Vote(_)
        | LogOperation::Committed(_)
        | LogOperation::Truncate(_)
        | LogOperation::Purge(_) => Err(damaged(format!("entry {id} is not what was written"))),
    }
}
