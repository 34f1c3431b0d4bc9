//! What the writer, the listener and the store's handle know in common.

use std::sync::Arc;

use tokio::sync::Notify;

use super::error::RedisFault;
use super::fetch::Fetched;
use crate::machine::{ClusterMs, Meta};
use crate::store::clock::Clock;
use crate::store::progress::{SteadyClock, StoreProgress};
use crate::store::queue::CommandQueue;

/// By what clock deadlines are judged.
#[derive(Clone)]
pub enum RedisClock {
    /// Redis's own: the one clock that all sidecars share.
    Server,
    /// Another, which whoever opened the store drives.
    Given(Clock),
}

pub(super) struct RedisShared {
    pub(super) queue: CommandQueue,
    pub(super) progress: StoreProgress,
    /// It is this sidecar's turn to commit.
    pub(super) turn: Notify,
    clock: Option<SteadyClock>,
}

impl RedisShared {
    pub(super) fn new(
        clock: RedisClock,
        meta: &Meta,
        state_bytes_max: Option<u64>,
    ) -> Arc<RedisShared> {
        let clock = match clock {
            RedisClock::Server => None,
            RedisClock::Given(clock) => Some(SteadyClock::new(clock, meta.clock)),
        };
        let (queue, turn) = (CommandQueue::new(), Notify::new());
        let progress = StoreProgress::at(meta, state_bytes_max);
        Arc::new(RedisShared { queue, progress, turn, clock })
    }

    /// The time, where it is not Redis's to tell. Never falls.
    pub(super) fn given_now(&self) -> Option<ClusterMs> {
        self.clock.as_ref().map(SteadyClock::now)
    }

    /// What was read is news: that Redis answers, how far the state has got, or
    /// that it has gone back.
    pub(super) fn saw(&self, fetched: &Fetched) {
        self.works();
        if !fetched.astray {
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

    /// Redis has answered.
    pub(super) fn works(&self) {
        if let Some(fault) = self.progress.set_fault(None) {
            tracing::info!(%fault, "redis can be used again");
        }
    }

    /// Keeps why Redis cannot be used, and says so once.
    pub(super) fn failed(&self, fault: &RedisFault) {
        if self.progress.set_fault(Some(fault.to_string())).is_none() {
            tracing::warn!(%fault, "redis cannot be used");
        }
    }

    /// Why a call that was never begun ended.
    pub(super) fn why_late(&self) -> String {
        match self.progress.fault() {
            Some(fault) => format!("redis: {fault}"),
            None => "other commands, or other sidecars, came first until the deadline".into(),
        }
    }
}
