//! Figures about the log, for metrics and for the snapshot trigger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Figures about one log. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct LogStats(Arc<LogFigures>);

#[derive(Debug, Default)]
struct LogFigures {
    disk_bytes: AtomicU64,
    appended_since_purge_bytes: AtomicU64,
    last_sync_ns: AtomicU64,
}

impl LogStats {
    /// The bytes that the log's segments take on disk, including the spare one.
    pub fn disk_bytes(&self) -> u64 {
        self.0.disk_bytes.load(Ordering::Relaxed)
    }

    /// The bytes of entries appended since the last purge, or of all entries after
    /// an open. A snapshot is due when this grows large.
    pub fn appended_since_purge_bytes(&self) -> u64 {
        self.0.appended_since_purge_bytes.load(Ordering::Relaxed)
    }

    /// How long the last `fdatasync` of a commit took.
    pub fn last_sync(&self) -> Duration {
        Duration::from_nanos(self.0.last_sync_ns.load(Ordering::Relaxed))
    }

    pub(super) fn segment_came(&self, bytes: u64) {
        let before = self.0.disk_bytes.fetch_add(bytes, Ordering::Relaxed);
        metrics::gauge!("sidecar_raft_log_disk_bytes").set((before + bytes) as f64);
    }

    pub(super) fn segment_went(&self, bytes: u64) {
        let before = self.0.disk_bytes.fetch_sub(bytes, Ordering::Relaxed);
        metrics::gauge!("sidecar_raft_log_disk_bytes").set(before.saturating_sub(bytes) as f64);
    }

    pub(super) fn appended(&self, bytes: u64) {
        self.0.appended_since_purge_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn purged(&self) {
        self.0.appended_since_purge_bytes.store(0, Ordering::Relaxed);
    }

    pub(super) fn synced(&self, took: Duration) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.last_sync_ns.store(took_ns, Ordering::Relaxed);
        metrics::histogram!("sidecar_raft_log_sync_seconds").record(took.as_secs_f64());
    }
}
