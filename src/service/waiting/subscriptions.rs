//! Subscriptions: who is told when something changes that they read before. One task of
//! a service reads all events while there is any subscription, and marks in each what an
//! event concerns. A subscription holds what has changed and not how often, so one that
//! is slow to read costs no memory and no other subscription anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::local_reads::{RETRY_PAUSE, newest_revision, read_history};
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
    /// How many clients subscribe, and to how many subjects. The other subscribers are
    /// calls that wait, whose number is bounded where they are admitted.
    clients: usize,
    subjects: usize,
    /// The task has marked every event up to this revision, and none after it: it marks all
    /// of a stretch of events at once. So whoever takes the changes of a subscription knows
    /// all of them up to here.
    read_to: Revision,
    next_number: u64,
    has_task: bool,
}

struct Subscriber {
    wake: Arc<Notify>,
    is_client: bool,
    subjects: usize,
    /// Events up to here are not marked: they are from before the subscription, or its
    /// client has been told of them by another node.
    begins_after: Revision,
    /// The subjects with changes that have not been taken yet, and the newest change of each.
    changed: BTreeMap<usize, Revision>,
}

/// The newest change of each subject that some events concern, by subscription and place.
type NewestChanges = BTreeMap<(u64, usize), Revision>;

/// One subscription, which ends when it is dropped.
pub struct Subscription {
    subscriptions: Arc<Subscriptions>,
    number: u64,
    subjects: Arc<[SubscribedSubject]>,
    /// It is told of the changes after this revision.
    revision: Revision,
    wake: Arc<Notify>,
}

/// What has changed since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectChanges {
    /// The places of the changed subjects in the list of the subscription, and for each
    /// the revision of its newest change; in ascending order of these revisions. So what
    /// changed up to one of them is there up to that place, or has changed again later.
    pub subjects: Vec<(usize, Revision)>,
}

impl Subscriptions {
    pub(in crate::service) fn new(store: Arc<dyn Store>) -> Subscriptions {
        Subscriptions { store, subscribed: Mutex::default(), abandoned: Notify::new() }
    }

    pub(super) fn local_revision(&self) -> Revision {
        *self.store.revision().borrow()
    }

    /// Subscribes to changes after this moment. From the return on no change is missed that
    /// this node sees committed.
    pub(super) fn join(
        subscriptions: &Arc<Subscriptions>,
        subjects: Vec<SubscribedSubject>,
    ) -> Result<Subscription, ServiceError> {
        let mut subscribed = subscriptions.lock();
        subscribed.check_room(subjects.len())?;
        Ok(Subscriptions::add(subscriptions, &mut subscribed, subjects, true))
    }

    /// Does the same for a call that waits, which is admitted as such.
    pub(super) fn join_waiting(
        subscriptions: &Arc<Subscriptions>,
        subjects: Vec<SubscribedSubject>,
    ) -> Subscription {
        let mut subscribed = subscriptions.lock();
        Subscriptions::add(subscriptions, &mut subscribed, subjects, false)
    }

