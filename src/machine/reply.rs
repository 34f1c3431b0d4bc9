//! Replies: what a decided command says back. A refusal ("held by b") is a
//! reply like any other; faults of disks and networks are not in here.

use super::command::Rank;
use super::row::{LeaseRow, Status};
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
    Created { run_id: Text, name: Text },
    /// `workflow_claim` and `workflow_claim_next`
    Claimed(Claimed),
    /// `workflow_heartbeat`, `workflow_release`, `workflow_complete`,
    /// `workflow_fail` and `workflow_cancel`
    Moved(Moved),
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
    /// `sidecar_reset`
    Reset { cleared: u64 },
    /// A sweep changed this many rows; `more` are due already.
    Swept { removed: u32, more: bool },
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    /// For the agent; names the argument or thing at fault.
    pub message: Text,
}

/// The kinds of refusal that rules know. The api has more of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    InvalidArgument,
    NotFound,
    QuotaExceeded,
    /// A rule panicked; the command was dropped whole, on every replica alike.
    Internal,
}

/// The answer to a write or removal of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub ok: bool,
    /// Of this write where `ok`; else the key's present one, zero if absent.
    pub revision: Revision,
    /// Why not, where a condition or fence forbade it.
    pub reason: Option<Text>,
}

/// The answer to a [`super::command::Transact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transacted {
    /// Whether the comparisons held, and `then` was carried out.
    pub succeeded: bool,
    /// One for each operation carried out, in order.
    pub results: Vec<OperationResult>,
    /// The state's revision afterwards.
    pub revision: Revision,
    /// Why nothing at all was carried out (a fence).
    pub reason: Option<Text>,
}

/// What one operation of a transaction gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationResult {
    Set { revision: Revision },
    Deleted { ok: bool },
    Got { found: bool, value: Option<Json>, revision: Revision },
}

/// The answer to a claim.
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
    /// Where refused: when time alone could change the answer.
    pub retry_at: Option<ClusterMs>,
    /// Where refused: so far has been searched, and there may be more.
    pub searched: Option<Rank>,
}

/// The answer to a command that moves a run on without storing a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub ok: bool,
    pub run_id: Text,
    /// The run's status afterwards.
    pub status: Status,
    pub reason: Option<Text>,
    /// The claim's new deadline, where it still lives.
    pub claim_expires_at: Option<ClusterMs>,
}

/// The answer to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    pub ok: bool,
    pub run_id: Text,
    pub step: u64,
    pub last_step: u64,
    pub reason: Option<Text>,
}

/// The answer to `lease_acquire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquired {
    pub acquired: bool,
    pub resource_id: Text,
    /// Who holds it now.
    pub holder: Option<Text>,
    pub expires_at: Option<ClusterMs>,
    pub reason: Option<Text>,
    pub fencing_token: Option<Revision>,
    /// Where refused: when the present lease runs out by itself.
    pub retry_at: Option<ClusterMs>,
    /// Whether this call was granted it, rather than holding it already.
    pub granted: bool,
}

/// The answer to `lease_renew`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    pub renewed: bool,
    pub resource_id: Text,
    pub expires_at: Option<ClusterMs>,
    pub fencing_token: Option<Revision>,
}

impl Claimed {
    /// There is nothing to claim, and will not be before `retry_at` by time
    /// alone.
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
        }
    }
}

impl Acquired {
    /// Another one holds it.
    pub fn held(resource_id: &Text, lease: &LeaseRow) -> Acquired {
        Acquired {
            acquired: false,
            resource_id: resource_id.clone(),
            reason: Some(format!("Held by '{}'", lease.holder_id).into()),
            holder: Some(lease.holder_id.clone()),
            expires_at: None,
            fencing_token: None,
            retry_at: Some(lease.expires_at),
            granted: false,
        }
    }
}
