//! What the writer, the listener and the store's handle share.

use std::sync::Arc;

use tokio::sync::Notify;

use super::error::RedisFault;
use super::fetch::Fetched;
use crate::machine::command::StateLimits;
use crate::machine::{ClusterMs, Meta};
use crate::store::clock::Clock;
use crate::store::health::Health;
use crate::store::progress::StoreProgress;
use crate::store::queue::CommandQueue;
use crate::store::steady_clock::SteadyClock;

/// The clock by which deadlines are judged.
#[derive(Clone)]
pub enum RedisClock {
    /// Redis's own, the only clock that all sidecars share.
    Server,
    /// Another clock, for tests.
    Given(Clock),
}

pub(super) struct RedisShared {
    pub(super) queue: CommandQueue,
    pub(super) progress: StoreProgress,
    /// Notified when it is this sidecar's turn to commit.
    pub(super) turn: Notify,
    clock: Option<SteadyClock>,
}

impl RedisShared {
    pub(super) fn new(clock: RedisClock, meta: &Meta, limits: StateLimits) -> Arc<RedisShared> {
        let clock = match clock {
            RedisClock::Server => None,
            RedisClock::Given(clock) => Some(SteadyClock::new(clock, meta.clock)),
        };
        let (queue, turn) = (CommandQueue::new(), Notify::new());
        let progress = StoreProgress::at(meta, limits);
        Arc::new(RedisShared { queue, progress, turn, clock })
    }

    /// The time, unless Redis's own clock is used. It never goes back.
    pub(super) fn given_now(&self) -> Option<ClusterMs> {
        self.clock.as_ref().map(SteadyClock::now)
    }

    /// Learns from what was read: Redis answers, and the state is at this position
    /// or has gone back to it.
    pub(super) fn observe(&self, fetched: &Fetched) {
        self.clear_fault();
        if !fetched.lost_commits {
            return self.progress.publish(&fetched.meta);
        }
        let (known, revision) = (self.progress.revision(), fetched.meta.revision);
        tracing::error!(
            %known, %revision,
            "redis went back: writes that it had acknowledged are lost, and revisions and tokens \
             from here on are given out again"
        );
        self.progress.rewind(&fetched.meta);
    }

    pub(super) fn health(&self) -> Health {
        // The clock of the Redis server warns nobody here.
        let warning = self.clock.as_ref().and_then(SteadyClock::warning);
        self.progress.health("redis", warning)
    }

    /// Records that Redis can be used.
    pub(super) fn clear_fault(&self) {
        if let Some(fault) = self.progress.set_fault(None) {
            tracing::info!(%fault, "redis can be used again");
        }
    }

    /// Records why Redis cannot be used, and logs it if it could be used before.
    pub(super) fn set_fault(&self, fault: &RedisFault) {
        if self.progress.set_fault(Some(fault.to_string())).is_none() {
            tracing::warn!(%fault, "redis cannot be used");
        }
    }

    /// Why a command was not begun before its deadline.
    pub(super) fn why_late(&self) -> String {
        match self.progress.fault() {
            Some(fault) => format!("redis: {fault}"),
            None => "other commands, or other sidecars, came first until the deadline".into(),
        }
    }
}