    fn add(
        subscriptions: &Arc<Subscriptions>,
        subscribed: &mut AllSubscribed,
        subjects: Vec<SubscribedSubject>,
        is_client: bool,
    ) -> Subscription {
        let wake = Arc::new(Notify::new());
        let subjects: Arc<[SubscribedSubject]> = subjects.into();
        let mut revision = subscriptions.store.revision();
        let now = *revision.borrow_and_update();
        let number = subscribed.next_number;
        subscribed.next_number += 1;
        if is_client {
            subscribed.clients += 1;
            subscribed.subjects += subjects.len();
        }
        subscribed.by_event.add(number, &subjects);
        let subscriber = Subscriber {
            wake: wake.clone(),
            is_client,
            subjects: subjects.len(),
            begins_after: now,
            changed: BTreeMap::new(),
        };
        subscribed.subscribers.insert(number, subscriber);
        if !std::mem::replace(&mut subscribed.has_task, true) {
            subscribed.read_to = now;
            tokio::spawn(run(subscriptions.clone(), revision));
        }
        let subscriptions = subscriptions.clone();
        Subscription { subscriptions, number, subjects, revision: now, wake }
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
        if self.clients >= SUBSCRIPTIONS_MAX {
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
        if self.subscribers.remove(&number).is_some_and(|subscriber| subscriber.is_client) {
            self.clients -= 1;
            self.subjects -= subjects.len();
        }
    }

    /// Marks all changes up to `read_to`.
    fn mark(&mut self, changes: NewestChanges, read_to: Revision) {
        for ((number, place), revision) in changes {
            if let Some(subscriber) = self.subscribers.get_mut(&number) {
                subscriber.mark(place, revision);
            }
        }
        self.read_to = read_to;
    }

    /// Marks everything, since any event up to `read_to` may have been missed.
    fn mark_all(&mut self, read_to: Revision) {
        for subscriber in self.subscribers.values_mut() {
            // It may be an older revision than before, if the store has lost events.
            subscriber.begins_after = read_to;
            subscriber.mark_all(read_to);
        }
        self.read_to = read_to;
    }
}

impl Subscriber {
    fn mark(&mut self, place: usize, revision: Revision) {
        if revision > self.begins_after {
            self.put(place, revision);
        }
    }

    fn mark_all(&mut self, revision: Revision) {
        self.changed = (0..self.subjects).map(|place| (place, revision)).collect();
        self.wake.notify_one();
    }

    fn put(&mut self, place: usize, revision: Revision) {
        let newest = self.changed.entry(place).or_insert(revision);
        *newest = revision.max(*newest);
        self.wake.notify_one();
    }

    fn take(&mut self) -> SubjectChanges {
        let changed = std::mem::take(&mut self.changed);
        let mut subjects: Vec<(usize, Revision)> = changed.into_iter().collect();
        subjects.sort_by_key(|(_, revision)| *revision);
        SubjectChanges { subjects }
    }
}

impl Subscription {
    /// The revision after which it is told of changes.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Marks what has changed after `after` already. If the history no longer holds all
    /// of that, or the state has been set back to before `after`, everything counts as
    /// changed.
    ///
    /// # Errors
    /// This node cannot read its history.
    pub async fn go_back_to(&self, after: Revision) -> Result<(), ServiceError> {
        let store = self.subscriptions.store.clone();
        let mut own = SubjectIndex::default();
        own.add(self.number, &self.subjects);
        let mut changes = NewestChanges::new();
        let is_whole = if after > self.revision {
            // This node may only lag behind the one that its client was told by.
            newest_revision(&*store).await.is_ok_and(|newest| after <= newest)
        } else {
            let show = |events: &[Event]| note_newest(&mut changes, &own, events);
            read_between(&*store, after, self.revision, show).await?
        };
        let mut subscribed = self.subscriptions.lock();
        let Some(subscriber) = subscribed.subscribers.get_mut(&self.number) else { return Ok(()) };
        if !is_whole {
            subscriber.mark_all(self.revision);
        } else if after > self.revision {
            subscriber.begins_after = after;
            subscriber.changed.retain(|_, revision| *revision > after);
        }
        changes.into_iter().for_each(|((_, place), revision)| subscriber.put(place, revision));
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
            let mut changes = NewestChanges::new();
            let show = |events: &[Event]| {
                note_newest(&mut changes, &subscriptions.lock().by_event, events);
            };
            // An older revision means that the store has lost its newest events, as a
            // Redis can after a failover.
            let is_whole = newest > read_to
                && read_between(&*subscriptions.store, read_to, newest, show)
                    .await
                    .is_ok_and(|is_whole| is_whole);
            let mut subscribed = subscriptions.lock();
            match is_whole {
                true => subscribed.mark(changes, newest),
                false => subscribed.mark_all(newest),
            }
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

/// Notes what these events concern. They are older than those noted before, newest first.
fn note_newest(changes: &mut NewestChanges, index: &SubjectIndex, events: &[Event]) {
    for event in events {
        for place in index.of(event) {
            changes.entry(place).or_insert(event.revision);
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
