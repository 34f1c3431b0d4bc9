//! Queues: who waits for what, in order of arrival, and who is offered a run or a lease
//! that is free. This file decides and remembers; it reads no store.
//!
//! Callers that wait for the same thing form one group. A caller that was woken is awake
//! until it is granted something, goes away, or finds nothing and sleeps again in the
//! place that it had.
//!
//! Invariant: whatever is free and wanted is on offer to a caller that is awake, or is
//! checked when that caller is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use super::facets::Facets;
use super::group::{AwakeCaller, GrantTaken, QueuePlace, SleepingCaller, Turn, WaitGroup};
use super::wanted::Wanted;
use crate::machine::row::RunRow;
use crate::machine::{ClusterMs, Revision, Text};

/// All queues of a service.
#[derive(Default)]
pub(super) struct Queues {
    groups: BTreeMap<Arc<Wanted>, WaitGroup>,
    facets: Facets,
    /// The runs that are on offer, and to whom.
    offers: BTreeMap<Text, QueuePlace>,
    /// The groups by the time at which they are due for a check.
    check_times: BTreeSet<(ClusterMs, Arc<Wanted>)>,
    /// The groups to check as soon as this node's state has reached a revision.
    checks: BTreeMap<Arc<Wanted>, Revision>,
    /// Runs that were on offer and were not taken.
    declined_runs: Vec<Text>,
    next_number: u64,
    /// Whether the dispatcher runs.
    pub(super) has_dispatcher: bool,
}

impl Queues {
    /// Adds a caller to the end of its group's queue.
    pub(super) fn join(
        &mut self,
        wanted: Wanted,
        holder: Option<Text>,
        wake: Arc<Notify>,
    ) -> QueuePlace {
        let wanted = Arc::new(wanted);
        let wanted = self.groups.get_key_value(&wanted).map_or(wanted, |(known, _)| known.clone());
        let (number, facets) = (self.next_number, &mut self.facets);
        self.next_number += 1;
        let group = self.groups.entry(wanted.clone()).or_insert_with(|| WaitGroup {
            facets: match &*wanted {
                Wanted::Work(filter) => facets.add(filter, &wanted),
                Wanted::Lease(..) => Vec::new(),
            },
            ..WaitGroup::default()
        });
        group.asleep.insert(number, SleepingCaller { wake, holder });
        QueuePlace { wanted, number }
    }

    /// What the caller is to do next. Changes from now on count for its next turn.
    pub(super) fn turn(&mut self, place: &QueuePlace) -> Turn {
        let Some(awake) = self.awake(place) else { return Turn::Sleep };
        awake.try_again = false;
        // A caller that is still awake after its check has found something.
        std::mem::replace(&mut awake.turn, Turn::Attempt)
    }

    /// Puts a caller that found nothing to sleep again, unless something has changed
    /// meanwhile. Its group is checked at `at` at the latest.
    pub(super) fn sleep_again(&mut self, place: &QueuePlace, at: ClusterMs) {
        self.check_at(&place.wanted, at);
        let Some(group) = self.groups.get_mut(&place.wanted) else { return };
        if group.awake.get(&place.number).is_none_or(|awake| awake.try_again) {
            return;
        }
        let Some(awake) = group.awake.remove(&place.number) else { return };
        if let Some(run_id) = &awake.offer {
            self.offers.remove(run_id);
        }
        group.asleep.insert(place.number, awake.sleeper);
        for wanted in awake.check_when_done {
            self.check_from(wanted, Revision::ZERO);
        }
    }

    /// Removes a caller from its queue, with what it was granted.
    pub(super) fn leave(&mut self, place: &QueuePlace, taken: Option<GrantTaken>) {
        let Some(group) = self.groups.get_mut(&place.wanted) else { return };
        group.asleep.remove(&place.number);
        if let Some(awake) = group.awake.remove(&place.number) {
            // If nobody else of the group is awake, more may be free than this one took.
            let own = group.awake.is_empty().then(|| place.wanted.clone());
            let run_id = taken.as_ref().and_then(|taken| taken.run_id.as_ref());
            if let Some(offer) = awake.offer {
                self.offers.remove(&offer);
                self.declined_runs.extend((run_id != Some(&offer)).then_some(offer));
            }
            let from = taken.map_or(Revision::ZERO, |taken| taken.revision);
            for wanted in awake.check_when_done.into_iter().chain(own) {
                self.check_from(wanted, from);
            }
        }
        let group = self.groups.get(&place.wanted);
        if group.is_some_and(|group| group.asleep.is_empty() && group.awake.is_empty()) {
            self.remove_group(&place.wanted);
        }
    }

