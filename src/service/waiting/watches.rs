//! Watches: who waits for a change of which keys. One task of a service reads the
//! events of keys as they come, for all who wait, and wakes those whom one
//! concerns; what each of them is told it then reads for itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::machine::query::Answer;
use crate::machine::view::{ChangeFilter, Page};
use crate::machine::{Event, Question, Revision, Text};
use crate::service::ServiceShared;
use crate::store::StoreError;

/// Events read at once; large values stand in them.
const EVENTS: Page = Page { rows: 1_000, bytes: 1 << 20 };
/// Where more is waited for than this, all events of keys are read at once.
const FILTERS_MAX: usize = 4;
/// How long the store may take for an answer from this node's own state.
const ANSWER: Duration = Duration::from_secs(10);
/// Pause after the store could not answer.
const RETRY: Duration = Duration::from_millis(100);

/// All watches of a service.
#[derive(Default)]
pub(in crate::service) struct Watches {
    /// Held for moments, never across an await.
    watched: Mutex<Watched>,
    /// Nobody watches any more.
    left: Notify,
}

#[derive(Default)]
struct Watched {
    keys: BTreeMap<Text, Watchers>,
    prefixes: BTreeMap<Text, Watchers>,
    /// How many prefixes there are of each length.
    lengths: BTreeMap<usize, usize>,
    /// Everything up to here has been seen.
    seen: Revision,
    watchers: u64,
    is_followed: bool,
}

type Watchers = BTreeMap<u64, Watcher>;

struct Watcher {
    wake: Arc<Notify>,
    /// The first and the last change that it was woken for. From zero to the end
    /// where some may have been missed.
    told: Option<(Revision, Revision)>,
}

enum KeyOrPrefix {
    Key(Text),
    Prefix(Text),
}

/// One who watches; it stops when this is dropped.
pub(super) struct Watch {
    shared: Arc<ServiceShared>,
    filter: ChangeFilter,
    number: u64,
    wake: Arc<Notify>,
}

/// What a watch knows of a time of which nothing has been read yet.
pub(super) enum News {
    /// Something has changed after this revision, or may have.
    After(Revision),
    /// Nothing has changed up to here.
    NoneUpTo(Revision),
}

