//! Subscriptions: who is told when something changes that they read before. One task of
//! a service reads all events while there is any subscription, and marks in each what an
//! event concerns. A subscription holds what has changed and not how often, so one that
//! is slow to read costs no memory and no other subscription anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::local_reads::{RETRY_PAUSE, read_history};
use super::subject::{SubjectIndex, SubscribedSubject};
use crate::error::ServiceError;
use crate::machine::{Event, Revision};
use crate::store::{Store, StoreError};

/// How many subscriptions there may be. Each holds a connection or a task.
const SUBSCRIPTIONS_MAX: usize = 1_000;
/// How many subjects one subscription may have.
pub const SUBJECTS_MAX: usize = 1_000;
/// How many subjects all subscriptions together may have, each of up to a few KiB.
const SUBJECTS_OF_ALL_MAX: usize = 20_000;
/// If there are more pages of events than this to read, every subject counts as changed.
/// That is cheaper, and a client that was away for so long reads everything anyway.
const PAGES_MAX: usize = 32;

/// All subscriptions of a service.
pub(in crate::service) struct Subscriptions {
    store: Arc<dyn Store>,
    /// Locked for moments only, never across an await.
    subscribed: Mutex<AllSubscribed>,
    /// Wakes the task when there is no subscription any more.
    abandoned: Notify,
}

#[derive(Default)]
struct AllSubscribed {
    subscribers: BTreeMap<u64, Subscriber>,
    /// Who subscribed to what an event may concern.
    by_event: SubjectIndex,
    subjects: usize,
    /// The task has marked every event up to this revision.
    read_to: Revision,
    next_number: u64,
    has_task: bool,
}

struct Subscriber {
    wake: Arc<Notify>,
    /// For each subject the newest change that has been marked.
    marked_to: Vec<Revision>,
    /// The subjects with changes that have not been taken yet.
    changed: BTreeSet<usize>,
}

/// One subscription, which ends when it is dropped.
pub struct Subscription {
    subscriptions: Arc<Subscriptions>,
    number: u64,
    subjects: Arc<[SubscribedSubject]>,
    wake: Arc<Notify>,
}

/// What has changed since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectChanges {
    /// The places of the changed subjects in the list of the subscription, and for each
    /// the revision of its newest change.
    pub subjects: Vec<(usize, Revision)>,
}

impl Subscriptions {
    pub(in crate::service) fn new(store: Arc<dyn Store>) -> Subscriptions {
        Subscriptions { store, subscribed: Mutex::default(), abandoned: Notify::new() }
    }

    /// Subscribes to changes after this moment. From the return on no change is missed that
    /// this node sees committed.
    pub(super) fn join(
        subscriptions: &Arc<Subscriptions>,
        subjects: Vec<SubscribedSubject>,
    ) -> Result<Subscription, ServiceError> {
        let wake = Arc::new(Notify::new());
        let subjects: Arc<[SubscribedSubject]> = subjects.into();
        let mut subscribed = subscriptions.lock();
        subscribed.check_room(subjects.len())?;
        let mut revision = subscriptions.store.revision();
        let now = *revision.borrow_and_update();
        let number = subscribed.next_number;
        subscribed.next_number += 1;
        subscribed.subjects += subjects.len();
        subscribed.by_event.add(number, &subjects);
        let marked_to = vec![now; subjects.len()];
        let subscriber = Subscriber { wake: wake.clone(), marked_to, changed: BTreeSet::new() };
        subscribed.subscribers.insert(number, subscriber);
        if !std::mem::replace(&mut subscribed.has_task, true) {
            subscribed.read_to = now;
            tokio::spawn(run(subscriptions.clone(), revision));
        }
        drop(subscribed);
        Ok(Subscription { subscriptions: subscriptions.clone(), number, subjects, wake })
    }

    fn lock(&self) -> MutexGuard<'_, AllSubscribed> {
        // Nothing in the methods of `AllSubscribed` panics halfway through a change, so a
        // poisoned lock still holds subscriptions that are in order.
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AllSubscribed {
    fn check_room(&self, subjects: usize) -> Result<(), ServiceError> {
        if subjects > SUBJECTS_MAX {
            return Err(ServiceError::invalid(format!(
                "a subscription takes up to {SUBJECTS_MAX} resources, got {subjects}"
            )));
        }
        let busy = |what| {
            let why = format!("unavailable: the server is busy, {what}; try again, or elsewhere");
            ServiceError::unavailable(why)
        };
        if self.subscribers.len() >= SUBSCRIPTIONS_MAX {
            return Err(busy(format!("{SUBSCRIPTIONS_MAX} clients subscribe already")));
        }
        if self.subjects + subjects > SUBJECTS_OF_ALL_MAX {
            return Err(busy(format!(
                "its clients subscribe to {} of {SUBJECTS_OF_ALL_MAX} resources already",
                self.subjects
            )));
        }
        Ok(())
    }

    fn leave(&mut self, number: u64, subjects: &[SubscribedSubject]) {
        self.by_event.remove(number, subjects);
        self.subjects -= subjects.len();
        self.subscribers.remove(&number);
    }

    /// Marks what an event concerns.
    fn mark(&mut self, event: &Event) {
        for (number, place) in self.by_event.of(event) {
            if let Some(subscriber) = self.subscribers.get_mut(&number) {
                subscriber.mark(place, event.revision);
            }
        }
    }

    /// Marks everything, since any event may have been missed.
    fn mark_all(&mut self, revision: Revision) {
        self.subscribers.values_mut().for_each(|subscriber| subscriber.mark_all(revision));
    }
}

impl Subscriber {
    fn mark(&mut self, place: usize, revision: Revision) {
        if revision > self.marked_to[place] {
            self.marked_to[place] = revision;
            self.changed.insert(place);
            self.wake.notify_one();
        }
    }

