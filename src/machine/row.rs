//! Rows: what a state consists of. A change replaces a row as a whole.

use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest, Sha256};

pub use super::command::Concurrency;
use super::command::Create;
pub use super::dependency_failure::OnDependencyFailure;
use super::hex;
use super::reply::{Acquired, Reply};
use super::row_id::RowId;
use super::run_group::{GroupRow, RunChanges, RunGroup};
use super::status::Status;
use super::stored_steps::StoredSteps;
use super::timetable::{FiringMs, Overlap, Timetable};
use super::value::{ClusterMs, Json, Revision, Text, WallMs};

/// How long an answer to an agent's request is remembered, and a node's session
/// after its last command. An agent that repeats a request does so within
/// minutes; an hour leaves time for the agent to restart.
pub const REMEMBERED_MS: u64 = 3_600_000;

/// One row with its id: what a store keeps, and the unit of snapshots and
/// exports. Large variants are boxed, so that they do not enlarge the small ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Key(Text, KeyRow),
    Lease(Text, LeaseRow),
    Run(Box<RunRow>),
    /// The run and the number of the step.
    Step(Text, u64, StepRow),
    Session(Text, SessionRow),
    /// How many runs of a group there are.
    Group(RunGroup, GroupRow),
    Schedule(Text, Box<ScheduleRow>),
    /// The name of the runs that are paused.
    Pause(Text, PauseRow),
    /// The run at the root of the cancelled tree.
    Cancellation(Text, Box<CancellationRow>),
    /// The idempotency key.
    Request(Text, Box<RequestRow>),
    /// The session of a node.
    Origin(u64, OriginRow),
    /// The session of a node and the sequence number of its command.
    Answer(u64, u64, Box<Reply>),
}

/// A key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub value: Json,
    pub revision: Revision,
    pub expires_at: Option<ClusterMs>,
}

/// A lease, with everyone who holds it or did until it expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// The revision of the last change, a renewal included.
    pub revision: Revision,
    /// In the order of their grants, each with a name of its own; there is at least one.
    pub holders: Vec<LeaseHolder>,
}

/// One who holds a lease until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    pub holder_id: Text,
    /// The revision of the grant: the fencing token.
    pub token: Revision,
    /// The revision at which the grant was made or renewed last.
    pub revision: Revision,
    pub expires_at: ClusterMs,
    /// How many may hold the lease at a time, as this holder said. Zero stands for one.
    pub permits: u32,
}

/// A workflow run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub steps: StoredSteps,
    /// The attempts begun: claims, and failures reported for the run while nobody
    /// had claimed it. An agent that repeats its claim is not counted, nor is a
    /// claim that was given back.
    pub attempts: u32,
    pub max_attempts: u32,
    pub retry: RetryPolicy,
    /// The claims granted, those that were given back included. Earlier rules did
    /// not count them.
    pub claims: u32,
    /// While nobody has a claim on the run: not claimable before this.
    pub ready_at: Option<ClusterMs>,
    /// The run fails if it is not over by then.
    pub deadline_at: Option<ClusterMs>,
    /// The run fails if it is not over so long after its first claim.
    pub deadline_ms: Option<u64>,
    /// The run fails if nobody has claimed it by then.
    pub start_by: Option<ClusterMs>,
    /// How long the run is kept after its end, if it says so itself.
    pub keep_ms: Option<u64>,
    /// When a run that is over reads as absent.
    pub expires_at: Option<ClusterMs>,
    /// Whether the run reads as absent already, and its event is recorded, while
    /// the sweep still removes its steps.
    pub removed: bool,
    /// The agent that works on the run, or that did when it ended.
    pub agent_id: Option<Text>,
    pub claim: Option<ClaimRow>,
    /// The result that `workflow_complete` stored.
    pub result: Option<Json>,
    /// The latest error or reason from `workflow_fail` or `workflow_cancel`.
    pub error: Option<Text>,
    /// Whether the run's time has come and it is listed among the runs that can
    /// be claimed at once. This only moves its index entries (see
    /// [`super::index`]); whether it can be claimed follows from the deadlines.
    pub promoted: bool,
    /// The number of ancestors. Runs that older versions created have zero.
    pub depth: u32,
    /// What the run waits for and shares with other runs.
    pub constraints: Option<Box<Constraints>>,
    /// Whether runs are blocked by this one, or were until it ended and have not all
    /// been told.
    pub has_dependents: bool,
    /// The place of the run among those of its priority, if it is not the revision
    /// that created it. Fairness between keys puts runs elsewhere.
    pub place: Option<Revision>,
    /// Whether its groups count the run. Earlier rules counted none.
    pub is_counted: bool,
    /// What the run asks a person, or last asked.
    pub approval: Option<Box<ApprovalRow>>,
}

