//! Filters: which runs and which events a caller wants.

use std::collections::{BTreeMap, BTreeSet};

use super::command::ClaimNext;
use super::describe;
use super::event::{Action, Event};
use super::row::RunRow;
use super::status::Status;
use super::value::{ClusterMs, Text};

/// Which runs a list holds. All conditions must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub name: Option<Text>,
    pub tags: BTreeMap<Text, Text>,
    pub status: Option<Status>,
    /// Only runs that can, or cannot, be claimed now.
    pub claimable: Option<bool>,
    pub parent_run_id: Option<Text>,
    /// Who works on the run, or did when it ended.
    pub agent_id: Option<Text>,
}

/// Which runs `workflow_claim_next` may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimFilter {
    /// One of them is the name of the run; where there are none, any name will do.
    pub names: BTreeSet<Text>,
    pub tags: BTreeMap<Text, Text>,
}

/// What one search for a run to claim looks for. A claim of several names searches for
/// each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchFilter<'f> {
    pub name: Option<&'f Text>,
    pub tags: &'f BTreeMap<Text, Text>,
}

/// Which events a history lists. All conditions must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    pub subject: Option<Text>,
    pub action: Option<Action>,
    pub actor: Option<Text>,
}

/// Which changes a caller waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeFilter {
    /// Changes of one key.
    Key(Text),
    /// Changes of keys that begin with this text.
    Prefix(Text),
    /// Changes of runs and leases that may let a waiting caller claim a run or
    /// take a lease. Only a node itself asks for them.
    Grants,
}

impl RunFilter {
    /// Whether `run` fits at `now`.
    pub fn admits(&self, run: &RunRow, now: ClusterMs) -> bool {
        self.name.as_ref().is_none_or(|name| run.name == *name)
            && self.status.is_none_or(|status| run.status == status)
            && self.claimable.is_none_or(|claimable| run.is_claimable(now) == claimable)
            && has_tags(run, &self.tags)
            && fits(&self.parent_run_id, &run.parent_run_id)
            && fits(&self.agent_id, &run.agent_id)
    }
}

impl ClaimFilter {
    /// The runs that a command wants.
    pub fn of(claim: &ClaimNext) -> ClaimFilter {
        ClaimFilter { names: claim.names.clone(), tags: claim.tags.clone() }
    }

    /// Whether the name and tags of `run` fit; its status is not considered.
    pub fn admits(&self, run: &RunRow) -> bool {
        (self.names.is_empty() || self.names.contains(&run.name)) && has_tags(run, &self.tags)
    }

    /// The searches that find every run that fits, and each of them once.
    pub fn searches(&self) -> Vec<SearchFilter<'_>> {
        let search = |name| SearchFilter { name, tags: &self.tags };
        match self.names.is_empty() {
            true => vec![search(None)],
            false => self.names.iter().map(|name| search(Some(name))).collect(),
        }
    }
}

impl<'f> SearchFilter<'f> {
    /// Looks for runs of any name.
    pub fn of_tags(tags: &'f BTreeMap<Text, Text>) -> SearchFilter<'f> {
        SearchFilter { name: None, tags }
    }
}

impl HistoryFilter {
    /// Whether `event` fits.
    pub fn admits(&self, event: &Event) -> bool {
        self.subject.as_ref().is_none_or(|subject| event.subject == *subject)
            && self.action.is_none_or(|action| event.action == action)
            && self.actor.as_ref().is_none_or(|actor| event.actor.as_ref() == Some(actor))
    }
}

impl ChangeFilter {
    /// Whether `event` is one of the changes.
    pub fn admits(&self, event: &Event) -> bool {
        self.actions().contains(&event.action)
            && match self {
                ChangeFilter::Key(key) => event.subject == *key,
                ChangeFilter::Prefix(prefix) => event.subject.starts_with(&**prefix),
                ChangeFilter::Grants => true,
            }
    }

    /// The actions that such events can have.
    pub fn actions(&self) -> &'static [Action] {
        match self {
            ChangeFilter::Key(_) | ChangeFilter::Prefix(_) => {
                &[Action::StateSet, Action::StateDelete, Action::StateExpire]
            }
            ChangeFilter::Grants => &[
                Action::WorkflowCreate,
                Action::WorkflowClaim,
                Action::WorkflowRelease,
                Action::WorkflowRetry,
                Action::WorkflowDecide,
                Action::WorkflowComplete,
                Action::WorkflowFail,
                Action::WorkflowCancel,
                Action::WorkflowUnblock,
                Action::WorkflowUnpause,
                Action::LeaseAcquire,
                Action::LeaseRenew,
                Action::LeaseRelease,
                Action::LeaseExpire,
                Action::SidecarReset,
            ],
        }
    }
}

/// Whether `found` is what is wanted, if anything is.
fn fits(wanted: &Option<Text>, found: &Option<Text>) -> bool {
    wanted.is_none() || wanted == found
}

/// Whether another run of the same concurrency key may be claimed after this event.
pub fn makes_room(event: &Event) -> bool {
    let ends_claim = matches!(
        event.action,
        Action::WorkflowComplete
            | Action::WorkflowFail
            | Action::WorkflowCancel
            | Action::WorkflowRelease
            | Action::WorkflowRetry
    );
    ends_claim && event.previous.as_ref().is_some_and(describe::has_concurrency_key)
}

fn has_tags(run: &RunRow, wanted: &BTreeMap<Text, Text>) -> bool {
    wanted.iter().all(|(name, value)| run.tags.get(name) == Some(value))
}