    fn mark_all(&mut self, revision: Revision) {
        for (place, marked_to) in self.marked_to.iter_mut().enumerate() {
            // It may be an older revision than before, if the store has lost events.
            *marked_to = revision;
            self.changed.insert(place);
        }
        self.wake.notify_one();
    }

    /// Marks a change from before the subscription.
    fn mark_again(&mut self, place: usize, revision: Revision) {
        self.marked_to[place] = revision.max(self.marked_to[place]);
        self.changed.insert(place);
        self.wake.notify_one();
    }

    fn take(&mut self) -> SubjectChanges {
        let changed = std::mem::take(&mut self.changed);
        let subjects = changed.into_iter().map(|place| (place, self.marked_to[place]));
        SubjectChanges { subjects: subjects.collect() }
    }
}

impl Subscription {
    /// Marks what has changed after `after` already. If the history no longer holds all
    /// of that, everything counts as changed.
    ///
    /// # Errors
    /// This node cannot read its history.
    pub async fn go_back_to(&self, after: Revision) -> Result<(), ServiceError> {
        let store = self.subscriptions.store.clone();
        let newest = *store.revision().borrow();
        let mut own = SubjectIndex::default();
        own.add(self.number, &self.subjects);
        let is_whole = read_between(&*store, after, newest, |events| {
            let mut subscribed = self.subscriptions.lock();
            let Some(subscriber) = subscribed.subscribers.get_mut(&self.number) else { return };
            for event in events {
                for (_, place) in own.of(event) {
                    subscriber.mark_again(place, event.revision);
                }
            }
        });
        if !is_whole.await?
            && let Some(own) = self.subscriptions.lock().subscribers.get_mut(&self.number)
        {
            own.mark_all(newest);
        }
        Ok(())
    }

    fn take(&self) -> SubjectChanges {
        let mut subscribed = self.subscriptions.lock();
        let own = subscribed.subscribers.get_mut(&self.number);
        own.map(Subscriber::take).unwrap_or_default()
    }

    /// Waits until something has changed that has not been returned yet.
    pub async fn changed(&self) -> SubjectChanges {
        loop {
            let changes = self.take();
            if !changes.subjects.is_empty() {
                return changes;
            }
            self.wake.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribed = self.subscriptions.lock();
        subscribed.leave(self.number, &self.subjects);
        if subscribed.subscribers.is_empty() {
            self.subscriptions.abandoned.notify_one();
        }
    }
}

/// Follows all events until there is no subscription any more.
async fn run(subscriptions: Arc<Subscriptions>, mut revision: watch::Receiver<Revision>) {
    loop {
        let newest = *revision.borrow_and_update();
        let read_to = {
            let mut subscribed = subscriptions.lock();
            subscribed.has_task = !subscribed.subscribers.is_empty();
            if !subscribed.has_task {
                return;
            }
            subscribed.read_to
        };
        if newest != read_to {
            let mark = |events: &[Event]| {
                let mut subscribed = subscriptions.lock();
                events.iter().for_each(|event| subscribed.mark(event));
            };
            // An older revision means that the store has lost its newest events, as a
            // Redis can after a failover.
            let is_whole = newest > read_to
                && read_between(&*subscriptions.store, read_to, newest, mark)
                    .await
                    .is_ok_and(|is_whole| is_whole);
            let mut subscribed = subscriptions.lock();
            if !is_whole {
                subscribed.mark_all(newest);
            }
            subscribed.read_to = newest;
        }
        tokio::select! {
            changed = revision.changed() => if changed.is_err() {
                // The store is closing, and each subscriber learns that by itself.
                tokio::time::sleep(RETRY_PAUSE).await;
            },
            () = subscriptions.abandoned.notified() => {}
        }
    }
}

/// Shows the events after `after` up to `newest`, newest first. Returns false where not
/// all of them are held, or there are more than it reads.
async fn read_between(
    store: &dyn Store,
    after: Revision,
    newest: Revision,
    mut show: impl FnMut(&[Event]),
) -> Result<bool, StoreError> {
    let mut before = newest.next();
    for _ in 0..PAGES_MAX {
        if before <= after.next() {
            return Ok(true);
        }
        let (mut events, more) = read_history(store, before).await?;
        let oldest = events.last().map(|event| event.revision);
        events.retain(|event| event.revision > after);
        show(&events);
        match oldest {
            Some(oldest) if oldest <= after.next() => return Ok(true),
            Some(oldest) if more => before = oldest,
            // Each change has a revision of its own, so the rest is no longer held.
            Some(_) | None => return Ok(false),
        }
    }
    Ok(false)
}