    /// Has the group checked, once the state has reached the revision `from`.
    fn check_from(&mut self, wanted: Arc<Wanted>, from: Revision) {
        let present = self.checks.entry(wanted).or_default();
        *present = from.max(*present);
    }

    fn remove_group(&mut self, wanted: &Arc<Wanted>) {
        let Some(group) = self.groups.remove(wanted) else { return };
        self.facets.remove(&group.facets, wanted);
        if let Some(at) = group.check_at {
            self.check_times.remove(&(at, wanted.clone()));
        }
        self.checks.remove(wanted);
    }

    /// A caller has read, before it slept, that something is free. It is woken to take
    /// it, unless somebody who came before it sleeps.
    pub(super) fn report_free(&mut self, place: &QueuePlace, run: Option<&RunRow>) {
        let Some(group) = self.groups.get(&place.wanted) else { return };
        let first = group.asleep.keys().next();
        match run {
            Some(_) if first == Some(&place.number) => self.wake(place, None, Turn::Attempt),
            Some(run) => self.offer_run_to(&place.wanted, run),
            None => self.wake_first(&place.wanted, Turn::Attempt),
        }
    }

    /// Wakes this caller although others came before it.
    pub(super) fn skip_line(&mut self, place: &QueuePlace) {
        self.wake(place, None, Turn::Attempt);
    }

    /// Offers a claimable run to the caller that has waited longest of those whose
    /// filter admits it.
    pub(super) fn offer_run(&mut self, run: &RunRow) {
        if let Some(place) = self.offers.get(&run.run_id).cloned() {
            self.awake(&place).into_iter().for_each(|awake| awake.try_again = true);
            return;
        }
        let groups = self.facets.admitting(run);
        if let Some(place) = self.first(&groups, |group| group.asleep.keys().next().copied()) {
            self.offers.insert(run.run_id.clone(), place.clone());
            self.wake(&place, Some(run.run_id.clone()), Turn::Attempt);
        } else if let Some(place) = self.first(&groups, |group| group.awake.keys().next().copied())
            && let Some(awake) = self.awake(&place)
        {
            awake.try_again = true;
            awake.check_when_done.extend(groups);
        }
    }

    /// Offers the claimable run that a check of this group has found.
    pub(super) fn offer_run_to(&mut self, wanted: &Arc<Wanted>, run: &RunRow) {
        if !self.offers.contains_key(&run.run_id) {
            self.offer_run(run);
        }
        // If another group has the offer, this one may still find a run behind it.
        if let Some(place) = self.offers.get(&run.run_id).cloned()
            && place.wanted != *wanted
            && let Some(awake) = self.awake(&place)
        {
            awake.check_when_done.insert(wanted.clone());
        }
    }

    /// A run can be claimed from `at` on, so the groups that want it are checked then.
    pub(super) fn delay_run(&mut self, run: &RunRow, at: ClusterMs) {
        for wanted in self.facets.admitting(run) {
            self.check_at(&wanted, at);
        }
    }

    /// Wakes the caller of a group that has waited longest, since something is or may be
    /// free. If one is awake already, that one tries once more.
    pub(super) fn wake_first(&mut self, wanted: &Arc<Wanted>, turn: Turn) {
        let Some(group) = self.groups.get_mut(wanted) else { return };
        if let Some(mut awake) = group.awake.first_entry() {
            awake.get_mut().try_again = true;
        } else if let Some((&number, _)) = group.asleep.first_key_value() {
            self.wake(&QueuePlace { wanted: wanted.clone(), number }, None, turn);
        }
    }

