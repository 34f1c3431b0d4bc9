//! Commands: every change that can be asked for, and the envelope in which
//! one is ordered. Names, units and meaning are those of the tools.

use std::collections::BTreeMap;

use super::value::{ClusterMs, Json, Revision, Text, WallMs};

/// A command with everything a rule may know besides the state itself.
///
/// Time and chance are data: whoever orders the commands stamps the clocks,
/// the service draws `chance`, and no rule reads either from anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Set where a node may have to ask again (Raft); see [`Origin`].
    pub origin: Option<Origin>,
    /// Set where the caller may ask again; see [`Idempotency`].
    pub idempotency: Option<Idempotency>,
    /// Who asked, for events whose command names no agent.
    pub actor: Option<Text>,
    /// A number drawn once for the command; new run ids are made from it.
    pub random: u64,
    /// Wall clock as the orderer read it; the rules clamp it.
    pub wall: WallMs,
    /// Cluster time as the orderer read it; the rules clamp it.
    pub clock: ClusterMs,
    /// How large the state may become, in bytes as [`super::size`] counts them;
    /// nothing where there is no limit. Whoever orders the command has it from
    /// its own settings.
    pub state_bytes_max: Option<u64>,
    /// By which rules it is decided.
    pub rules: Rules,
    /// What is to be done.
    pub command: Command,
}

/// Which rules decide a command. They are part of it, so that a log which an
/// older version wrote means the same for ever, and so that the nodes of a
/// cluster that is being upgraded decide alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rules {
    /// Those of the first version: a command does all of its work at once,
    /// however many rows that takes.
    #[default]
    Whole,
    /// A command touches a bounded number of rows, and the sweep carries on the
    /// rest. Refusals for lack of work are not remembered.
    Stepwise,
}

/// Names one attempt of one run of a node, so that asking again after a change
/// of leader applies once (section 6.3 of Ongaro's thesis on Raft).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Drawn anew at each start of a node.
    pub session: u64,
    /// Counts the session's commands.
    pub sequence: u64,
    /// The lowest sequence whose answer is still outstanding: answers below it
    /// need not be remembered any longer.
    pub lowest: u64,
}

/// The caller's own name for a request: asked again with the same arguments it
/// gives the first answer, with others it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// 1 to 128 bytes.
    pub key: Text,
    /// SHA-256 over the tool and its arguments.
    pub digest: [u8; 32],
}

/// A lease that must be held, with this token, for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease's resource.
    pub resource_id: Text,
    /// The token that its holder was given.
    pub token: Revision,
}

/// Every write. All durations are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `state_set`
    Set(Set),
    /// `state_delete`
    Delete(Delete),
    /// `state_transact`
    Transact(Transact),
    /// `workflow_create`
    Create(Create),
    /// `workflow_claim`
    Claim(Claim),
    /// `workflow_claim_next`
    ClaimNext(ClaimNext),
    /// `workflow_heartbeat`
    Heartbeat(Held),
    /// `workflow_release`
    Release(Held),
    /// `workflow_checkpoint`
    Checkpoint(Checkpoint),
    /// `workflow_complete`
    Complete(Complete),
    /// `workflow_fail`
    Fail(Fail),
    /// `workflow_cancel`
    Cancel(Cancel),
    /// `lease_acquire`
    Acquire(Acquire),
    /// `lease_renew`
    Renew(Renew),
    /// `lease_release`
    ReleaseLease(ReleaseLease),
    /// `session_save`
    SaveSession(SaveSession),
    /// `session_delete`
    DeleteSession(DeleteSession),
    /// `sidecar_reset`
    Reset,
    /// Proposed by the sweep, and by readers that saw a deadline pass: moves
    /// the clock on, and carries on what is due: removes rows whose time is over,
    /// promotes runs whose time has come, and cancels below cancelled runs.
    Sweep {
        /// Upper bound of rows changed.
        limit: u32,
    },
}

