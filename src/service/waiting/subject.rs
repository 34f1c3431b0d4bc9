//! What a subscription is about, and which events concern it.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::filter::HistoryFilter;
use crate::machine::subject::{lease_subject, run_subject, session_subject};
use crate::machine::{Action, Event, Revision, Text};

/// Something that a subscription is told the changes of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscribedSubject {
    Key(Text),
    /// A run by its id, with its steps.
    Run(Text),
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
    by_name: BTreeMap<(EventNoun, Text), BTreeSet<SubjectPlace>>,
    /// Those that concern more than one name. There are few, so they are all compared.
    others: BTreeMap<SubjectPlace, SubscribedSubject>,
}

/// A key may be named like a run or a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventNoun {
    Key,
    Run,
    Lease,
    Session,
    All,
}

impl SubjectIndex {
    pub(super) fn add(&mut self, number: u64, subjects: &[SubscribedSubject]) {
        for (place, subject) in subjects.iter().enumerate() {
            match named(subject) {
                Some(name) => {
                    self.by_name.entry(name).or_default().insert((number, place));
                }
                None => {
                    self.others.insert((number, place), subject.clone());
                }
            }
        }
    }

    pub(super) fn remove(&mut self, number: u64, subjects: &[SubscribedSubject]) {
        for (place, subject) in subjects.iter().enumerate() {
            let Some(name) = named(subject) else {
                self.others.remove(&(number, place));
                continue;
            };
            if let Some(places) = self.by_name.get_mut(&name) {
                places.remove(&(number, place));
                if places.is_empty() {
                    self.by_name.remove(&name);
                }
            }
        }
    }

    /// The subjects that `event` concerns.
    pub(super) fn of(&self, event: &Event) -> Vec<SubjectPlace> {
        let noun = noun(event.action);
        let others = self.others.iter().filter(|(_, subject)| concerns(event, subject));
        let others = others.map(|(place, _)| *place);
        if noun == EventNoun::All {
            return self.by_name.values().flatten().copied().chain(others).collect();
        }
        let name = (noun, event.subject.clone());
        self.by_name.get(&name).into_iter().flatten().copied().chain(others).collect()
    }
}

/// How events name the subject, if it has one name.
fn named(subject: &SubscribedSubject) -> Option<(EventNoun, Text)> {
    match subject {
        SubscribedSubject::Key(key) => Some((EventNoun::Key, key.clone())),
        SubscribedSubject::Run(id) => Some((EventNoun::Run, run_subject(id))),
        SubscribedSubject::Lease(id) => Some((EventNoun::Lease, lease_subject(id))),
        SubscribedSubject::Session(id) => Some((EventNoun::Session, session_subject(id))),
        SubscribedSubject::History { .. } | SubscribedSubject::Names => None,
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
        | SubscribedSubject::Lease(_)
        | SubscribedSubject::Session(_) => false,
    }
}

fn noun(action: Action) -> EventNoun {
    match action {
        Action::StateSet | Action::StateDelete | Action::StateExpire => EventNoun::Key,
        Action::WorkflowCreate
        | Action::WorkflowClaim
        | Action::WorkflowHeartbeat
        | Action::WorkflowRelease
        | Action::WorkflowCheckpoint
        | Action::WorkflowComplete
        | Action::WorkflowFail
        | Action::WorkflowRetry
        | Action::WorkflowCancel => EventNoun::Run,
        Action::LeaseAcquire | Action::LeaseRenew | Action::LeaseRelease | Action::LeaseExpire => {
            EventNoun::Lease
        }
        Action::SessionSave | Action::SessionDelete => EventNoun::Session,
        Action::SidecarReset => EventNoun::All,
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
        | Action::SessionDelete
        | Action::SidecarReset => true,
        Action::WorkflowClaim
        | Action::WorkflowHeartbeat
        | Action::WorkflowRelease
        | Action::WorkflowCheckpoint
        | Action::WorkflowComplete
        | Action::WorkflowFail
        | Action::WorkflowRetry
        | Action::WorkflowCancel
        | Action::LeaseRenew => false,
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
            (Action::WorkflowCreate, "workflow:other", None, &[4, 7]),
            (Action::LeaseRenew, "lease:r", Some("0"), &[2, 4]),
            (Action::LeaseRelease, "lease:r", Some("0"), &[2, 4, 7]),
            (Action::SessionSave, "session:r", Some("0"), &[3, 4]),
            (Action::SidecarReset, "sidecar", None, &[0, 1, 2, 3, 4, 5, 6, 7]),
        ] {
            let mut found = places(&event(action, subject, previous));
            found.sort_unstable();
            assert_eq!(found, concerned, "{action:?} of {subject}");
        }
        all.remove(1, &subjects);
        assert!(all.by_name.is_empty() && all.others.is_empty(), "nothing stays behind");
    }
}
