//! Tickets: the place of one waiting call in the line. The call leaves the line when
//! its ticket is dropped, so a caller that goes away is in nobody's way.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use super::dispatcher;
use super::group::{GrantTaken, QueuePlace, Turn};
use super::line::WaitingLine;
use super::wanted::Wanted;
use crate::machine::row::RunRow;
use crate::machine::{ClusterMs, Text};

/// A caller's place in the line.
pub(super) struct WaitTicket {
    line: Arc<WaitingLine>,
    place: QueuePlace,
    wake: Arc<Notify>,
    taken: OnceLock<GrantTaken>,
}

impl WaitTicket {
    /// Joins the line, and starts the dispatcher where nobody has waited. From now on
    /// the caller misses no commit that the store sees.
    pub(super) fn join(
        line: &Arc<WaitingLine>,
        wanted: Wanted,
        holder: Option<Text>,
    ) -> WaitTicket {
        let wake = Arc::new(Notify::new());
        let mut queues = line.lock();
        let place = queues.join(wanted, holder, wake.clone());
        if !std::mem::replace(&mut queues.has_dispatcher, true) {
            let mut revision = line.store.revision();
            let seen = *revision.borrow_and_update();
            tokio::spawn(dispatcher::run(line.clone(), revision, seen));
        }
        drop(queues);
        WaitTicket { line: line.clone(), place, wake, taken: OnceLock::new() }
    }

    pub(super) fn turn(&self) -> Turn {
        self.line.lock().turn(&self.place)
    }

    /// Waits until it may be this call's turn.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Reports that this run, or the lease, can be had.
    pub(super) fn report_free(&self, run: Option<&RunRow>) {
        self.line.lock().report_free(&self.place, run);
    }

    /// Lets this call attempt before those that came first. Its holder has the lease
    /// already, so the attempt takes nothing from anybody.
    pub(super) fn skip_line(&self) {
        self.line.lock().skip_line(&self.place);
    }

    /// Sleeps again after an attempt that was granted nothing. The group is checked
    /// again at `at` at the latest.
    pub(super) fn sleep_again(&self, at: ClusterMs) {
        self.line.change(&self.place, |queues, place| queues.sleep_again(place, at));
    }

    /// Has the group checked again at `at` at the latest.
    pub(super) fn check_at(&self, at: ClusterMs) {
        self.line.change(&self.place, |queues, place| queues.check_at(&place.wanted, at));
    }

    /// Records what the call was granted, for when it leaves the line.
    pub(super) fn take(&self, taken: GrantTaken) {
        // A call is granted one thing, so this is the first and only value.
        let _ = self.taken.set(taken);
    }
}

impl Drop for WaitTicket {
    fn drop(&mut self) {
        let taken = self.taken.take();
        self.line.change(&self.place, |queues, place| queues.leave(place, taken));
    }
}