/// What a run waits for and shares with other runs, as its creator said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// The runs that must be over before this one can be claimed.
    pub depends_on: Vec<Text>,
    /// Those of them that are not over yet.
    pub blocked_by: Vec<Text>,
    pub on_dependency_failure: OnDependencyFailure,
    pub concurrency: Option<Concurrency>,
    /// Claims alternate between the keys that have work.
    pub fair_key: Option<Text>,
    pub unique: Option<Unique>,
}

/// The key that no second run may be created with, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    pub key: Text,
    pub held: UniqueWhile,
}

/// For how long a run keeps its unique key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniqueWhile {
    /// Until it is claimed for the first time, or is over.
    Queued,
    /// Until it is over.
    Active,
    /// Until this time, whatever becomes of the run.
    Until(ClusterMs),
}

/// A question to a person, and what was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalRow {
    pub question: Text,
    /// The answers to choose from; where there are none, any text is an answer.
    pub options: Vec<Text>,
    /// The revision of the checkpoint that asked.
    pub asked_revision: Revision,
    /// When the question expires, which is a decision too.
    pub expires_at: Option<ClusterMs>,
    pub decision: Option<ApprovalDecision>,
}

/// The answer to a question of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalDecision {
    /// There is none where the question expired.
    pub answer: Option<Text>,
    pub by: Option<Text>,
    pub comment: Option<Text>,
}

/// How a run is tried again. Zero stands for the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After how many attempts a claim that lapses ends the run. A creator who
    /// says nothing about attempts means failures that an agent reports, not
    /// crashes.
    pub lapses_max: u32,
    /// The pause after a first failed attempt; it doubles with each further one.
    pub backoff_ms: u64,
    pub backoff_max_ms: u64,
}

/// How many claims on a run may lapse if its creator has not said how often it is
/// tried. A run that kills every worker ends after some hours of ever longer pauses.
const LAPSES_MAX: u32 = 20;

impl RetryPolicy {
    /// After how many attempts a claim that lapses ends the run.
    pub fn most_lapses(&self) -> u32 {
        if self.lapses_max == 0 { LAPSES_MAX } else { self.lapses_max }
    }
}

/// A tree of runs that was cancelled at its root while the sweep has not yet
/// reached all of it. Every descendant that is not over counts as cancelled
/// already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancellationRow {
    /// The revision that cancelled the root; the sweep carries on older
    /// cancellations first.
    pub revision: Revision,
    /// When the root was cancelled. Earlier rules did not note it.
    pub at: ClusterMs,
    /// Who cancelled it; the events of its descendants name the same actor.
    pub actor: Option<Text>,
    pub reason: Option<Text>,
    /// A stack of runs whose children are still to be cancelled, each with the
    /// revision up to which its children have been. The front is the top.
    pub frames: VecDeque<(Text, Revision)>,
}

/// A claim on a run. It is kept after the run has ended, so that an agent that
/// repeats its `workflow_complete` is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    /// The revision of the grant: the fencing token.
    pub token: Revision,
    /// How long the claim lives after each heartbeat or checkpoint.
    pub ttl_ms: u64,
    pub expires_at: ClusterMs,
    pub on_lapse: OnLapse,
}

/// What happens to a run when the claim on it lapses. It is decided when the claim
/// is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLapse {
    /// Another agent may take over, and nothing is counted. Claims that earlier
    /// rules granted lapse like this.
    TakeOver,
    /// The attempt has failed, and the next one may begin after this pause.
    Retry { pause_ms: u64 },
    /// The last attempt has failed, and so has the run.
    Fail,
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
    pub expires_at: Option<ClusterMs>,
}

/// A schedule, which creates a run from its template at each firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    pub timetable: Timetable,
    pub template: Create,
    pub overlap: Overlap,
    /// The next firing. There is none after the last one, and where it cannot be
    /// computed; then `last_error` says why.
    pub next_at: Option<FiringMs>,
    pub revision: Revision,
    /// When it was set last, and by whom.
    pub set_at: WallMs,
    pub agent_id: Option<Text>,
    /// The runs that it has created.
    pub fired: u64,
    /// Firings that passed while nobody could carry them out, and firings whose run
    /// was refused.
    pub missed: u64,
    /// Firings that created no run because the last one was not over.
    pub skipped: u64,
    pub last_run_id: Option<Text>,
    /// When it created that run.
    pub last_fired_at: Option<WallMs>,
    /// What was wrong with the last firing.
    pub last_error: Option<Text>,
}

