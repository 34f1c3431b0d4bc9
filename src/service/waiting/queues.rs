//! Queues: who waits for what, in the order in which they came, and whom a run
//! or a lease that can be had is offered to. Decides and remembers; asks no store.
//!
//! Those who wait for the same thing are one group. Whoever is woken is awake
//! until it has what it came for, has gone, or has found nothing and sleeps
//! again, in the place that it had.
//!
//! Invariant: whatever can be had and is wanted is on offer to somebody who is
//! awake, or is to be looked at when that one is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use super::facets::{Facets, WantedFacet};
use crate::machine::row::RunRow;
use crate::machine::view::ClaimFilter;
use crate::machine::{ClusterMs, Revision, Text};

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Work(ClaimFilter),
    /// By resource.
    Lease(Text),
}

/// A place in the queue of a group. Lower numbers came first, also across
/// groups.
#[derive(Clone, Debug)]
pub(super) struct QueuePlace {
    pub(super) wanted: Arc<Wanted>,
    number: u64,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Somebody else's.
    Sleep,
    /// This one's, to see whether there is anything.
    Look,
    /// This one's, to take what there is.
    Take,
}

/// What somebody who is awake has got.
#[derive(Clone, Debug)]
pub(super) struct GrantTaken {
    /// Nothing where it is a lease.
    pub(super) run_id: Option<Text>,
    /// The state holds the grant from this revision on.
    pub(super) revision: Revision,
}

/// All queues of a service.
#[derive(Default)]
pub(super) struct Queues {
    groups: BTreeMap<Arc<Wanted>, WaitGroup>,
    facets: Facets,
    /// Runs that are on offer, and to whom.
    offers: BTreeMap<Text, QueuePlace>,
    /// Groups by when time alone may bring them something.
    times: BTreeSet<(ClusterMs, Arc<Wanted>)>,
    /// Groups to be looked at, once the state has come so far.
    looks: BTreeMap<Arc<Wanted>, Revision>,
    /// Runs that were on offer and were not taken.
    left_over: Vec<Text>,
    places: u64,
    /// Whether somebody follows the store's events for those who wait.
    pub(super) is_followed: bool,
}

#[derive(Default)]
struct WaitGroup {
    facet: Option<WantedFacet>,
    asleep: BTreeMap<u64, Sleeper>,
    awake: BTreeMap<u64, Awake>,
    at: Option<ClusterMs>,
}

struct Sleeper {
    wake: Arc<Notify>,
    /// Of a lease that is waited for: whoever holds it has it already.
    holder: Option<Text>,
}

struct Awake {
    sleeper: Sleeper,
    offer: Option<Text>,
    turn: Turn,
    /// Something has changed since its turn began: it is to try once more.
    again: bool,
    /// Groups to be looked at when it is done, since it may leave them something.
    then: BTreeSet<Arc<Wanted>>,
    /// Dropped when it is done, which tells those who let it go first.
    done: Vec<oneshot::Sender<()>>,
}

impl Queues {
    /// Queues up.
    pub(super) fn join(
        &mut self,
        wanted: Wanted,
        holder: Option<Text>,
        wake: Arc<Notify>,
    ) -> QueuePlace {
        let wanted = Arc::new(wanted);
        let wanted = self.groups.get_key_value(&wanted).map_or(wanted, |(known, _)| known.clone());
        let (number, facets) = (self.places, &mut self.facets);
        self.places += 1;
        let group = self.groups.entry(wanted.clone()).or_insert_with(|| WaitGroup {
            facet: match &*wanted {
                Wanted::Work(filter) => Some(facets.list(filter, &wanted)),
                Wanted::Lease(_) => None,
            },
            ..WaitGroup::default()
        });
        group.asleep.insert(number, Sleeper { wake, holder });
        QueuePlace { wanted, number }
    }

    /// Whose turn it is. What changes from now on is for the next turn.
    pub(super) fn turn(&mut self, place: &QueuePlace) -> Turn {
        let Some(awake) = self.awake(place) else { return Turn::Sleep };
        awake.again = false;
        // Whoever looked and is still awake takes.
        std::mem::replace(&mut awake.turn, Turn::Take)
    }

    /// Found nothing: sleeps on, unless something has changed meanwhile. Time
    /// alone may bring the group something `at`.
    pub(super) fn rest(&mut self, place: &QueuePlace, at: ClusterMs) {
        self.set_time(&place.wanted, at);
        let Some(group) = self.groups.get_mut(&place.wanted) else { return };
        if group.awake.get(&place.number).is_none_or(|awake| awake.again) {
            return;
        }
        let Some(awake) = group.awake.remove(&place.number) else { return };
        if let Some(run_id) = &awake.offer {
            self.offers.remove(run_id);
        }
        group.asleep.insert(place.number, awake.sleeper);
        for wanted in awake.then {
            self.look_at(wanted, Revision::ZERO);
        }
    }

