//! Rows: what the state is made of. A row is only ever replaced whole.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use super::command::Rules;
use super::event::Chain;
use super::reply::Reply;
use super::value::{ClusterMs, Json, Revision, Text, WallMs};

/// How long an answer is remembered: the request of an agent after it was
/// answered, the session of a node after it was last heard of. An agent that
/// asks again does so within minutes; an hour leaves room for its restart.
pub const REMEMBERED_MS: u64 = 3_600_000;

/// What there is one of: the state's position in its own history.
///
/// Invariants: `revision` grows by one with each event; `clock` and `wall`
/// never fall; `chain` is the chain value of the event at `revision`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    pub revision: Revision,
    pub chain: Chain,
    pub clock: ClusterMs,
    pub wall: WallMs,
    /// History up to here is gone; the chain goes on from the value kept.
    pub anchor: Anchor,
    /// `state_set` events since the last reset, which the reference counts
    /// among the things a reset clears.
    pub sets: u64,
    /// How large the state is; see [`super::size`].
    pub state_bytes: u64,
    /// How many rows there are; see [`super::size`].
    pub counts: Counts,
    /// The newest [`super::command::Rules`] that a command was decided by.
    pub rules: Rules,
}

/// How many rows of each kind there are, those included whose time is over and
/// that no sweep has removed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub keys: u64,
    pub runs: u64,
    pub steps: u64,
    pub leases: u64,
    pub sessions: u64,
    /// Remembered requests.
    pub requests: u64,
    /// Cancelled trees of which the sweep has not reached every run yet.
    pub cancellations: u64,
}

/// Where the kept history begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    pub revision: Revision,
    pub chain: Chain,
}

/// One row with its id: what a store keeps, and the unit of snapshots and
/// exports. Large ones are boxed, so that the many small ones stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Key(Text, KeyRow),
    Lease(Text, LeaseRow),
    Run(Box<RunRow>),
    /// By run and step.
    Step(Text, u64, StepRow),
    Session(Text, SessionRow),
    /// By the `run_id` of the root.
    Cancellation(Text, Box<CancellationRow>),
    /// By idempotency key.
    Request(Text, Box<RequestRow>),
    /// By a node's session.
    Origin(u64, OriginRow),
    /// By a node's session and sequence.
    Answer(u64, u64, Box<Reply>),
}

/// By what a row is found. Ids of one kind sort as their names do, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowId {
    Key(Text),
    Lease(Text),
    Run(Text),
    Step(Text, u64),
    Session(Text),
    Cancellation(Text),
    Request(Text),
    Origin(u64),
    Answer(u64, u64),
}

/// A key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub value: Json,
    pub revision: Revision,
    pub expires_at: Option<ClusterMs>,
}

/// A lease that somebody holds, or held until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    pub holder_id: Text,
    /// The revision of the grant: the fencing token.
    pub token: Revision,
    /// The revision of the last change, a renewal included.
    pub revision: Revision,
    pub expires_at: ClusterMs,
}

/// A workflow run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    pub run_id: Text,
    pub name: Text,
    pub status: Status,
    pub tags: BTreeMap<Text, Text>,
    pub input: Option<Json>,
    pub priority: i64,
    pub parent_run_id: Option<Text>,
    /// The revision that created the run; lists order by it.
    pub created_revision: Revision,
    /// The revision of the last change.
    pub revision: Revision,
    pub created_at: WallMs,
    pub updated_at: WallMs,
    /// The highest step stored; zero where there is none.
    pub last_step: u64,
    /// Claims granted so far, an agent's repeated asking not counted, and
    /// failures reported for a run that nobody had claimed.
    pub attempts: u32,
    pub max_attempts: u32,
    /// While `created`: not claimable before this.
    pub ready_at: Option<ClusterMs>,
    /// Who works on it, or did when it ended.
    pub agent_id: Option<Text>,
    pub claim: Option<ClaimRow>,
    /// What `workflow_complete` gave.
    pub result: Option<Json>,
    /// What `workflow_fail` or `workflow_cancel` gave last.
    pub error: Option<Text>,
    /// It waited for a time, which has come, and is listed among the runs that
    /// can be claimed at once. Says nothing that the deadlines do not say; see
    /// [`super::index`].
    pub promoted: bool,
    /// How many runs are above it. Zero also for runs that older versions made.
    pub depth: u32,
}

/// A tree of runs that was cancelled at its root, as far as the sweep has got.
/// Every run below the root that is not over counts as cancelled already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancellationRow {
    /// The revision that cancelled the root; older ones are carried on first.
    pub revision: Revision,
    /// Who asked for it, for the events to come.
    pub actor: Option<Text>,
    pub reason: Option<Text>,
    /// Runs whose children are still to be cancelled: those created after the
    /// revision beside it. The first is the one to go on with; as many as the
    /// tree is deep at most.
    pub frames: VecDeque<(Text, Revision)>,
}

