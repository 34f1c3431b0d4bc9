//! Openraft's settings: the few that an operator may change, and the others with
//! their reasons. Timing is a trade-off between noticing a dead leader soon and
//! not mistaking a slow disk for one.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, ConfigError, SnapshotPolicy};

/// How long the sender or the receiver of a snapshot waits for the other side,
/// and how long installing one may take. Writing and syncing 1 GiB on a slow disk
/// takes much less.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// The most entries in one append. The log's reader limits the bytes; this limits
/// the number of tiny entries.
const APPEND_ENTRIES_MAX: u64 = 4_096;

/// A learner this close to the leader counts as caught up when it is added.
const LEARNER_LAG_ENTRIES: u64 = 1_000;

/// How many entries are purged together, since every purge costs a write to the
/// log. If fewer entries than this are kept, purges are smaller too, so that the
/// log stays as short as the setting demands.
const PURGE_BATCH_ENTRIES: u64 = 1_024;

/// How many calls may queue for openraft's core before callers wait. Admission
/// limits the bytes of calls long before that.
const API_CHANNEL_CALLS: u64 = 8_192;

/// The first wait between attempts to replicate to a peer that is down, in case
/// it only restarts; it doubles up to [`BACKOFF_MAX`]. The `rpc` module applies
/// both in place of openraft's own backoff.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest wait, short enough that a peer that returns catches up at once.
pub const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// The consensus settings that an operator may change.
///
/// With the defaults, a follower campaigns if it hears nothing for its lease
/// (`election_max`) and then for a random time between `election_min` and
/// `election_max`. That is 450 to 600 ms after the last heartbeat, to which a
/// pre-vote, a vote and its sync add some tens of milliseconds, so a killed
/// leader is replaced well within a second. Four heartbeats in a row must be lost
/// or late before any node campaigns, and a campaign against a live leader fails
/// at the pre-vote, because the leases of the others still run. A slow `fdatasync`
/// or a busy machine therefore costs latency and not a change of leader. (A
/// follower's lease begins when it handles a heartbeat, not when its disk has
/// synced.)
///
/// A heartbeat that is not answered before the next one is due counts as lost, and
/// a leader that no majority answers for `election_max` takes no writes until one
/// does. The answers wait for the disk, so the interval is 100 ms and not
/// openraft's 50.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often the leader sends a heartbeat.
    pub heartbeat: Duration,
    /// The least time that a follower waits, beyond its lease, before it campaigns.
    pub election_min: Duration,
    /// The most time that it waits; also the length of the lease.
    pub election_max: Duration,
    /// A snapshot is due this many entries after the last one.
    pub snapshot_entries: u64,
    /// Entries kept behind a snapshot, so that a peer which was away for a
    /// moment catches up from the log and needs no snapshot.
    pub keep_entries: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
            snapshot_entries: 50_000,
            keep_entries: 10_000,
        }
    }
}

impl Options {
    /// Converts the settings to openraft's configuration and validates it.
    ///
    /// # Errors
    /// When openraft finds that the times contradict each other.
    pub fn config(&self, cluster: &str) -> Result<Arc<Config>, ConfigError> {
        let config = Config {
            cluster_name: cluster.to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_TIMEOUT),
            max_payload_entries: APPEND_ENTRIES_MAX,
            api_channel_size: Some(API_CHANNEL_CALLS),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            max_in_snapshot_log_to_keep: self.keep_entries,
            purge_batch_size: PURGE_BATCH_ENTRIES.min(self.keep_entries.max(1)),
            replication_lag_threshold: LEARNER_LAG_ENTRIES,
            // Without it, a node that was cut off returns with a higher term and
            // deposes a healthy leader.
            enable_pre_vote: Some(true),
            // A leader that restarts has lost its leases and must be elected again.
            enable_leader_restore: Some(false),
            // A leader that is cut off from its quorum falls silent, so that a
            // follower on its side may campaign. It does so after four election
            // timeouts, twice openraft's minimum, because disks that stall for a
            // moment are not a partition.
            quorum_loss_probe_interval: Some(4 * millis(self.election_max)),
            // A peer that lost its folder and returns under its old number is
            // sent everything again. Without this setting, such a peer trips an
            // assertion of openraft on the leader, so that the loss of one disk
            // would stop the very node that has everything.
            allow_log_reversion: Some(true),
            ..Config::default()
        };
        config.validate().map(Arc::new)
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_accepted_by_openraft() {
        let config = Options::default().config("test").unwrap();
        assert_eq!(config.enable_pre_vote, Some(true));
        assert_eq!(config.enable_leader_restore, Some(false));
    }

    #[test]
    fn a_heartbeat_slower_than_an_election_is_refused() {
        let options = Options { heartbeat: Duration::from_secs(1), ..Options::default() };
        assert!(options.config("test").is_err());
    }
}
