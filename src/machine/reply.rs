//! Replies: what a decided command says back. A refusal ("held by b") is a
//! reply like any other; failures of disks and networks are errors of the stores.

use super::command::Rank;
use super::status::Status;
use super::stored_steps::StoredSteps;
use super::timetable::FiringMs;
use super::value::{ClusterMs, Json, Revision, Text};

/// The outcome of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The command could not be carried out at all; nothing changed.
    Refused(Refusal),
    /// `state_set`
    Set(Written),
    /// `state_delete`
    Deleted(Written),
    /// `state_transact`
    Transacted(Transacted),
    /// `workflow_create`
    ///
    /// With `existing` the run was there before and holds the unique key.
    Created { run_id: Text, name: Text, status: Status, existing: bool },
    /// `workflow_claim` and `workflow_claim_next`
    Claimed(Claimed),
    /// `workflow_heartbeat`, `workflow_release`, `workflow_complete`,
    /// `workflow_fail`, `workflow_cancel`, `workflow_delete`, and
    /// `workflow_retry` of one run
    Moved(Moved),
    /// `workflow_retry` of many runs
    Retried(Retried),
    /// `workflow_checkpoint`
    Checkpointed(Checkpointed),
    /// `lease_acquire`
    Acquired(Acquired),
    /// `lease_renew`
    Renewed(Renewed),
    /// `lease_release`
    LeaseReleased { released: bool, resource_id: Text },
    /// `session_save`
    SessionSaved { ok: bool, session_id: Text, revision: Revision, reason: Option<Text> },
    /// `session_delete`
    SessionDeleted { ok: bool, session_id: Text },
    /// `workflow_pause`
    ///
    /// With `changed` it was not so before.
    Paused { name: Text, paused: bool, changed: bool },
    /// `schedule_set`
    ScheduleSet { name: Text, revision: Revision, next_at: Option<FiringMs> },
    /// `schedule_set` with `delete`
    ScheduleDeleted { ok: bool, name: Text },
    /// A firing of a schedule
    ScheduleFired(ScheduleFired),
    /// `sidecar_reset`
    Reset { cleared: u64 },
    /// A sweep changed this many rows; with `more`, others are due already.
    Swept { removed: u32, more: bool },
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    /// A message for the agent that names the argument or the thing at fault.
    pub message: Text,
}

/// The kinds of refusal that the rules make. The api has more of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    InvalidArgument,
    NotFound,
    QuotaExceeded,
    /// A rule panicked; the command was dropped whole, on every replica alike.
    Internal,
}

/// The reply to a write or removal of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub ok: bool,
    /// The revision of this write where `ok`; otherwise the key's present one,
    /// zero if there is no key.
    pub revision: Revision,
    /// The condition or fence that forbade the write.
    pub reason: Option<Text>,
}

/// The reply to a [`super::command::Transact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transacted {
    /// Whether the comparisons held, and `then` was carried out.
    pub succeeded: bool,
    /// The result of each operation carried out, in order.
    pub results: Vec<OperationResult>,
    /// The state's revision afterwards.
    pub revision: Revision,
    /// The fence that forbade all of it.
    pub reason: Option<Text>,
}

/// The result of one operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationResult {
    Set { revision: Revision },
    Deleted { ok: bool },
    Got { found: bool, value: Option<Json>, revision: Revision },
}

/// The reply to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub claimed: bool,
    /// Empty where `workflow_claim_next` found nothing.
    pub run_id: Option<Text>,
    pub agent_id: Option<Text>,
    pub reason: Option<Text>,
    /// The fencing token of the claim.
    pub claim_token: Option<Revision>,
    pub claim_expires_at: Option<ClusterMs>,
    /// The time at which the answer may change although nothing else happens;
    /// only where the claim was refused.
    pub retry_at: Option<ClusterMs>,
    /// The rank up to which the runs were searched, where there may be more; only
    /// where the claim was refused.
    pub searched: Option<Rank>,
    /// Whether the run depends on others; see [`super::query::Question::Prerequisites`].
    pub has_prerequisites: bool,
    /// The runs that the same command has granted after this one, best first.
    pub further: Vec<FurtherClaim>,
}

