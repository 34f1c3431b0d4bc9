//! Watches: which callers wait for a change of which keys. One task of a service reads
//! the events of keys for all of them, and wakes the callers whom an event concerns.
//! Each of these then reads the changes for itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::local_reads::{RETRY_PAUSE, read_events};
use crate::machine::filter::ChangeFilter;
use crate::machine::{Event, Revision, Text};
use crate::store::{Store, StoreError};

/// If callers wait for more keys and prefixes than this, the task reads the events of
/// all keys at once, which is then cheaper than one read for each of them.
const FILTERS_MAX: usize = 4;

/// All watches of a service.
pub(in crate::service) struct Watches {
    store: Arc<dyn Store>,
    /// Locked for moments only, never across an await.
    watched: Mutex<WatchedKeys>,
    /// Wakes the task when nobody watches any more.
    abandoned: Notify,
}

#[derive(Default)]
struct WatchedKeys {
    keys: BTreeMap<Text, Watchers>,
    prefixes: BTreeMap<Text, Watchers>,
    /// How many prefixes there are of each length.
    prefix_lengths: BTreeMap<usize, usize>,
    /// The task has told the watchers of every event up to this revision.
    read_to: Revision,
    next_number: u64,
    has_task: bool,
}

type Watchers = BTreeMap<u64, Watcher>;

struct Watcher {
    wake: Arc<Notify>,
    /// The first and the last change since the watcher last looked. They are the
    /// lowest and the highest revision where changes may have been missed.
    changed: Option<(Revision, Revision)>,
}

enum KeyOrPrefix {
    Key(Text),
    Prefix(Text),
}

/// One call's watch of some keys, which ends when it is dropped.
pub(super) struct Watch {
    watches: Arc<Watches>,
    filter: ChangeFilter,
    number: u64,
    wake: Arc<Notify>,
}

/// What a watch knows about the revisions that its caller has not read yet.
pub(super) enum WatchState {
    /// Something has changed after this revision, or may have.
    MayHaveChanged { after: Revision },
    /// Nothing has changed up to this revision.
    Unchanged { up_to: Revision },
}

impl Watches {
    pub(in crate::service) fn new(store: Arc<dyn Store>) -> Watches {
        Watches { store, watched: Mutex::default(), abandoned: Notify::new() }
    }

    /// Begins to watch. From now on no change is missed that the store sees committed.
    pub(super) fn join(watches: &Arc<Watches>, filter: &ChangeFilter) -> Watch {
        let wake = Arc::new(Notify::new());
        let mut watched = watches.lock();
        let number = watched.next_number;
        watched.next_number += 1;
        let watcher = Watcher { wake: wake.clone(), changed: None };
        let fresh = watched.group(filter).insert(number, watcher).is_none();
        debug_assert!(fresh, "watch {number} was there already");
        if !std::mem::replace(&mut watched.has_task, true) {
            let mut revision = watches.store.revision();
            watched.read_to = *revision.borrow_and_update();
            tokio::spawn(run(watches.clone(), revision));
        }
        drop(watched);
        Watch { watches: watches.clone(), filter: filter.clone(), number, wake }
    }

    fn lock(&self) -> MutexGuard<'_, WatchedKeys> {
        // Nothing in the methods of `WatchedKeys` panics halfway through a change, so a
        // poisoned lock still holds watches that are in order.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedKeys {
    fn group(&mut self, filter: &ChangeFilter) -> &mut Watchers {
        match WatchedKeys::place(filter) {
            KeyOrPrefix::Key(key) => self.keys.entry(key).or_default(),
            KeyOrPrefix::Prefix(prefix) => {
                if !self.prefixes.contains_key(&prefix) {
                    *self.prefix_lengths.entry(prefix.len()).or_default() += 1;
                }
                self.prefixes.entry(prefix).or_default()
            }
        }
    }

    fn leave(&mut self, filter: &ChangeFilter, number: u64) {
        let watchers = self.group(filter);
        watchers.remove(&number);
        if !watchers.is_empty() {
            return;
        }
        match WatchedKeys::place(filter) {
            KeyOrPrefix::Key(key) => _ = self.keys.remove(&key),
            KeyOrPrefix::Prefix(prefix) => {
                self.prefixes.remove(&prefix);
                let count = self.prefix_lengths.entry(prefix.len()).or_default();
                *count -= 1;
                if *count == 0 {
                    self.prefix_lengths.remove(&prefix.len());
                }
            }
        }
    }