/// That no run of a name is given to those who ask for any. It is there for as long as
/// they are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseRow {
    pub revision: Revision,
    /// Since when, and who paused them.
    pub at: WallMs,
    pub agent_id: Option<Text>,
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
    /// Answers below this sequence number have arrived and are forgotten.
    pub lowest: u64,
    pub seen_at: ClusterMs,
}

impl Row {
    /// The run, if it is one.
    pub fn run(&self) -> Option<&RunRow> {
        match self {
            Row::Run(run) => Some(run),
            _ => None,
        }
    }

    pub fn id(&self) -> RowId {
        match self {
            Row::Key(key, _) => RowId::Key(key.clone()),
            Row::Lease(resource_id, _) => RowId::Lease(resource_id.clone()),
            Row::Run(run) => RowId::Run(run.run_id.clone()),
            Row::Step(run_id, step, _) => RowId::Step(run_id.clone(), *step),
            Row::Session(session_id, _) => RowId::Session(session_id.clone()),
            Row::Group(group, _) => RowId::Group(group.clone()),
            Row::Schedule(name, _) => RowId::Schedule(name.clone()),
            Row::Pause(name, _) => RowId::Pause(name.clone()),
            Row::Cancellation(run_id, _) => RowId::Cancellation(run_id.clone()),
            Row::Request(key, _) => RowId::Request(key.clone()),
            Row::Origin(session, _) => RowId::Origin(*session),
            Row::Answer(session, sequence, _) => RowId::Answer(*session, *sequence),
        }
    }
}

impl Constraints {
    /// The ids and keys, which make up the size.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let keys = [
            self.concurrency.as_ref().map(|it| &it.key),
            self.fair_key.as_ref(),
            self.unique.as_ref().map(|it| &it.key),
        ];
        let texts =
            self.depends_on.iter().chain(&self.blocked_by).chain(keys.into_iter().flatten());
        texts.map(|text| &**text)
    }
}

impl ApprovalRow {
    /// The SHA-256 of what was asked, in hexadecimal. Whoever decides can name it, so that
    /// the answer is to the question that was read.
    pub fn digest(&self, run_id: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.asked_revision.0.to_be_bytes());
        for text in [run_id, &self.question].into_iter().chain(self.options.iter().map(|it| &**it))
        {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hex::encode(&hash.finalize())
    }

    /// The texts, which make up the size.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let decision = self.decision.iter();
        let decided = decision.flat_map(|it| [&it.answer, &it.by, &it.comment]).flatten();
        [&self.question].into_iter().chain(&self.options).chain(decided).map(|text| &**text)
    }
}

impl KeyRow {
    /// Whether a reader at `now` sees the key.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

impl SessionRow {
    /// Whether a reader at `now` sees the session.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

impl ScheduleRow {
    /// Whether the next firing has come.
    pub fn is_due(&self, clock: ClusterMs, wall: WallMs) -> bool {
        self.next_at.is_some_and(|at| at <= self.present(clock, wall))
    }

    /// The present on the clock by which the schedule goes.
    pub fn present(&self, clock: ClusterMs, wall: WallMs) -> FiringMs {
        match self.timetable {
            Timetable::Cron { .. } => FiringMs(wall.0),
            Timetable::Every { .. } => FiringMs(clock.0),
        }
    }
}

impl LeaseRow {
    /// A lease with one holder.
    pub fn of(holder: LeaseHolder) -> LeaseRow {
        LeaseRow { revision: holder.revision, holders: vec![holder] }
    }

    /// Whether the lease is held at `now`.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.holders.iter().any(|holder| holder.lives_at(now))
    }

    /// The lease with those alone who hold it at `now`, if anybody does.
    pub fn at(mut self, now: ClusterMs) -> Option<LeaseRow> {
        self.holders.retain(|holder| holder.lives_at(now));
        (!self.holders.is_empty()).then_some(self)
    }

    /// The reply to one who cannot have it.
    pub fn refusal(&self, resource_id: &Text) -> Acquired {
        let holders = self.holders.iter().map(|holder| (&holder.holder_id, holder.expires_at));
        Acquired::held(resource_id, holders)
    }

    pub fn holder(&self, holder_id: &str) -> Option<&LeaseHolder> {
        self.holders.iter().find(|holder| *holder.holder_id == *holder_id)
    }

