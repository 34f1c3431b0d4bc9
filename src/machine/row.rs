//! Rows: what the state is made of. A row is only ever replaced whole.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

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
}

/// Where the kept history begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    pub revision: Revision,
    pub chain: Chain,
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
