//! Replies about runs and leases, to and from `proto/state.proto`.

use super::error::CodecError;
use super::row::{status, steps, to_status, to_steps};
use super::value::*;
use crate::machine::Text;
use crate::machine::reply::*;
use crate::machine::{ClusterMs, Revision};
use crate::proto::state as proto;

impl From<&Claimed> for proto::Claimed {
    fn from(claimed: &Claimed) -> Self {
        proto::Claimed {
            claimed: claimed.claimed,
            run_id: text_opt(&claimed.run_id),
            agent_id: text_opt(&claimed.agent_id),
            reason: text_opt(&claimed.reason),
            claim_token: revision_opt(claimed.claim_token),
            claim_expires_at_ms: clock_opt(claimed.claim_expires_at),
            retry_at_ms: clock_opt(claimed.retry_at),
            searched: claimed.searched.map(rank),
            has_prerequisites: claimed.has_prerequisites,
            further: claimed.further.iter().map(Into::into).collect(),
        }
    }
}

impl From<proto::Claimed> for Claimed {
    fn from(claimed: proto::Claimed) -> Self {
        Claimed {
            claimed: claimed.claimed,
            run_id: to_text_opt(claimed.run_id),
            agent_id: to_text_opt(claimed.agent_id),
            reason: to_text_opt(claimed.reason),
            claim_token: to_revision_opt(claimed.claim_token),
            claim_expires_at: to_clock_opt(claimed.claim_expires_at_ms),
            retry_at: to_clock_opt(claimed.retry_at_ms),
            searched: claimed.searched.map(to_rank),
            has_prerequisites: claimed.has_prerequisites,
            further: claimed.further.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<&FurtherClaim> for proto::FurtherClaim {
    fn from(claim: &FurtherClaim) -> Self {
        proto::FurtherClaim {
            run_id: text(&claim.run_id),
            claim_token: claim.claim_token.0,
            claim_expires_at_ms: claim.claim_expires_at.0,
        }
    }
}

impl From<proto::FurtherClaim> for FurtherClaim {
    fn from(claim: proto::FurtherClaim) -> Self {
        FurtherClaim {
            run_id: claim.run_id.into(),
            claim_token: Revision(claim.claim_token),
            claim_expires_at: ClusterMs(claim.claim_expires_at_ms),
        }
    }
}

impl From<&Moved> for proto::Moved {
    fn from(moved: &Moved) -> Self {
        proto::Moved {
            ok: moved.ok,
            run_id: text(&moved.run_id),
            status: status(moved.status).into(),
            reason: text_opt(&moved.reason),
            claim_expires_at_ms: clock_opt(moved.claim_expires_at),
            result: json_opt(&moved.result),
            successors: moved.successors.iter().map(text).collect(),
        }
    }
}

impl TryFrom<proto::Moved> for Moved {
    type Error = CodecError;

    fn try_from(moved: proto::Moved) -> Result<Self, CodecError> {
        Ok(Moved {
            ok: moved.ok,
            run_id: moved.run_id.into(),
            status: to_status("Moved", moved.status)?,
            reason: to_text_opt(moved.reason),
            claim_expires_at: to_clock_opt(moved.claim_expires_at_ms),
            result: to_json_opt(moved.result),
            successors: moved.successors.into_iter().map(Text::from).collect(),
        })
    }
}

impl From<&Retried> for proto::Retried {
    fn from(retried: &Retried) -> Self {
        proto::Retried {
            run_ids: retried.run_ids.iter().map(text).collect(),
            next: revision_opt(retried.next),
        }
    }
}

impl From<proto::Retried> for Retried {
    fn from(retried: proto::Retried) -> Self {
        Retried {
            run_ids: retried.run_ids.into_iter().map(Into::into).collect(),
            next: to_revision_opt(retried.next),
        }
    }
}

impl From<&Checkpointed> for proto::Checkpointed {
    fn from(checkpointed: &Checkpointed) -> Self {
        proto::Checkpointed {
            ok: checkpointed.ok,
            run_id: text(&checkpointed.run_id),
            step: checkpointed.step,
            last_step: checkpointed.last_step,
            reason: text_opt(&checkpointed.reason),
            steps: steps(checkpointed.steps),
        }
    }
}

impl From<proto::Checkpointed> for Checkpointed {
    fn from(checkpointed: proto::Checkpointed) -> Self {
        Checkpointed {
            ok: checkpointed.ok,
            run_id: checkpointed.run_id.into(),
            step: checkpointed.step,
            last_step: checkpointed.last_step,
            reason: to_text_opt(checkpointed.reason),
            steps: to_steps(checkpointed.steps),
        }
    }
}

impl From<&Acquired> for proto::Acquired {
    fn from(acquired: &Acquired) -> Self {
        proto::Acquired {
            acquired: acquired.acquired,
            resource_id: text(&acquired.resource_id),
            holder: text_opt(&acquired.holder),
            expires_at_ms: clock_opt(acquired.expires_at),
            reason: text_opt(&acquired.reason),
            fencing_token: revision_opt(acquired.fencing_token),
            retry_at_ms: clock_opt(acquired.retry_at),
            granted: acquired.granted,
        }
    }
}

impl From<proto::Acquired> for Acquired {
    fn from(acquired: proto::Acquired) -> Self {
        Acquired {
            acquired: acquired.acquired,
            resource_id: acquired.resource_id.into(),
            holder: to_text_opt(acquired.holder),
            expires_at: to_clock_opt(acquired.expires_at_ms),
            reason: to_text_opt(acquired.reason),
            fencing_token: to_revision_opt(acquired.fencing_token),
            retry_at: to_clock_opt(acquired.retry_at_ms),
            granted: acquired.granted,
        }
    }
}

impl From<&Renewed> for proto::Renewed {
    fn from(renewed: &Renewed) -> Self {
        proto::Renewed {
            renewed: renewed.renewed,
            resource_id: text(&renewed.resource_id),
            expires_at_ms: clock_opt(renewed.expires_at),
            fencing_token: revision_opt(renewed.fencing_token),
            reason: text_opt(&renewed.reason),
        }
    }
}

impl From<proto::Renewed> for Renewed {
    fn from(renewed: proto::Renewed) -> Self {
        Renewed {
            renewed: renewed.renewed,
            resource_id: renewed.resource_id.into(),
            expires_at: to_clock_opt(renewed.expires_at_ms),
            fencing_token: to_revision_opt(renewed.fencing_token),
            reason: to_text_opt(renewed.reason),
        }
    }
}