    /// The holder whose grant ends first.
    pub fn first_to_end(&self) -> Option<&LeaseHolder> {
        self.holders.iter().min_by_key(|holder| holder.expires_at)
    }

    /// Whether one more may hold it who says that `permits` may. Everyone's word holds:
    /// the smallest number that was said counts.
    pub fn has_room(&self, permits: u32) -> bool {
        let said = self.holders.iter().map(|holder| holder.permits).chain([permits]);
        let most = said.map(|permits| permits.max(1)).min().unwrap_or(1);
        self.holders.len() < most as usize
    }
}

impl LeaseHolder {
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.expires_at > now
    }
}

impl ClaimRow {
    /// The claim after its holder showed at `now` that it is alive.
    pub fn renewed(&self, now: ClusterMs) -> ClaimRow {
        ClaimRow { expires_at: now.plus(self.ttl_ms), ..self.clone() }
    }

    /// Whether the attempt has failed when the claim lapses.
    pub fn is_counted(&self) -> bool {
        self.on_lapse != OnLapse::TakeOver
    }

    /// Whether the claim keeps other agents out at `now`.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        self.expires_at > now
    }
}

impl RequestRow {
    /// The time from which on the answer is forgotten.
    pub fn forgotten_at(&self) -> ClusterMs {
        self.at.plus(REMEMBERED_MS)
    }
}

impl OriginRow {
    /// The time from which on the session is forgotten, unless the node sends
    /// another command before then.
    pub fn forgotten_at(&self) -> ClusterMs {
        self.seen_at.plus(REMEMBERED_MS)
    }
}

impl RunRow {
    /// The groups that count the run.
    pub fn groups(&self) -> impl Iterator<Item = RunGroup> {
        let groups = [
            Some(RunGroup::Name(self.name.clone())),
            self.parent_run_id.clone().map(RunGroup::Parent),
            self.concurrency().map(|concurrency| RunGroup::Concurrency(concurrency.key.clone())),
        ];
        groups.into_iter().flatten().filter(|_| self.is_counted && !self.removed)
    }

    /// What has happened to the run since it was `before`, or did not exist.
    pub fn changes_since(&self, before: Option<&RunRow>) -> RunChanges {
        let became = |status| self.status == status && before.is_none_or(|it| it.status != status);
        RunChanges {
            created: u64::from(before.is_none()),
            claimed: u64::from(self.claims > before.map_or(0, |before| before.claims)),
            completed: u64::from(became(Status::Done)),
            failed: u64::from(became(Status::Failed)),
        }
    }

    /// How many runs of its key may be claimed at a time, if there is a limit.
    pub fn concurrency(&self) -> Option<&Concurrency> {
        self.constraints.as_ref()?.concurrency.as_ref()
    }

    pub fn fair_key(&self) -> Option<&Text> {
        self.constraints.as_ref()?.fair_key.as_ref()
    }

    /// The unique key that the run holds, and until when if nothing else happens.
    pub fn unique_hold(&self) -> Option<(&Text, ClusterMs)> {
        let Unique { key, held } = self.constraints.as_ref()?.unique.as_ref()?;
        let until = match held {
            UniqueWhile::Queued if self.is_over() || self.claims > 0 => return None,
            UniqueWhile::Active if self.is_over() => return None,
            UniqueWhile::Until(_) if self.removed => return None,
            UniqueWhile::Queued | UniqueWhile::Active => ClusterMs::LAST,
            UniqueWhile::Until(at) => *at,
        };
        Some((key, until))
    }

    /// Whether its groups count the run among those that are claimed.
    pub fn takes_room(&self) -> bool {
        self.is_counted
            && !self.removed
            && matches!(self.status, Status::Claimed | Status::Running | Status::AwaitingApproval)
    }

    /// The runs that must be over before this one can be claimed.
    pub fn depends_on(&self) -> &[Text] {
        self.constraints.as_ref().map_or(&[], |it| &it.depends_on)
    }

    /// Those of them that block the run. Only a blocked run has any.
    pub fn blocked_by(&self) -> &[Text] {
        let blocked = self.constraints.as_ref().filter(|_| self.status == Status::Blocked);
        blocked.map_or(&[], |it| &it.blocked_by)
    }

    /// Whether the run has ended for good.
    pub fn is_over(&self) -> bool {
        self.status.is_over()
    }

    /// Whether a reader at `now` finds the run.
    pub fn lives_at(&self, now: ClusterMs) -> bool {
        !self.removed && self.expires_at.is_none_or(|at| at > now)
    }