    /// Leaves the queue, with what it has got.
    pub(super) fn leave(&mut self, place: &QueuePlace, taken: Option<GrantTaken>) {
        let Some(group) = self.groups.get_mut(&place.wanted) else { return };
        group.asleep.remove(&place.number);
        if let Some(awake) = group.awake.remove(&place.number) {
            // The last one who is awake sees to it that no other is needed.
            let own = group.awake.is_empty().then(|| place.wanted.clone());
            let run_id = taken.as_ref().and_then(|taken| taken.run_id.as_ref());
            if let Some(offer) = awake.offer {
                self.offers.remove(&offer);
                self.left_over.extend((run_id != Some(&offer)).then_some(offer));
            }
            let from = taken.map_or(Revision::ZERO, |taken| taken.revision);
            for wanted in awake.then.into_iter().chain(own) {
                self.look_at(wanted, from);
            }
        }
        let group = self.groups.get(&place.wanted);
        if group.is_some_and(|group| group.asleep.is_empty() && group.awake.is_empty()) {
            self.end(&place.wanted);
        }
    }

    /// The group is to be looked at, once the state has come as far as `from`.
    fn look_at(&mut self, wanted: Arc<Wanted>, from: Revision) {
        let known = self.looks.entry(wanted).or_default();
        *known = from.max(*known);
    }

    fn end(&mut self, wanted: &Arc<Wanted>) {
        let Some(group) = self.groups.remove(wanted) else { return };
        if let Some(facet) = &group.facet {
            self.facets.unlist(facet, wanted);
        }
        if let Some(at) = group.at {
            self.times.remove(&(at, wanted.clone()));
        }
        self.looks.remove(wanted);
    }

    /// This one has seen, before it slept, that there is something to take. It
    /// takes it, unless somebody sleeps who came before.
    pub(super) fn saw(&mut self, place: &QueuePlace, run: Option<&RunRow>) {
        let Some(group) = self.groups.get(&place.wanted) else { return };
        let first = group.asleep.keys().next();
        match run {
            Some(_) if first == Some(&place.number) => self.wake(place, None, Turn::Take),
            Some(run) => self.found(&place.wanted, run),
            None => self.wake_first(&place.wanted, Turn::Take),
        }
    }

    /// This one's turn comes although others came before.
    pub(super) fn pass_all(&mut self, place: &QueuePlace) {
        self.wake(place, None, Turn::Take);
    }

    /// A run can be claimed: wakes the one who has waited longest of those who
    /// may have it.
    pub(super) fn offer_run(&mut self, run: &RunRow) {
        if let Some(place) = self.offers.get(&run.run_id).cloned() {
            self.awake(&place).into_iter().for_each(|awake| awake.again = true);
            return;
        }
        let groups = self.facets.admitting(run);
        if let Some(place) = self.first(&groups, |group| group.asleep.keys().next().copied()) {
            self.offers.insert(run.run_id.clone(), place.clone());
            self.wake(&place, Some(run.run_id.clone()), Turn::Take);
        } else if let Some(place) = self.first(&groups, |group| group.awake.keys().next().copied())
            && let Some(awake) = self.awake(&place)
        {
            awake.again = true;
            awake.then.extend(groups);
        }
    }

    /// A look at a group has found a run that can be claimed.
    pub(super) fn found(&mut self, wanted: &Arc<Wanted>, run: &RunRow) {
        if !self.offers.contains_key(&run.run_id) {
            self.offer_run(run);
        }
        // There may be others behind it.
        if let Some(place) = self.offers.get(&run.run_id).cloned()
            && place.wanted != *wanted
            && let Some(awake) = self.awake(&place)
        {
            awake.then.insert(wanted.clone());
        }
    }

    /// A run can be claimed from `at` on.
    pub(super) fn delay_run(&mut self, run: &RunRow, at: ClusterMs) {
        for wanted in self.facets.admitting(run) {
            self.set_time(&wanted, at);
        }
    }

    /// A group has, or may have, something to take: wakes the one who has waited
    /// longest, unless one is at it already.
    pub(super) fn wake_first(&mut self, wanted: &Arc<Wanted>, turn: Turn) {
        let Some(group) = self.groups.get_mut(wanted) else { return };
        if let Some(mut awake) = group.awake.first_entry() {
            awake.get_mut().again = true;
        } else if let Some((&number, _)) = group.asleep.first_key_value() {
            self.wake(&QueuePlace { wanted: wanted.clone(), number }, None, turn);
        }
    }

