//! The view: how rules see the state. Each store brings its own; the rules
//! cannot tell which one they run on.

use std::collections::BTreeMap;

use super::event::{Action, Event};
use super::reply::Reply;
use super::row::{
    KeyRow, LeaseRow, Meta, OriginRow, RequestRow, RunRow, SessionRow, Status, StepRow,
};
use super::value::{ClusterMs, Revision, Text};

/// Read access to one consistent state. Rows come as they are stored: whether
/// a deadline has passed is for the rules to judge, except where a method
/// takes `now` and says otherwise.
///
/// Lists come in a defined order, never a hash's, and hold at most `limit`.
pub trait View {
    /// What can go wrong while reading; [`std::convert::Infallible`] in memory.
    type Error;

    fn meta(&self) -> Result<Meta, Self::Error>;
    fn key(&self, key: &str) -> Result<Option<KeyRow>, Self::Error>;
    fn lease(&self, resource_id: &str) -> Result<Option<LeaseRow>, Self::Error>;
    fn run(&self, run_id: &str) -> Result<Option<RunRow>, Self::Error>;
    fn session(&self, session_id: &str) -> Result<Option<SessionRow>, Self::Error>;
    fn request(&self, key: &str) -> Result<Option<RequestRow>, Self::Error>;
    fn origin(&self, session: u64) -> Result<Option<OriginRow>, Self::Error>;
    fn answer(&self, session: u64, sequence: u64) -> Result<Option<Reply>, Self::Error>;

    /// One step of a run. A store that can look it up alone does so.
    fn step(&self, run_id: &str, step: u64) -> Result<Option<StepRow>, Self::Error> {
        let steps = self.steps(run_id)?;
        Ok(steps.into_iter().find(|(number, _)| *number == step).map(|(_, row)| row))
    }
    /// A run's steps, in order.
    fn steps(&self, run_id: &str) -> Result<Vec<(u64, StepRow)>, Self::Error>;
    /// Runs whose parent this is, oldest first.
    fn children(&self, run_id: &str) -> Result<Vec<Text>, Self::Error>;
    /// The best run that is claimable at `now` (highest priority, then
    /// oldest), or when the first one will be by the passing of time.
    fn candidate(&self, filter: &ClaimFilter, now: ClusterMs) -> Result<Candidate, Self::Error>;

    /// Keys that live at `now`, in byte order.
    fn keys(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, KeyRow)>, Self::Error>;
    /// Leases that live at `now`, in byte order.
    fn leases(
        &self,
        scan: &Scan,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<(Text, LeaseRow)>, Self::Error>;
    /// Sessions in byte order.
    fn sessions(&self, scan: &Scan, limit: usize) -> Result<Vec<(Text, SessionRow)>, Self::Error>;
    /// Runs created before the revision `before` (any, where none is given),
    /// newest first.
    fn runs(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        now: ClusterMs,
        limit: usize,
    ) -> Result<Vec<RunRow>, Self::Error>;

    /// Rows whose time is over at `now`, or which are remembered for too
    /// long: earliest first, ties in the order of [`Due`]'s variants and ids.
    fn due(&self, now: ClusterMs, limit: usize) -> Result<Vec<Due>, Self::Error>;
    /// The earliest time after `after` at which the passing of time alone would
    /// change an answer: the deadline of a key, a lease or a claim, or the end
    /// of a run's delay.
    fn next_deadline(&self, after: ClusterMs) -> Result<Option<ClusterMs>, Self::Error>;
    /// How many requests with an idempotency key are remembered, and the
    /// oldest of them.
    fn oldest_request(&self) -> Result<(u64, Option<Text>), Self::Error>;
    /// How much there is at `now`.
    fn counts(&self, now: ClusterMs) -> Result<Counts, Self::Error>;
}

/// Read access to the history that is kept.
pub trait HistoryView {
    type Error;

    /// Events before the revision `before` (all, where none is given), newest
    /// first.
    fn newest(
        &self,
        filter: &HistoryFilter,
        before: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<Event>, Self::Error>;

    /// Events after the revision `after`, oldest first.
    fn since(
        &self,
        filter: &ChangeFilter,
        after: Revision,
        limit: usize,
    ) -> Result<Vec<Event>, Self::Error>;
}

/// A range of names: those that start with `prefix` and come after `after`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Literal and case-sensitive.
    pub prefix: Text,
    pub after: Option<Text>,
}

/// Which runs a list is to hold. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub tags: BTreeMap<Text, Text>,
    pub status: Option<Status>,
    /// Only runs that can, or cannot, be claimed now.
    pub claimable: Option<bool>,
}

/// Which runs `workflow_claim_next` may take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimFilter {
    pub name: Option<Text>,
    pub tags: BTreeMap<Text, Text>,
}

/// What `candidate` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    Ready(Box<RunRow>),
    /// Nothing now, but at this time a run that fits becomes claimable.
    At(ClusterMs),
    None,
}

/// Which events a history holds. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    pub subject: Option<Text>,
    pub action: Option<Action>,
    pub actor: Option<Text>,
}

/// Which events `state_wait` looks at: those of keys, by name or prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeFilter {
    Key(Text),
    Prefix(Text),
}

/// A row that a sweep would remove.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Key(Text),
    Lease(Text),
    Request(Text),
    Origin(u64),
}

/// How many live rows of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub keys: u64,
    pub runs: u64,
    pub steps: u64,
    pub leases: u64,
    pub sessions: u64,
}

impl RunFilter {
    /// Whether `run` is to be listed at `now`.
    pub fn admits(&self, run: &RunRow, now: ClusterMs) -> bool {
        self.status.is_none_or(|status| run.status == status)
            && self.claimable.is_none_or(|claimable| run.is_claimable(now) == claimable)
            && has_tags(run, &self.tags)
    }
}

impl ClaimFilter {
    /// Whether `run` may be taken as far as name and tags go.
    pub fn admits(&self, run: &RunRow) -> bool {
        self.name.as_ref().is_none_or(|name| run.name == *name) && has_tags(run, &self.tags)
    }
}

impl HistoryFilter {
    /// Whether `event` is to be listed.
    pub fn admits(&self, event: &Event) -> bool {
        self.subject.as_ref().is_none_or(|subject| event.subject == *subject)
            && self.action.is_none_or(|action| event.action == action)
            && self.actor.as_ref().is_none_or(|actor| event.actor.as_ref() == Some(actor))
    }
}

impl ChangeFilter {
    /// Whether `event` is a change of a key that is waited for.
    pub fn admits(&self, event: &Event) -> bool {
        let of_a_key =
            matches!(event.action, Action::StateSet | Action::StateDelete | Action::StateExpire);
        of_a_key
            && match self {
                ChangeFilter::Key(key) => event.subject == *key,
                ChangeFilter::Prefix(prefix) => event.subject.starts_with(&**prefix),
            }
    }
}

fn has_tags(run: &RunRow, wanted: &BTreeMap<Text, Text>) -> bool {
    wanted.iter().all(|(name, value)| run.tags.get(name) == Some(value))
}