    /// Whether an agent without a claim could take the run at `now`: the run is
    /// ready, or its claim has lapsed.
    pub fn is_claimable(&self, now: ClusterMs) -> bool {
        !self.is_over()
            && self.claimable_from().is_some_and(|from| from <= now)
            && self.ends_at().is_none_or(|end| end > now)
    }

    /// Whether the run is listed among those that can be claimed at once, instead
    /// of among those that wait for a time.
    pub fn is_ready(&self) -> bool {
        self.promoted || (self.status == Status::Created && self.ready_at.is_none())
    }

    /// The time from which on another agent may take the run, if nothing else
    /// happens. There is none for a run that is over or has its last attempt.
    pub fn claimable_from(&self) -> Option<ClusterMs> {
        match (self.status, &self.claim) {
            (Status::Created, _) => Some(self.ready_at.unwrap_or_default()),
            (Status::Claimed | Status::Running, Some(claim)) => match claim.on_lapse {
                OnLapse::TakeOver => Some(claim.expires_at),
                OnLapse::Retry { pause_ms } => Some(claim.expires_at.plus(pause_ms)),
                OnLapse::Fail => None,
            },
            // Earlier rules let a run be `running` that nobody could claim.
            (Status::Claimed | Status::Running, None) => self.ready_at,
            (Status::Done | Status::Failed | Status::Cancelled, _) => None,
            (Status::AwaitingApproval, Some(claim)) => {
                self.asks_until().map(|at| at.plus(claim.ttl_ms))
            }
            (Status::Blocked | Status::AwaitingApproval, _) => None,
        }
    }

    /// Since when the run waits for somebody to claim it, if it does. Where there is a time
    /// from which on it can be claimed, the row may have been written later: the sweep
    /// records what has become of a lapsed claim. Cluster time and the wall clock are close
    /// enough to tell.
    pub fn waiting_since(&self) -> WallMs {
        match self.claimable_from() {
            Some(ClusterMs(at)) if at > 0 => WallMs(at),
            Some(_) | None => self.updated_at,
        }
    }

    /// The time at which the run ends if nobody ends it before, and why.
    pub fn end(&self) -> Option<(ClusterMs, RunEnd)> {
        if self.is_over() {
            return None;
        }
        let deadline = self.deadline_at.map(|at| (at, RunEnd::Deadline));
        let unclaimed = self.start_by.filter(|_| self.claims == 0);
        let unclaimed = unclaimed.map(|at| (at, RunEnd::NeverClaimed));
        let can_lapse = self.status != Status::AwaitingApproval;
        let lapse =
            self.claim.as_ref().filter(|claim| claim.on_lapse == OnLapse::Fail && can_lapse);
        let lapse = lapse.map(|claim| (claim.expires_at, RunEnd::Lapse));
        [deadline, unclaimed, lapse].into_iter().flatten().min()
    }

    /// Whether the holder has not been heard of since a person decided what it asked.
    pub fn is_left_waiting(&self) -> bool {
        let waits_no_more = self.approval.as_ref().is_some_and(|it| it.decision.is_some());
        waits_no_more && self.claim.as_ref().is_some_and(|claim| !claim.is_counted())
    }

    /// The time at which the question expires that the run waits with, if it does.
    pub fn asks_until(&self) -> Option<ClusterMs> {
        let approval = self.approval.as_ref().filter(|_| self.status == Status::AwaitingApproval);
        approval.and_then(|approval| approval.expires_at)
    }

    /// The time at which the run ends if nobody ends it before.
    pub fn ends_at(&self) -> Option<ClusterMs> {
        self.end().map(|(at, _)| at)
    }

    /// The time at which the sweep has something to do about the run: to record
    /// its end or the lapse of its claim, to tell its dependents, or to remove it.
    pub fn due_at(&self) -> Option<ClusterMs> {
        if self.is_over() {
            let is_unfinished = self.removed || self.has_dependents;
            return if is_unfinished { Some(ClusterMs(0)) } else { self.expires_at };
        }
        let can_lapse = self.status != Status::AwaitingApproval;
        let retry = self.claim.as_ref().filter(|claim| claim.is_counted() && can_lapse);
        let retry = retry.map(|claim| claim.expires_at);
        self.ends_at().into_iter().chain(retry).chain(self.asks_until()).min()
    }
}

/// Why a run ends although nobody ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunEnd {
    Deadline,
    NeverClaimed,
    /// The claim of its last attempt has lapsed.
    Lapse,
}