    fn place(filter: &ChangeFilter) -> KeyOrPrefix {
        match filter {
            ChangeFilter::Key(key) => KeyOrPrefix::Key(key.clone()),
            ChangeFilter::Prefix(prefix) => KeyOrPrefix::Prefix(prefix.clone()),
            // Grants are not keys, and nobody watches them here.
            ChangeFilter::Grants => KeyOrPrefix::Prefix("".into()),
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.prefixes.is_empty()
    }

    /// The filters whose events, taken together, concern every watcher.
    fn filters(&self) -> Vec<ChangeFilter> {
        if self.keys.len() + self.prefixes.len() > FILTERS_MAX {
            return vec![ChangeFilter::Prefix("".into())];
        }
        let keys = self.keys.keys().cloned().map(ChangeFilter::Key);
        keys.chain(self.prefixes.keys().cloned().map(ChangeFilter::Prefix)).collect()
    }

    /// Wakes the watchers whom the event concerns.
    fn notify(&mut self, event: &Event) {
        let key = &event.subject;
        self.keys.get_mut(key).into_iter().for_each(|watchers| wake(watchers, event.revision));
        for length in self.prefix_lengths.keys().take_while(|length| **length <= key.len()) {
            if let Some(prefix) = key.get(..*length)
                && let Some(watchers) = self.prefixes.get_mut(prefix)
            {
                wake(watchers, event.revision);
            }
        }
    }

    /// Wakes all watchers, since any of them may have missed a change.
    fn notify_all(&mut self) {
        for watchers in self.keys.values_mut().chain(self.prefixes.values_mut()) {
            wake(watchers, Revision::ZERO);
            wake(watchers, Revision(u64::MAX));
        }
    }
}

fn wake(watchers: &mut Watchers, revision: Revision) {
    for watcher in watchers.values_mut() {
        let (first, last) = watcher.changed.unwrap_or((revision, revision));
        watcher.changed = Some((first.min(revision), last.max(revision)));
        watcher.wake.notify_one();
    }
}

impl Watch {
    /// Waits until there may be news.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The news since `read_to`, up to which the caller has read everything.
    pub(super) fn news(&self, read_to: Revision) -> WatchState {
        let mut watched = self.watches.lock();
        let up_to = watched.read_to.max(read_to);
        let watcher = watched.group(&self.filter).get_mut(&self.number);
        match watcher.and_then(|watcher| watcher.changed.take()) {
            Some((Revision(first), _)) if first > read_to.0 => {
                WatchState::MayHaveChanged { after: Revision(first - 1) }
            }
            Some((_, last)) if last > read_to => WatchState::MayHaveChanged { after: read_to },
            // The caller has read these changes before it was woken for them.
            Some(_) | None => WatchState::Unchanged { up_to },
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.watches.lock();
        watched.leave(&self.filter, self.number);
        if watched.is_empty() {
            self.watches.abandoned.notify_one();
        }
    }
}

/// Follows the events of keys until nobody watches any more.
async fn run(watches: Arc<Watches>, mut revision: watch::Receiver<Revision>) {
    loop {
        let newest = *revision.borrow_and_update();
        let (read_to, filters) = {
            let mut watched = watches.lock();
            watched.has_task = !watched.is_empty();
            if !watched.has_task {
                return;
            }
            (watched.read_to, watched.filters())
        };
        if newest < read_to {
            // The store has lost its newest events, as a Redis can after a failover.
            let mut watched = watches.lock();
            watched.read_to = newest;
            watched.notify_all();
        }
        if newest > read_to {
            for filter in filters {
                if notify_between(&watches, filter, read_to, newest).await.is_err() {
                    watches.lock().notify_all();
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
            watches.lock().read_to = newest;
        }
        tokio::select! {
            changed = revision.changed() => if changed.is_err() {
                // The store is closing, and each waiting call learns that by itself.
                tokio::time::sleep(RETRY_PAUSE).await;
            },
            () = watches.abandoned.notified() => {}
        }
    }
}

/// Tells the watchers of the events that `filter` admits between two revisions.
async fn notify_between(
    watches: &Watches,
    filter: ChangeFilter,
    mut after: Revision,
    newest: Revision,
) -> Result<(), StoreError> {
    while after < newest {
        let page = read_events(&*watches.store, filter.clone(), after).await?;
        let mut watched = watches.lock();
        page.events.iter().for_each(|event| watched.notify(event));
        if !page.complete {
            watched.notify_all();
        }
        after = page.last.unwrap_or(newest);
    }
    Ok(())
}
