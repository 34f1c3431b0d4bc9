//! Groups: the callers that wait for the same thing, asleep or awake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use super::facets::WantedFacet;
use super::wanted::Wanted;
use crate::machine::{ClusterMs, Revision, Text};

/// A place in the queue of a group. Lower numbers came first, also across groups.
#[derive(Clone, Debug)]
pub(super) struct QueuePlace {
    pub(super) wanted: Arc<Wanted>,
    pub(super) number: u64,
}

/// What a caller is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is somebody else's turn.
    Sleep,
    /// Read whether something is free, and attempt only then.
    Check,
    /// Attempt to take what is free.
    Attempt,
}

/// What a caller was granted.
#[derive(Clone, Debug)]
pub(super) struct GrantTaken {
    /// `None` for a lease. It is the first of several runs.
    pub(super) run_id: Option<Text>,
    /// The state has the grant from this revision on.
    pub(super) revision: Revision,
}

/// The callers that wait for the same thing, by their numbers.
#[derive(Default)]
pub(super) struct WaitGroup {
    /// Under which a group that waits for work is found.
    pub(super) facets: Vec<WantedFacet>,
    pub(super) asleep: BTreeMap<u64, SleepingCaller>,
    pub(super) awake: BTreeMap<u64, AwakeCaller>,
    pub(super) check_at: Option<ClusterMs>,
}

/// A caller that sleeps.
pub(super) struct SleepingCaller {
    pub(super) wake: Arc<Notify>,
    /// The name under which the caller waits for a lease. If that holder acquires the
    /// lease by another call, this one need not wait for it.
    pub(super) holder: Option<Text>,
}

/// A caller that was woken.
pub(super) struct AwakeCaller {
    pub(super) sleeper: SleepingCaller,
    pub(super) offer: Option<Text>,
    pub(super) turn: Turn,
    /// Something has changed since its turn began, so it must try once more.
    pub(super) try_again: bool,
    /// The groups to check when it is done, since it may leave them something.
    pub(super) check_when_done: BTreeSet<Arc<Wanted>>,
    /// They are dropped when it is done, which tells the callers that let it go first.
    pub(super) when_done: Vec<oneshot::Sender<()>>,
}