/// A claim of a command that was granted several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherClaim {
    pub run_id: Text,
    /// The fencing token of the claim.
    pub claim_token: Revision,
    pub claim_expires_at: ClusterMs,
}

/// The reply to a command that changes a run without storing a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub ok: bool,
    pub run_id: Text,
    /// The run's status afterwards.
    pub status: Status,
    pub reason: Option<Text>,
    /// The claim's new deadline, where it still lives.
    pub claim_expires_at: Option<ClusterMs>,
    /// The result with which the run had ended already, where another one is
    /// refused.
    pub result: Option<Json>,
    /// The runs that were created in the same step.
    pub successors: Vec<Text>,
}

/// The reply to a [`super::command::Retry`] of many runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retried {
    /// The runs that can be claimed again.
    pub run_ids: Vec<Text>,
    /// Where the next portion begins, if there may be more.
    pub next: Option<Revision>,
}

/// The reply to a [`super::command::FireSchedule`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleFired {
    /// Whether this command carried out the firing; another one may have.
    pub fired: bool,
    /// The run that it created.
    pub run_id: Option<Text>,
    /// Why the run was refused, or why there will be no next firing.
    pub error: Option<Text>,
}

/// The reply to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    pub ok: bool,
    pub run_id: Text,
    pub step: u64,
    pub last_step: u64,
    pub steps: StoredSteps,
    pub reason: Option<Text>,
}

/// The reply to `lease_acquire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquired {
    pub acquired: bool,
    pub resource_id: Text,
    /// The present holder.
    pub holder: Option<Text>,
    pub expires_at: Option<ClusterMs>,
    pub reason: Option<Text>,
    pub fencing_token: Option<Revision>,
    /// The time at which the present lease expires; only where it was refused.
    pub retry_at: Option<ClusterMs>,
    /// Whether this call was granted the lease; false where the caller held it
    /// already.
    pub granted: bool,
}

/// The reply to `lease_renew`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    pub renewed: bool,
    /// Why it was not.
    pub reason: Option<Text>,
    pub resource_id: Text,
    pub expires_at: Option<ClusterMs>,
    pub fencing_token: Option<Revision>,
}

impl Claimed {
    /// The reply where no run can be claimed. One may become claimable at
    /// `retry_at` although nothing else happens.
    pub fn nothing(retry_at: Option<ClusterMs>) -> Claimed {
        Claimed {
            claimed: false,
            run_id: None,
            agent_id: None,
            reason: Some("No workflow is claimable".into()),
            claim_token: None,
            claim_expires_at: None,
            retry_at,
            searched: None,
            has_prerequisites: false,
            further: Vec::new(),
        }
    }
}

/// The most holders that a refusal names.
const HOLDERS_NAMED_MAX: usize = 10;

impl FurtherClaim {
    /// The claim that was granted, if one was.
    pub fn of(claimed: Claimed) -> Option<FurtherClaim> {
        let Claimed { run_id, claim_token, claim_expires_at, .. } = claimed;
        Some(FurtherClaim {
            run_id: run_id?,
            claim_token: claim_token?,
            claim_expires_at: claim_expires_at?,
        })
    }
}

impl Acquired {
    /// The reply where others have the lease: each with the time until which it does.
    /// The first of them to give it up is named.
    pub fn held<'h>(
        resource_id: &Text,
        holders: impl IntoIterator<Item = (&'h Text, ClusterMs)>,
    ) -> Acquired {
        let mut holders: Vec<_> = holders.into_iter().collect();
        holders.sort_by_key(|(_, at)| *at);
        let first = holders.first().map(|(holder_id, at)| ((*holder_id).clone(), *at));
        let named = holders.iter().take(HOLDERS_NAMED_MAX);
        let named: Vec<_> = named.map(|(holder_id, _)| format!("'{holder_id}'")).collect();
        let others = match holders.len() - named.len() {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        Acquired {
            acquired: false,
            resource_id: resource_id.clone(),
            reason: Some(format!("Held by {}{others}", named.join(", ")).into()),
            holder: first.as_ref().map(|(holder_id, _)| holder_id.clone()),
            expires_at: None,
            fencing_token: None,
            retry_at: first.map(|(_, at)| at),
            granted: false,
        }
    }
}