/// A claim on a run. Kept after the run ended, so that an ending asked for
/// again is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// The revision of the grant: the fencing token.
    pub token: Revision,
    /// How long the claim lives after a sign of life.
    pub ttl_ms: u64,
    pub expires_at: ClusterMs,
}

/// Where a run is: `created → claimed → running → done | failed | cancelled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Created,
    Claimed,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// A stored step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    pub output: Json,
    pub revision: Revision,
}

/// A session's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub context: Json,
    pub revision: Revision,
    pub saved_at: WallMs,
    pub updated_at: WallMs,
}

/// The remembered answer to a request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    pub digest: [u8; 32],
    pub reply: Reply,
    /// When it was answered; it is forgotten an hour later.
    pub at: ClusterMs,
}

/// A node's session; see [`super::command::Origin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginRow {
    /// Answers below this sequence have arrived and are forgotten.
    pub lowest: u64,
    pub seen_at: ClusterMs,
}

impl Row {
    pub fn id(&self) -> RowId {
        match self {
            Row::Key(key, _) => RowId::Key(key.clone()),
            Row::Lease(resource_id, _) => RowId::Lease(resource_id.clone()),
            Row::Run(run) => RowId::Run(run.run_id.clone()),
            Row::Step(run_id, step, _) => RowId::Step(run_id.clone(), *step),
            Row::Session(session_id, _) => RowId::Session(session_id.clone()),
            Row::Cancellation(run_id, _) => RowId::Cancellation(run_id.clone()),
            Row::Request(key, _) => RowId::Request(key.clone()),
            Row::Origin(session, _) => RowId::Origin(*session),
            Row::Answer(session, sequence, _) => RowId::Answer(*session, *sequence),
        }
    }
}

impl RowId {
    /// The name of a key, a lease or a session.
    pub fn name(&self) -> Option<&Text> {
        match self {
            RowId::Key(name) | RowId::Lease(name) | RowId::Session(name) => Some(name),
            RowId::Run(_)
            | RowId::Step(..)
            | RowId::Cancellation(_)
            | RowId::Request(_)
            | RowId::Origin(_)
            | RowId::Answer(..) => None,
        }
    }

    /// Whether a reset keeps the row: what was answered is remembered across it,
    /// so that asking again does not do a thing twice.
    pub fn outlives_reset(&self) -> bool {
        match self {
            RowId::Request(_) | RowId::Origin(_) | RowId::Answer(..) => true,
            RowId::Key(_)
            | RowId::Lease(_)
            | RowId::Run(_)
            | RowId::Step(..)
            | RowId::Session(_)
            | RowId::Cancellation(_) => false,
        }
    }
}

impl KeyRow {
    /// Whether the key is there for a reader at `now`.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

impl LeaseRow {
    /// Whether the lease is held at `now`.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.expires_at > now
    }
}

impl ClaimRow {
    /// Whether the claim keeps other agents out at `now`.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.expires_at > now
    }
}

impl RequestRow {
    /// From when on the answer is forgotten.
    pub fn forgotten_at(&self) -> ClusterMs {
        self.at.plus(REMEMBERED_MS)
    }
}

impl OriginRow {
    /// From when on the session is forgotten, if it is not heard of again.
    pub fn forgotten_at(&self) -> ClusterMs {
        self.seen_at.plus(REMEMBERED_MS)
    }
}

impl RunRow {
    /// Whether the run has ended for good.
    pub fn is_over(&self) -> bool {
        match self.status {
            Status::Created | Status::Claimed | Status::Running => false,
            Status::Done | Status::Failed | Status::Cancelled => true,
        }
    }

    /// Whether an agent without a claim could take the run at `now`: it waits
    /// and is ready, or its claim has lapsed.
    pub fn is_claimable(&self, now: ClusterMs) -> bool {
        !self.is_over() && self.claimable_from().is_some_and(|from| from <= now)
    }

    /// Whether the run is listed among those that can be claimed at once, rather
    /// than among those that wait for a time.
    pub fn is_ready(&self) -> bool {
        self.promoted || (self.status == Status::Created && self.ready_at.is_none())
    }

    /// From when on another agent may take the run, if nothing else happens.
    /// Nothing for runs that are over, and for those that somebody moves on
    /// without a claim.
    pub fn claimable_from(&self) -> Option<ClusterMs> {
        match self.status {
            Status::Created => Some(self.ready_at.unwrap_or_default()),
            Status::Claimed | Status::Running => self.claim.as_ref().map(|c| c.expires_at),
            Status::Done | Status::Failed | Status::Cancelled => None,
        }
    }
}

impl Status {
    /// As tools spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Claimed => "claimed",
            Status::Running => "running",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        const ALL: [Status; 6] = [
            Status::Created,
            Status::Claimed,
            Status::Running,
            Status::Done,
            Status::Failed,
            Status::Cancelled,
        ];
        ALL.into_iter().find(|status| status.as_str() == s).ok_or(())
    }
}
