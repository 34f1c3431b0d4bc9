//! Commands: every write, and the envelope in which a write is ordered. Names,
//! units and meaning are those of the tools.

use std::collections::{BTreeMap, BTreeSet};

use super::dependency_failure::OnDependencyFailure;
use super::timetable::{FiringMs, Overlap, Timetable};
use super::value::{ClusterMs, Json, Revision, Text, WallMs};

/// A command with everything that a rule may know besides the state itself.
///
/// Time and randomness are data: whoever orders the commands stamps the clocks,
/// the service draws `random`, and no rule reads either from anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Set where a node may have to repeat the command (Raft); see [`Origin`].
    pub origin: Option<Origin>,
    /// Set where the caller may repeat the command; see [`Idempotency`].
    pub idempotency: Option<Idempotency>,
    /// The caller, whom events name where the command names no agent.
    pub actor: Option<Text>,
    /// A number drawn once for the command; new run ids are made from it.
    pub random: u64,
    /// The wall clock of the node that ordered the command. The rules clamp it so
    /// that it never falls.
    pub wall: WallMs,
    /// The cluster time at which the command was ordered, clamped likewise.
    pub clock: ClusterMs,
    /// What the node that orders the command is configured to keep.
    pub limits: StateLimits,
    /// The rules that decide the command.
    pub rules: Rules,
    /// The command itself.
    pub command: Command,
}

/// What a state may hold, by the settings of whoever orders its commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateLimits {
    /// The limit on the size of the state, in bytes as [`super::size`] counts
    /// them, if there is one.
    pub bytes_max: Option<u64>,
    /// How long runs are kept after their end unless they say otherwise, in
    /// milliseconds; without it, for ever.
    pub run_retention_ms: Option<u64>,
}

/// The version of the rules that decides a command. It is part of the command, so
/// that a log written by an older version means the same for ever, and so that the
/// nodes of a cluster decide alike while it is being upgraded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rules {
    /// The first version: a command does all of its work at once, however many
    /// rows that takes.
    #[default]
    Whole,
    /// A command touches a bounded number of rows, and the sweep does the rest.
    /// Replies that nothing can be claimed or acquired are not remembered.
    Stepwise,
    /// A claim that lapses is a failed attempt, a call on a run is judged by what it
    /// names, and runs that are over are removed after a time.
    Attempts,
}

/// Identifies one command of a node, so that a command repeated after a change of
/// leader is applied once (section 6.3 of Ongaro's thesis on Raft).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// A number that the node draws at each start.
    pub session: u64,
    /// The number of the command within the session.
    pub sequence: u64,
    /// The lowest sequence whose answer is still outstanding. Answers below it may
    /// be forgotten.
    pub lowest: u64,
}

/// The caller's own name for a request. A repetition with the same arguments gets
/// the first reply; one with other arguments is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// 1 to 128 bytes.
    pub key: Text,
    /// The SHA-256 of the tool and its arguments.
    pub digest: [u8; 32],
}

/// A condition of a write: that a lease is held with this token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The resource that is leased.
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
    Heartbeat(HeldClaim),
    /// `workflow_release`
    Release(HeldClaim),
    /// `workflow_checkpoint`
    Checkpoint(Checkpoint),
    /// `workflow_complete`
    Complete(Complete),
    /// `workflow_fail`
    Fail(Fail),
    /// `workflow_cancel`
    Cancel(Cancel),
    /// `workflow_retry`
    Retry(Retry),
    /// `workflow_delete`
    DeleteRun(DeleteRun),
    /// `workflow_decide`
    Decide(Decide),
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
    /// `workflow_pause`
    Pause(Pause),
    /// `schedule_set`
    SetSchedule(Box<SetSchedule>),
    /// `schedule_set` with `delete`
    DeleteSchedule(DeleteSchedule),
    /// Proposed for a schedule whose next firing has come.
    FireSchedule(FireSchedule),
    /// `sidecar_reset`
    Reset,
    /// Advances the clock, removes expired rows, records what the passing of time
    /// has done to runs, promotes those whose time has come, and cancels the
    /// descendants of cancelled runs. The sweep proposes it, and so do readers that
    /// notice that a deadline has passed.
    Sweep {
        /// The most rows to change.
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
    /// The revision that the key must have; zero means that it must not exist.
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

/// Carry out `then` if every comparison holds, else `otherwise`; all of it or
/// nothing.
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

/// What a comparison demands of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has this revision; zero means that it does not exist.
    Revision(Revision),
    /// It exists with this value, compared as JSON text.
    Value(Json),
    /// It exists, or it does not.
    Exists(bool),
}