/// Write a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    pub key: Text,
    pub value: Json,
    pub ttl_ms: Option<u64>,
    pub agent_id: Option<Text>,
    /// The key's revision must be this; zero means that it must not exist.
    pub if_revision: Option<Revision>,
    pub fence: Option<Fence>,
}

/// Remove a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    pub key: Text,
    pub agent_id: Option<Text>,
    pub if_revision: Option<Revision>,
    pub fence: Option<Fence>,
}

/// Several keys, all or nothing: `then` when every comparison holds, else
/// `otherwise`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transact {
    pub compare: Vec<Compare>,
    pub then: Vec<Operation>,
    pub otherwise: Vec<Operation>,
    pub agent_id: Option<Text>,
    pub fence: Option<Fence>,
}

/// One condition of a [`Transact`] on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    pub key: Text,
    pub condition: Condition,
}

/// What a comparison asks of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its revision is this one; zero where it does not exist.
    Revision(Revision),
    /// It exists with this value, compared as JSON text.
    Value(Json),
    /// It exists, or it does not.
    Exists(bool),
}

/// One step of a [`Transact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Set { key: Text, value: Json, ttl_ms: Option<u64> },
    Delete { key: Text },
    Get { key: Text },
}

/// Register a workflow run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub name: Text,
    pub tags: BTreeMap<Text, Text>,
    pub input: Option<Json>,
    /// Higher is claimed first; zero by default.
    pub priority: i64,
    /// Not claimable before this has passed.
    pub delay_ms: Option<u64>,
    /// How often a failed run is tried in all; one by default.
    pub max_attempts: u32,
    pub parent_run_id: Option<Text>,
}

/// How long a claim lives after a sign of life, in milliseconds, where nothing
/// is said: longer than most steps, short enough to notice a crash.
pub const CLAIM_TTL_MS_DEFAULT: u64 = 300_000;

/// Take a run for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub run_id: Text,
    pub agent_id: Text,
    pub claim_ttl_ms: u64,
}

/// Take the best claimable run: highest priority, then oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNext {
    pub agent_id: Text,
    pub name: Option<Text>,
    pub tags: BTreeMap<Text, Text>,
    pub claim_ttl_ms: u64,
    /// Where an earlier attempt stopped searching; nothing at first.
    pub after: Option<Rank>,
}

/// A run's place among those that can be claimed at once: higher priority
/// first, then older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    pub priority: i64,
    pub created_revision: Revision,
}

/// A claim shown by its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub run_id: Text,
    pub agent_id: Text,
    pub claim_token: Revision,
}

/// Who says to hold the claim. Where neither is given, anyone may act, as in
/// the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimant {
    pub agent_id: Option<Text>,
    pub claim_token: Option<Revision>,
}

/// Store a step's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub run_id: Text,
    pub step: u64,
    pub output: Json,
    pub claimant: Claimant,
}

/// End a run well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete {
    pub run_id: Text,
    pub result: Option<Json>,
    pub claimant: Claimant,
}

/// End an attempt badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    pub run_id: Text,
    pub error: Text,
    /// Whether the run goes back to `created` while attempts remain.
    pub retry: bool,
    pub claimant: Claimant,
}

/// End a run and its descendants from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    pub run_id: Text,
    pub reason: Option<Text>,
    pub agent_id: Option<Text>,
}

/// Take a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    pub resource_id: Text,
    pub holder_id: Text,
    pub ttl_ms: u64,
}

/// Prolong a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renew {
    pub resource_id: Text,
    pub holder_id: Text,
    pub ttl_ms: u64,
    pub fencing_token: Option<Revision>,
}

/// Give a lease back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseLease {
    pub resource_id: Text,
    pub holder_id: Text,
    pub fencing_token: Option<Revision>,
}

/// Store a session's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveSession {
    pub session_id: Text,
    /// A JSON object.
    pub context: Json,
    pub agent_id: Option<Text>,
    pub fence: Option<Fence>,
}

/// Remove a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteSession {
    pub session_id: Text,
    pub agent_id: Option<Text>,
}
