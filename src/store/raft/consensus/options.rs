//! Openraft's settings: the few that a person may turn, and the rest with
//! reasons. Timing is a trade between noticing a dead leader soon and not
//! mistaking a slow disk for one.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, ConfigError, SnapshotPolicy};

/// Silence that a snapshot's sender or receiver bears, and how long installing
/// one may take: well above writing and syncing 1 GiB on a slow disk.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// Entries of one append. Bytes are capped by the log's reader; this bounds
/// the count where entries are tiny.
const APPEND_ENTRIES_MAX: u64 = 4_096;

/// A learner this close to the leader counts as caught up when it is added.
const LEARNER_LAG_ENTRIES: u64 = 1_000;

/// Purged at once; small purges would each cost a write to the log. Fewer where
/// fewer are kept: the log then stays as short as it was asked to.
const PURGE_BATCH_ENTRIES: u64 = 1_024;

/// Calls waiting for openraft's core, beyond which callers wait. Admission
/// holds bytes down long before.
const API_CHANNEL_CALLS: u64 = 8_192;

/// How replication waits between attempts at a peer that is down: soon at
/// first, for a restart, then seldom. `network` overrides openraft's own.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// See [`BACKOFF_MIN`]. Short enough that a peer that returns catches up at once.
pub const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// What a person may turn of the consensus.
///
/// The defaults, in numbers: a follower campaigns after it heard nothing for
/// its lease (`election_max`) and then a random part of `election_min` to
/// `election_max`: 450 to 600 ms after the last heartbeat, to which a pre-vote,
/// a vote and its sync add a few tens. A killed leader is so replaced well
/// within a second. Four heartbeats in a row must be lost or late before anyone
/// campaigns, and a campaign against a living leader fails at the pre-vote,
/// because the others' leases still run: so a slow `fdatasync` or a busy
/// machine costs latency, not a change of leader. (A follower's lease begins as
/// a heartbeat is handled, not when its disk has answered.)
///
/// A heartbeat that is not answered before the next is due counts as lost, and
/// a leader that no majority answers for `election_max` takes no writes until
/// one does. Answers wait for the disk: hence 100 ms, not openraft's 50.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Silence of the leader is broken this often.
    pub heartbeat: Duration,
    /// The least that a follower waits, beyond its lease, before it campaigns.
    pub election_min: Duration,
    /// The most that it waits; also the length of the lease.
    pub election_max: Duration,
    /// A snapshot is due after this many entries since the last.
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
    /// Openraft's configuration, checked.
    ///
    /// # Errors
    /// When the times contradict each other, as openraft says.
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
            // Without it, a node that was cut off comes back with a higher
            // term and deposes a healthy leader.
            enable_pre_vote: Some(true),
            // A leader that restarts has lost its leases and must be elected.
            enable_leader_restore: Some(false),
            // A leader cut off from its quorum falls silent, so that a
            // follower on its side may campaign. Four elections long, twice
            // openraft's least: a stall of the disks is no partition.
            quorum_loss_probe_interval: Some(4 * millis(self.election_max)),
            // A peer that lost its folder and came back under its old name is
            // sent everything again, under this leader as under the next one.
            // Not to allow that trips an assertion of openraft on the leader:
            // the loss of one disk would stop the one node that surely has
            // everything.
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