/// One operation of a [`Transact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Set { key: Text, value: Json, ttl_ms: Option<u64> },
    Delete { key: Text },
    Get { key: Text },
}

/// Register a workflow run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    pub name: Text,
    pub tags: BTreeMap<Text, Text>,
    pub input: Option<Json>,
    /// Higher is claimed first; zero by default.
    pub priority: i64,
    /// The run cannot be claimed before this time has passed.
    pub delay_ms: Option<u64>,
    /// The number of attempts in all, the first included. Zero is no number: then a
    /// reported failure ends the run, and a crash does not.
    pub max_attempts: u32,
    pub parent_run_id: Option<Text>,
    /// The pause after a first failed attempt.
    pub backoff_ms: Option<u64>,
    /// The longest pause between two attempts.
    pub backoff_max_ms: Option<u64>,
    /// The run fails if it is not over by then.
    pub deadline: Option<RunDeadline>,
    /// The run fails if nobody has claimed it by then.
    pub start_within_ms: Option<u64>,
    /// How long the run is kept after its end, instead of
    /// [`StateLimits::run_retention_ms`].
    pub keep_ms: Option<u64>,
    pub concurrency: Option<Concurrency>,
    /// Claims alternate between the keys that have work.
    pub fair_key: Option<Text>,
    pub unique: Option<UniqueRequest>,
    /// The runs that must be over before this one can be claimed.
    pub depends_on: Vec<Text>,
    pub on_dependency_failure: OnDependencyFailure,
}

/// How many runs of a key may be claimed at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concurrency {
    pub key: Text,
    pub limit: u32,
}

/// That a run is created only if no other run holds the key. Otherwise the reply names
/// that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueRequest {
    pub key: Text,
    pub held: UniqueFor,
}

/// For how long a new run holds its unique key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UniqueFor {
    /// Until it is claimed for the first time, or is over.
    Queued,
    /// Until it is over.
    #[default]
    Active,
    /// For so many milliseconds, whatever becomes of it.
    Ms(u64),
}

/// How long a run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunDeadline {
    pub ms: u64,
    /// Whether the time begins with the first claim, instead of with the creation.
    pub from_claim: bool,
}

/// How long a claim lives after each heartbeat or checkpoint, in milliseconds, by
/// default: longer than most steps take, and short enough to notice a crash.
pub const CLAIM_TTL_MS_DEFAULT: u64 = 300_000;

/// Take a run for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub run_id: Text,
    pub agent_id: Text,
    pub claim_ttl_ms: u64,
}

/// The most runs that one command claims. A replica applies that many in a few
/// milliseconds.
pub const CLAIMS_MAX: u32 = 100;

/// Take the best claimable run: highest priority, then oldest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimNext {
    pub agent_id: Text,
    /// The names of the runs that are wanted; where there are none, any name will do.
    pub names: BTreeSet<Text>,
    pub tags: BTreeMap<Text, Text>,
    pub claim_ttl_ms: u64,
    /// The rank at which an earlier attempt stopped searching.
    pub after: Option<Rank>,
    /// Take up to so many runs, the best ones first.
    pub limit: Option<u32>,
}

impl ClaimNext {
    /// The most runs that are granted.
    pub fn most(&self) -> u32 {
        self.limit.unwrap_or(1)
    }
}

/// A run's place among those that can be claimed at once: higher priority
/// first, then the earlier place, which for most runs is the revision that created
/// them. With fair keys several runs may have one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    pub priority: i64,
    pub place: Revision,
}

/// A claim, as its holder identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldClaim {
    pub run_id: Text,
    pub agent_id: Text,
    pub claim_token: Revision,
}