impl Watches {
    /// Begins to watch: no change is missed that the store sees committed from
    /// now on.
    pub(super) fn join(shared: &Arc<ServiceShared>, filter: &ChangeFilter) -> Watch {
        let wake = Arc::new(Notify::new());
        let mut watched = shared.watches.lock();
        let number = watched.watchers;
        watched.watchers += 1;
        let watcher = Watcher { wake: wake.clone(), told: None };
        let fresh = watched.group(filter).insert(number, watcher).is_none();
        debug_assert!(fresh, "watch {number} was there already");
        if !std::mem::replace(&mut watched.is_followed, true) {
            let mut revision = shared.store.revision();
            watched.seen = *revision.borrow_and_update();
            tokio::spawn(follow(shared.clone(), revision));
        }
        drop(watched);
        Watch { shared: shared.clone(), filter: filter.clone(), number, wake }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        // Its methods leave it in order before anything in them can fail.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn group(&mut self, filter: &ChangeFilter) -> &mut Watchers {
        match Watched::place(filter) {
            KeyOrPrefix::Key(key) => self.keys.entry(key).or_default(),
            KeyOrPrefix::Prefix(prefix) => {
                if !self.prefixes.contains_key(&prefix) {
                    *self.lengths.entry(prefix.len()).or_default() += 1;
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
        match Watched::place(filter) {
            KeyOrPrefix::Key(key) => _ = self.keys.remove(&key),
            KeyOrPrefix::Prefix(prefix) => {
                self.prefixes.remove(&prefix);
                let count = self.lengths.entry(prefix.len()).or_default();
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&prefix.len());
                }
            }
        }
    }

    fn place(filter: &ChangeFilter) -> KeyOrPrefix {
        match filter {
            ChangeFilter::Key(key) => KeyOrPrefix::Key(key.clone()),
            ChangeFilter::Prefix(prefix) => KeyOrPrefix::Prefix(prefix.clone()),
            // Of no key; nobody watches for it here.
            ChangeFilter::Grants => KeyOrPrefix::Prefix("".into()),
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.prefixes.is_empty()
    }

    /// What has to be read so that everybody hears of what concerns them.
    fn filters(&self) -> Vec<ChangeFilter> {
        if self.keys.len() + self.prefixes.len() > FILTERS_MAX {
            return vec![ChangeFilter::Prefix("".into())];
        }
        let keys = self.keys.keys().cloned().map(ChangeFilter::Key);
        keys.chain(self.prefixes.keys().cloned().map(ChangeFilter::Prefix)).collect()
    }

    /// Wakes those whom the event concerns.
    fn tell(&mut self, event: &Event) {
        let key = &event.subject;
        self.keys.get_mut(key).into_iter().for_each(|watchers| wake(watchers, event.revision));
        for length in self.lengths.keys().take_while(|length| **length <= key.len()) {
            if let Some(prefix) = key.get(..*length)
                && let Some(watchers) = self.prefixes.get_mut(prefix)
            {
                wake(watchers, event.revision);
            }
        }
    }

    fn tell_all(&mut self) {
        for watchers in self.keys.values_mut().chain(self.prefixes.values_mut()) {
            wake(watchers, Revision::ZERO);
            wake(watchers, Revision(u64::MAX));
        }
    }
}

fn wake(watchers: &mut Watchers, revision: Revision) {
    for watcher in watchers.values_mut() {
        let (first, last) = watcher.told.unwrap_or((revision, revision));
        watcher.told = Some((first.min(revision), last.max(revision)));
        watcher.wake.notify_one();
    }
}

impl Watch {
    /// Until there may be news.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The news since `seen`, up to which everything has been read.
    pub(super) fn news(&self, seen: Revision) -> News {
        let mut watched = self.shared.watches.lock();
        let up_to = watched.seen.max(seen);
        let watcher = watched.group(&self.filter).get_mut(&self.number);
        match watcher.and_then(|watcher| watcher.told.take()) {
            Some((Revision(first), _)) if first > seen.0 => News::After(Revision(first - 1)),
            Some((_, last)) if last > seen => News::After(seen),
            // What it was told of it had read before.
            Some(_) | None => News::NoneUpTo(up_to),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.shared.watches.lock();
        watched.leave(&self.filter, self.number);
        if watched.is_empty() {
            self.shared.watches.left.notify_one();
        }
    }
}

/// Follows the events of keys until nobody watches any more.
async fn follow(shared: Arc<ServiceShared>, mut revision: watch::Receiver<Revision>) {
    loop {
        let newest = *revision.borrow_and_update();
        let (seen, filters) = {
            let mut watched = shared.watches.lock();
            watched.is_followed = !watched.is_empty();
            if !watched.is_followed {
                return;
            }
            (watched.seen, watched.filters())
        };
        if newest < seen {
            // The store has lost its newest events, as a Redis can.
            let mut watched = shared.watches.lock();
            watched.seen = newest;
            watched.tell_all();
        }
        if newest > seen {
            for filter in filters {
                if read(&shared, filter, seen, newest).await.is_err() {
                    shared.watches.lock().tell_all();
                    tokio::time::sleep(RETRY).await;
                }
            }
            shared.watches.lock().seen = newest;
        }
        tokio::select! {
            changed = revision.changed() => if changed.is_err() {
                // The store is closing; those who wait will learn it themselves.
                tokio::time::sleep(RETRY).await;
            },
            () = shared.watches.left.notified() => {}
        }
    }
}

/// Tells of what `filter` admits between two revisions.
async fn read(
    shared: &ServiceShared,
    filter: ChangeFilter,
    mut after: Revision,
    newest: Revision,
) -> Result<(), StoreError> {
    while after < newest {
        let question = Question::Changes { filter: filter.clone(), after, page: EVENTS };
        let answered = shared.ask_here(question, ANSWER).await?;
        let Answer::Changes { events, complete, more } = answered.answer else {
            return Err(StoreError::Storage("the store answered another question".into()));
        };
        let mut watched = shared.watches.lock();
        events.iter().for_each(|event| watched.tell(event));
        if !complete {
            watched.tell_all();
        }
        after = match events.last().filter(|_| more) {
            Some(last) => last.revision,
            None => newest,
        };
    }
    Ok(())
}
