//! The line: the queues of a service, as its callers and its dispatcher share them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::group::QueuePlace;
use super::queues::Queues;
use super::wanted::Wanted;
use crate::machine::{ClusterMs, Text};
use crate::store::Store;
use crate::store::clock::Clock;

/// The callers of a service that wait for work or for a lease.
pub(in crate::service) struct WaitingLine {
    pub(super) store: Arc<dyn Store>,
    clock: Clock,
    /// Locked for moments only, never across an await.
    queues: Mutex<Queues>,
    /// Wakes the dispatcher.
    changed: Notify,
}

impl WaitingLine {
    pub(in crate::service) fn new(store: Arc<dyn Store>, clock: Clock) -> WaitingLine {
        WaitingLine { store, clock, queues: Mutex::default(), changed: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing in the methods of `Queues` panics halfway through a change, so a
        // poisoned lock still holds queues that are in order.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queues, and wakes the dispatcher if that leaves it something to do.
    pub(super) fn change(&self, place: &QueuePlace, change: impl FnOnce(&mut Queues, &QueuePlace)) {
        let mut queues = self.lock();
        let before = queues.next_check_time();
        change(&mut queues, place);
        if queues.needs_dispatcher() || queues.next_check_time() != before {
            self.changed.notify_one();
        }
    }

    /// Waits until there is something for the dispatcher to do.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether nobody waits any more. The dispatcher then ends, and the next caller
    /// that waits starts another.
    pub(super) fn ends_dispatcher(&self) -> bool {
        let mut queues = self.lock();
        queues.has_dispatcher = !queues.is_empty();
        !queues.has_dispatcher
    }

    /// Lets the first caller that waits for this lease, and says that as many may hold
    /// it, make its attempt. The receiver completes when the attempt is over. `None`
    /// where nobody waits.
    pub(in crate::service) fn let_first_go(
        &self,
        resource_id: &Text,
        permits: u32,
    ) -> Option<oneshot::Receiver<()>> {
        let wanted = Arc::new(Wanted::Lease(resource_id.clone(), permits));
        self.lock().let_first_go(&wanted)
    }

    /// Whether anybody waits for this lease.
    pub(in crate::service) fn is_wanted(&self, resource_id: &Text) -> bool {
        !self.lock().lease_groups(resource_id).is_empty()
    }

    /// The time by this node's clock.
    pub(super) fn now(&self) -> ClusterMs {
        ClusterMs(self.clock.wall_ms())
    }
}