/// The caller that says it holds the claim. Where neither field is given anyone
/// may act, as with the Python reference.
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
    /// The question with which the run waits for a person.
    pub ask: Option<Ask>,
}

/// A question to a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    pub question: Text,
    /// The answers to choose from; where there are none, any text is an answer.
    pub options: Vec<Text>,
    /// The run goes on without an answer after this.
    pub expires_ms: Option<u64>,
}

/// Answer the question that a run waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decide {
    pub run_id: Text,
    pub answer: Text,
    pub comment: Option<Text>,
    /// What the question must be, if whoever decides has read it; see
    /// [`super::row::ApprovalRow::digest`].
    pub digest: Option<Text>,
    pub agent_id: Option<Text>,
}

/// End a run with a result and, in the same step, store the output of its last step and
/// create the runs that come after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complete {
    pub run_id: Text,
    pub result: Option<Json>,
    pub claimant: Claimant,
    pub last_step: Option<LastStep>,
    /// The runs to create. If one of them is refused, the run does not end.
    pub successors: Vec<Create>,
}

/// The output of the step with which a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastStep {
    pub step: u64,
    pub output: Json,
}

/// End an attempt with an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fail {
    pub run_id: Text,
    pub error: Text,
    /// Whether the run may be tried again while attempts remain.
    pub retry: bool,
    /// The pause before the next attempt, instead of the back-off.
    pub retry_after_ms: Option<u64>,
    pub claimant: Claimant,
}

/// End a run and its descendants, whoever holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    pub run_id: Text,
    pub reason: Option<Text>,
    pub agent_id: Option<Text>,
}

/// Let failed runs be tried again, with all their attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    pub runs: RetriedRuns,
    pub agent_id: Option<Text>,
}

/// Which failed runs are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetriedRuns {
    One(Text),
    /// Those that fit, newest first, in bounded portions.
    Many {
        name: Option<Text>,
        tags: BTreeMap<Text, Text>,
        /// The end of the previous portion.
        before: Option<Revision>,
    },
}

/// Remove a run that is over, with its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRun {
    pub run_id: Text,
    pub agent_id: Option<Text>,
}

/// Let no run of a name be claimed by `workflow_claim_next`, or let them be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub name: Text,
    /// Whether to end the pause.
    pub resume: bool,
    pub agent_id: Option<Text>,
}

/// Take a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acquire {
    pub resource_id: Text,
    pub holder_id: Text,
    pub ttl_ms: u64,
    /// Whether a lease that this holder has already is refused too, so that two
    /// processes of one name are told apart.
    pub exclusive: bool,
    /// How many may hold the lease at a time, this holder included. Zero stands for one.
    pub permits: u32,
}

/// The most holders of one lease.
pub const PERMITS_MAX: u32 = 100;

/// Renew a lease.
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
    /// The session reads as absent after this; without it, it is kept for ever.
    pub ttl_ms: Option<u64>,
}

/// Remove a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteSession {
    pub session_id: Text,
    pub agent_id: Option<Text>,
}

/// Create or change a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSchedule {
    pub name: Text,
    pub timetable: Timetable,
    /// The run that each firing creates.
    pub template: Create,
    pub overlap: Overlap,
    /// The first firing of a cron expression. The service computes it, so that the
    /// rules need not know time zones. An interval begins with this command.
    pub first_at: Option<FiringMs>,
    pub agent_id: Option<Text>,
}

/// Remove a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteSchedule {
    pub name: Text,
    pub agent_id: Option<Text>,
}

/// Carry out one firing of a schedule, if it has not been carried out yet. However
/// often it is proposed, and by whomever, one such command does something: the one
/// that finds the schedule at `due_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FireSchedule {
    pub name: Text,
    /// The firing that is due.
    pub due_at: FiringMs,
    /// The first firing after the present, if there is one.
    pub next_at: Option<FiringMs>,
    /// The firings between the two, which have passed unnoticed.
    pub missed: u64,
    /// Why the next firing cannot be computed.
    pub error: Option<Text>,
}