    /// `holder` has this lease: wakes whoever waits under that name.
    pub(super) fn lease_is_held(&mut self, wanted: &Arc<Wanted>, holder: &Text) {
        let Some(group) = self.groups.get(wanted) else { return };
        let is_holder = |sleeper: &Sleeper| sleeper.holder.as_ref() == Some(holder);
        let own = group.asleep.iter().filter(|(_, sleeper)| is_holder(sleeper));
        for number in own.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.wake(&QueuePlace { wanted: wanted.clone(), number }, None, Turn::Take);
        }
    }

    /// Wakes the first in the queue for a lease that is free, and tells when it
    /// is done. Nothing where nobody waits.
    pub(super) fn go_first(&mut self, wanted: &Arc<Wanted>) -> Option<oneshot::Receiver<()>> {
        self.wake_first(wanted, Turn::Take);
        let mut first = self.groups.get_mut(wanted)?.awake.first_entry()?;
        let (done, told) = oneshot::channel();
        first.get_mut().done.push(done);
        Some(told)
    }

    fn wake(&mut self, place: &QueuePlace, offer: Option<Text>, turn: Turn) {
        let Some(group) = self.groups.get_mut(&place.wanted) else { return };
        let Some(sleeper) = group.asleep.remove(&place.number) else { return };
        sleeper.wake.notify_one();
        let (then, done) = (BTreeSet::new(), Vec::new());
        let awake = Awake { sleeper, offer, turn, again: false, then, done };
        group.awake.insert(place.number, awake);
    }

    fn awake(&mut self, place: &QueuePlace) -> Option<&mut Awake> {
        self.groups.get_mut(&place.wanted)?.awake.get_mut(&place.number)
    }

    /// The first of these groups' places, each group's own given by `number`.
    fn first(
        &self,
        groups: &[Arc<Wanted>],
        number: impl Fn(&WaitGroup) -> Option<u64>,
    ) -> Option<QueuePlace> {
        let places = groups.iter().filter_map(|wanted| {
            Some(QueuePlace { wanted: wanted.clone(), number: number(self.groups.get(wanted)?)? })
        });
        places.min_by_key(|place| place.number)
    }

    /// The group is to be looked at by then.
    pub(super) fn set_time(&mut self, wanted: &Arc<Wanted>, at: ClusterMs) {
        let Some(group) = self.groups.get_mut(wanted) else { return };
        match group.at {
            Some(earlier) if earlier <= at => return,
            Some(later) => _ = self.times.remove(&(later, wanted.clone())),
            None => {}
        }
        group.at = Some(at);
        self.times.insert((at, wanted.clone()));
    }

    /// When time alone may bring somebody something.
    pub(super) fn next_time(&self) -> Option<ClusterMs> {
        self.times.first().map(|(at, _)| *at)
    }

    /// Every group is to be looked at: something may have been missed.
    pub(super) fn look_at_all(&mut self) {
        for wanted in self.groups.keys() {
            self.looks.entry(wanted.clone()).or_default();
        }
    }

    /// The groups to be looked at now, where the state has come so far.
    pub(super) fn take_looks(&mut self, now: ClusterMs, revision: Revision) -> Vec<Arc<Wanted>> {
        while self.next_time().is_some_and(|at| at <= now) {
            let Some((_, wanted)) = self.times.pop_first() else { break };
            self.groups.get_mut(&wanted).into_iter().for_each(|group| group.at = None);
            self.look_at(wanted, Revision::ZERO);
        }
        let mut due = Vec::new();
        self.looks.retain(|wanted, from| {
            let is_due = *from <= revision;
            due.extend(is_due.then(|| wanted.clone()));
            !is_due
        });
        due
    }

    /// Runs that were on offer and were not taken.
    pub(super) fn take_left_over(&mut self) -> Vec<Text> {
        std::mem::take(&mut self.left_over)
    }

    /// The group of those who wait for a lease, if anybody does.
    pub(super) fn for_lease(&self, resource_id: &Text) -> Option<Arc<Wanted>> {
        let wanted = Wanted::Lease(resource_id.clone());
        self.groups.get_key_value(&wanted).map(|(wanted, _)| wanted.clone())
    }

    /// Whether anybody waits for work.
    pub(super) fn is_work_wanted(&self) -> bool {
        !self.facets.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether there is something to be done that nobody is told of otherwise.
    pub(super) fn is_to_be_seen_to(&self) -> bool {
        !self.looks.is_empty() || !self.left_over.is_empty() || self.is_empty()
    }
}
