//! Tasks that run as long as the node does: they keep its readiness current and
//! the log short.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use super::consensus::leadership::{Leader, Leadership, RaftHandle};
use super::consensus::read::ReadBarrier;
use super::log::LogStats;

/// A snapshot is due, whatever the number of entries, once the log has grown by
/// this much: a node that restarts reads the whole log.
const SNAPSHOT_LOG_BYTES: u64 = 256 << 20;

/// How often the growth of the log and the readiness of the node are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A read that takes longer shows that the node has not caught up, or is cut off.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Logs every change of leader, and keeps `caught_up` true as long as
/// linearizable reads succeed, which means that a majority follows the leader
/// and that this node has applied what was committed. To know a leader is not
/// enough: a node that is cut off hears of no new leader and goes on naming the
/// old one.
pub(super) async fn watch_readiness(
    mut leadership: Leadership,
    read_barrier: ReadBarrier,
    caught_up: Arc<AtomicBool>,
) {
    let mut known = Leader::Unknown;
    loop {
        let leader = leadership.current();
        if leader != known {
            tracing::info!(%leader, "leadership");
            known = leader;
        }
        let passed = read_barrier.pass(Instant::now() + CATCH_UP).await;
        caught_up.store(passed.is_ok(), Ordering::Release);
        leadership.wait_for_change(CHECK_INTERVAL).await;
    }
}

/// Takes a snapshot when the log has grown by many bytes in few entries.
/// Openraft counts entries and would not notice.
pub(super) async fn bound_log(raft: RaftHandle, log: LogStats) {
    let mut timer = tokio::time::interval(CHECK_INTERVAL);
    loop {
        timer.tick().await;
        if log.appended_since_purge_bytes() < SNAPSHOT_LOG_BYTES {
            continue;
        }
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
        // Openraft keeps some of the entries that the snapshot covers, for peers
        // that lag. These few entries may be the large ones, so purge them too.
        if let Some(covered) = covered_index(&raft)
            && raft.trigger().purge_log(covered).await.is_err()
        {
            return;
        }
    }
}

fn covered_index(raft: &RaftHandle) -> Option<u64> {
    let metrics = raft.metrics();
    metrics.borrow_watched().snapshot.as_ref().map(|last| last.index)
}
