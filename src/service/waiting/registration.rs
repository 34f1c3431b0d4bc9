//! The line: the queues of a service as its callers and its dispatcher share
//! them. Whoever stands in it leaves it when its [`WaitTicket`] is dropped, so that a
//! caller that goes away is in nobody's way.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::dispatcher;
use super::queues::{GrantTaken, QueuePlace, Queues, Turn, Wanted};
use crate::machine::row::RunRow;
use crate::machine::{ClusterMs, Text};
use crate::service::ServiceShared;

#[derive(Default)]
pub(in crate::service) struct WaitingLine {
    /// Held for moments, never across an await.
    queues: Mutex<Queues>,
    /// Wakes the dispatcher.
    changed: Notify,
}

/// A caller's place in the line.
pub(super) struct WaitTicket {
    shared: Arc<ServiceShared>,
    place: QueuePlace,
    wake: Arc<Notify>,
    taken: OnceLock<GrantTaken>,
}

impl WaitingLine {
    /// Queues up; the first one starts the dispatcher. From now on nothing is
    /// missed that the store sees committed.
    pub(super) fn join(
        shared: &Arc<ServiceShared>,
        wanted: Wanted,
        holder: Option<Text>,
    ) -> WaitTicket {
        let wake = Arc::new(Notify::new());
        let mut queues = shared.line.lock();
        let place = queues.join(wanted, holder, wake.clone());
        if !std::mem::replace(&mut queues.is_followed, true) {
            let mut revision = shared.store.revision();
            let seen = *revision.borrow_and_update();
            tokio::spawn(dispatcher::follow(shared.clone(), revision, seen));
        }
        drop(queues);
        WaitTicket { shared: shared.clone(), place, wake, taken: OnceLock::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queues> {
        // Its methods leave it in order before anything in them can fail.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until there is something for the dispatcher to do.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the dispatcher may end, since nobody waits any more.
    pub(super) fn is_over(&self) -> bool {
        let mut queues = self.lock();
        queues.is_followed = !queues.is_empty();
        !queues.is_followed
    }

    /// Lets the first who waits for this lease have its attempt, and tells when
    /// that is over. Nothing where nobody waits.
    pub(super) fn go_first(&self, resource_id: &Text) -> Option<oneshot::Receiver<()>> {
        let mut queues = self.lock();
        let wanted = queues.for_lease(resource_id)?;
        queues.go_first(&wanted)
    }

    /// Whether anybody waits for this lease.
    pub(super) fn is_wanted(&self, resource_id: &Text) -> bool {
        self.lock().for_lease(resource_id).is_some()
    }
}

impl WaitTicket {
    pub(super) fn turn(&self) -> Turn {
        self.shared.line.lock().turn(&self.place)
    }

    /// Until it may be this one's turn.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// There is something to take: this run, or the lease.
    pub(super) fn saw(&self, run: Option<&RunRow>) {
        self.shared.line.lock().saw(&self.place, run);
    }

    /// What others wait for is this one's already: it need not wait for them.
    pub(super) fn pass_all(&self) {
        self.shared.line.lock().pass_all(&self.place);
    }

    /// Nothing has been found; time alone may change that `at`.
    pub(super) fn rest(&self, at: ClusterMs) {
        self.change(|queues, place| queues.rest(place, at));
    }

    /// The group is to be looked at by then.
    pub(super) fn expect(&self, at: ClusterMs) {
        self.change(|queues, place| queues.set_time(&place.wanted, at));
    }

    /// This one has what it came for.
    pub(super) fn take(&self, taken: GrantTaken) {
        // A call gets one thing.
        let _ = self.taken.set(taken);
    }

    fn change(&self, change: impl FnOnce(&mut Queues, &QueuePlace)) {
        let line = &self.shared.line;
        let mut queues = line.lock();
        let before = queues.next_time();
        change(&mut queues, &self.place);
        if queues.is_to_be_seen_to() || queues.next_time() != before {
            line.changed.notify_one();
        }
    }
}

impl Drop for WaitTicket {
    fn drop(&mut self) {
        let taken = self.taken.take();
        self.change(|queues, place| queues.leave(place, taken));
    }
}
