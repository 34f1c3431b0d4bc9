//! What a subscription is about, and which events concern it.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::filter::HistoryFilter;
use crate::machine::subject::Noun;
use crate::machine::{Action, Event, Revision, Text};

/// Something that a subscription is told the changes of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscribedSubject {
    Key(Text),
    /// A run by its id, with its steps.
    Run(Text),
    /// The end of a run, or its removal.
    RunEnd(Text),
    /// A lease by its resource.
    Lease(Text),
    Session(Text),
    /// The part of the history that the filter admits, before this revision.
    History {
        filter: HistoryFilter,
        before: Option<Revision>,
    },
    /// Which keys, runs, leases and sessions there are.
    Names,
}

/// The subscription and the place of a subject in its list.
type SubjectPlace = (u64, usize);

/// Finds the subjects that an event concerns.
#[derive(Default)]
pub(super) struct SubjectIndex {
    by_name: BTreeMap<(Noun, Text), BTreeSet<SubjectPlace>>,
    /// Those that only the end of a run concerns.
    by_end: BTreeMap<Text, BTreeSet<SubjectPlace>>,
    /// Those that concern more than one name. There are few, so they are all compared.
    others: BTreeMap<SubjectPlace, SubscribedSubject>,
}

impl SubjectIndex {
    pub(super) fn add(&mut self, number: u64, subjects: &[SubscribedSubject]) {
        for (place, subject) in subjects.iter().enumerate() {
            let place = (number, place);
            if let SubscribedSubject::RunEnd(id) = subject {
                self.by_end.entry(id.clone()).or_default().insert(place);
            } else if let Some(name) = named(subject) {
                self.by_name.entry(name).or_default().insert(place);
            } else {
                self.others.insert(place, subject.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, number: u64, subjects: &[SubscribedSubject]) {
        for (place, subject) in subjects.iter().enumerate() {
            let place = (number, place);
            if let SubscribedSubject::RunEnd(id) = subject {
                remove_place(&mut self.by_end, id, place);
            } else if let Some(name) = named(subject) {
                remove_place(&mut self.by_name, &name, place);
            } else {
                self.others.remove(&place);
            }
        }
    }

    /// The subjects that `event` concerns.
    pub(super) fn of(&self, event: &Event) -> Vec<SubjectPlace> {
        let others = self.others.iter().filter(|(_, subject)| concerns(event, subject));
        let others = others.map(|(place, _)| *place);
        let named = event.about().map(|(noun, name)| (noun, name.into()));
        let places: Box<dyn Iterator<Item = _>> = match &named {
            Some((Noun::State, _)) => Box::new(self.by_name.values().chain(self.by_end.values())),
            Some(name) => {
                let ended = self.by_end.get(&name.1).filter(|_| may_end_run(event.action));
                Box::new(self.by_name.get(name).into_iter().chain(ended))
            }
            None => Box::new(std::iter::empty()),
        };
        places.flatten().copied().chain(others).collect()
    }
}

fn remove_place<K: Ord>(
    names: &mut BTreeMap<K, BTreeSet<SubjectPlace>>,
    name: &K,
    place: SubjectPlace,
) {
    if let Some(places) = names.get_mut(name) {
        places.remove(&place);
        if places.is_empty() {
            names.remove(name);
        }
    }
}

/// The kind and the name of the subject, if it has one name.
fn named(subject: &SubscribedSubject) -> Option<(Noun, Text)> {
    match subject {
        SubscribedSubject::Key(key) => Some((Noun::Key, key.clone())),
        SubscribedSubject::Run(id) => Some((Noun::Run, id.clone())),
        SubscribedSubject::Lease(id) => Some((Noun::Lease, id.clone())),
        SubscribedSubject::Session(id) => Some((Noun::Session, id.clone())),
        SubscribedSubject::RunEnd(_)
        | SubscribedSubject::History { .. }
        | SubscribedSubject::Names => None,
    }
}

fn concerns(event: &Event, subject: &SubscribedSubject) -> bool {
    match subject {
        SubscribedSubject::History { filter, before } => {
            event.action == Action::SidecarReset
                || filter.admits(event) && before.is_none_or(|before| event.revision < before)
        }
        SubscribedSubject::Names => changes_names(event),
        SubscribedSubject::Key(_)
        | SubscribedSubject::Run(_)
        | SubscribedSubject::RunEnd(_)
        | SubscribedSubject::Lease(_)
        | SubscribedSubject::Session(_) => false,
    }
}

/// Whether a run may be over or gone since an event of this action.
fn may_end_run(action: Action) -> bool {
    match action {
        Action::WorkflowComplete
        | Action::WorkflowFail
        | Action::WorkflowCancel
        | Action::WorkflowDelete
        | Action::WorkflowExpire
        | Action::SidecarReset => true,
        Action::WorkflowCreate
        | Action::WorkflowClaim
        | Action::WorkflowHeartbeat
        | Action::WorkflowRelease
        | Action::WorkflowCheckpoint
        | Action::WorkflowRetry
        | Action::WorkflowAsk
        | Action::WorkflowDecide
        | Action::WorkflowUnblock
        | Action::WorkflowPause
        | Action::WorkflowUnpause
        | Action::StateSet
        | Action::StateDelete
        | Action::StateExpire
        | Action::LeaseAcquire
        | Action::LeaseRenew
        | Action::LeaseRelease
        | Action::LeaseExpire
        | Action::SessionSave
        | Action::SessionDelete
        | Action::SessionExpire
        | Action::ScheduleSet
        | Action::ScheduleDelete
        | Action::ScheduleFire => false,
    }
}

/// Whether something came to be or is gone.
fn changes_names(event: &Event) -> bool {
    match event.action {
        Action::StateSet | Action::LeaseAcquire | Action::SessionSave => event.previous.is_none(),
        Action::StateDelete
        | Action::StateExpire
        | Action::WorkflowCreate
        | Action::LeaseRelease
        | Action::LeaseExpire
        | Action::WorkflowDelete
        | Action::WorkflowExpire
        | Action::SessionDelete
        | Action::SessionExpire
        | Action::SidecarReset => true,
        Action::WorkflowClaim
        | Action::WorkflowHeartbeat
        | Action::WorkflowRelease
        | Action::WorkflowCheckpoint
        | Action::WorkflowComplete
        | Action::WorkflowFail
        | Action::WorkflowRetry
        | Action::WorkflowUnblock
        | Action::WorkflowPause
        | Action::WorkflowUnpause
        | Action::WorkflowCancel
        | Action::WorkflowAsk
        | Action::WorkflowDecide
        | Action::LeaseRenew
        | Action::ScheduleSet
        | Action::ScheduleDelete
        | Action::ScheduleFire => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Chain, Json, WallMs};

    fn event(action: Action, subject: &str, previous: Option<&str>) -> Event {
        let json = |text: &str| Json::new(text.to_string());
        Event {
            revision: Revision(7),
            at: WallMs(1),
            actor: Some("a".into()),
            action,
            subject: subject.into(),
            new: Some(json("1")),
            previous: previous.map(json),
            chain: Chain::default(),
        }
    }

    #[test]
    fn an_event_concerns_what_it_is_about_and_nothing_else() {
        let history = |key: Option<&str>, before| SubscribedSubject::History {
            filter: HistoryFilter { subject: key.map(Into::into), ..HistoryFilter::default() },
            before,
        };
        let subjects = [
            SubscribedSubject::Key("workflow:r".into()),
            SubscribedSubject::Run("r".into()),
            SubscribedSubject::Lease("r".into()),
            SubscribedSubject::Session("r".into()),
            history(None, None),
            history(Some("k"), None),
            history(None, Some(Revision(7))),
            SubscribedSubject::Names,
            SubscribedSubject::RunEnd("r".into()),
        ];
        let mut all = SubjectIndex::default();
        all.add(1, &subjects);
        let places = |event: &Event| -> Vec<usize> {
            all.of(event).into_iter().map(|(_, place)| place).collect()
        };
        for (action, subject, previous, concerned) in [
            (Action::StateSet, "workflow:r", Some("0"), &[0, 4][..]),
            (Action::StateSet, "k", None, &[4, 5, 7]),
            (Action::WorkflowCheckpoint, "workflow:r", None, &[1, 4]),
            (Action::WorkflowComplete, "workflow:r", Some("0"), &[1, 4, 8]),
            (Action::WorkflowFail, "workflow:other", Some("0"), &[4]),
            (Action::WorkflowCreate, "workflow:other", None, &[4, 7]),
            (Action::LeaseRenew, "lease:r", Some("0"), &[2, 4]),
            (Action::LeaseRelease, "lease:r", Some("0"), &[2, 4, 7]),
            (Action::SessionSave, "session:r", Some("0"), &[3, 4]),
            (Action::SidecarReset, "sidecar", None, &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ] {
            let mut found = places(&event(action, subject, previous));
            found.sort_unstable();
            assert_eq!(found, concerned, "{action:?} of {subject}");
        }
        all.remove(1, &subjects);
        let is_empty = all.by_name.is_empty() && all.by_end.is_empty() && all.others.is_empty();
        assert!(is_empty, "nothing stays behind");
    }
}