    /// Wakes the callers that wait for a lease in the name of its holder: they have it.
    pub(super) fn wake_holder(&mut self, wanted: &Arc<Wanted>, holder: &Text) {
        let Some(group) = self.groups.get(wanted) else { return };
        let is_holder = |sleeper: &SleepingCaller| sleeper.holder.as_ref() == Some(holder);
        let own = group.asleep.iter().filter(|(_, sleeper)| is_holder(sleeper));
        for number in own.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.wake(&QueuePlace { wanted: wanted.clone(), number }, None, Turn::Attempt);
        }
    }

    /// Wakes the first caller in the queue for a free lease. The receiver completes when
    /// that caller is done. `None` where nobody waits.
    pub(super) fn let_first_go(&mut self, wanted: &Arc<Wanted>) -> Option<oneshot::Receiver<()>> {
        self.wake_first(wanted, Turn::Attempt);
        let mut first = self.groups.get_mut(wanted)?.awake.first_entry()?;
        let (when_done, done) = oneshot::channel();
        first.get_mut().when_done.push(when_done);
        Some(done)
    }

    fn wake(&mut self, place: &QueuePlace, offer: Option<Text>, turn: Turn) {
        let Some(group) = self.groups.get_mut(&place.wanted) else { return };
        let Some(sleeper) = group.asleep.remove(&place.number) else { return };
        sleeper.wake.notify_one();
        let (check_when_done, when_done) = (BTreeSet::new(), Vec::new());
        let awake =
            AwakeCaller { sleeper, offer, turn, try_again: false, check_when_done, when_done };
        group.awake.insert(place.number, awake);
    }

    fn awake(&mut self, place: &QueuePlace) -> Option<&mut AwakeCaller> {
        self.groups.get_mut(&place.wanted)?.awake.get_mut(&place.number)
    }

    /// The earliest place in these groups, where `number` picks one of each group.
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

    /// Has the group checked at `at` at the latest.
    pub(super) fn check_at(&mut self, wanted: &Arc<Wanted>, at: ClusterMs) {
        let Some(group) = self.groups.get_mut(wanted) else { return };
        match group.check_at {
            Some(earlier) if earlier <= at => return,
            Some(later) => _ = self.check_times.remove(&(later, wanted.clone())),
            None => {}
        }
        group.check_at = Some(at);
        self.check_times.insert((at, wanted.clone()));
    }

    /// When the next group is due for a check.
    pub(super) fn next_check_time(&self) -> Option<ClusterMs> {
        self.check_times.first().map(|(at, _)| *at)
    }

    /// Has every group checked, since an event may have been missed.
    pub(super) fn check_all(&mut self) {
        for wanted in self.groups.keys() {
            self.checks.entry(wanted.clone()).or_default();
        }
    }

    /// Takes out the groups that are due for a check at `now`, where the state has
    /// reached `revision`.
    pub(super) fn take_due_checks(
        &mut self,
        now: ClusterMs,
        revision: Revision,
    ) -> Vec<Arc<Wanted>> {
        while self.next_check_time().is_some_and(|at| at <= now) {
            let Some((_, wanted)) = self.check_times.pop_first() else { break };
            self.groups.get_mut(&wanted).into_iter().for_each(|group| group.check_at = None);
            self.check_from(wanted, Revision::ZERO);
        }
        let mut due = Vec::new();
        self.checks.retain(|wanted, from| {
            let is_due = *from <= revision;
            due.extend(is_due.then(|| wanted.clone()));
            !is_due
        });
        due
    }

    /// Takes out the runs that were on offer and were not taken.
    pub(super) fn take_declined_runs(&mut self) -> Vec<Text> {
        std::mem::take(&mut self.declined_runs)
    }

    /// The groups that wait for a lease.
    pub(super) fn lease_groups(&self, resource_id: &Text) -> Vec<Arc<Wanted>> {
        let of = |permits| Arc::new(Wanted::Lease(resource_id.clone(), permits));
        let groups = self.groups.range(of(0)..=of(u32::MAX));
        groups.map(|(wanted, _)| wanted.clone()).collect()
    }

    /// Whether anybody waits for work.
    pub(super) fn is_work_wanted(&self) -> bool {
        !self.facets.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether the dispatcher has something to do that no event tells it of.
    pub(super) fn needs_dispatcher(&self) -> bool {
        !self.checks.is_empty() || !self.declined_runs.is_empty() || self.is_empty()
    }
}
