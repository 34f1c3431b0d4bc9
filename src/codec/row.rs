//! Rows that clients see too, to and from `proto/state.proto`.

use super::error::CodecError;
use super::value::*;
use crate::machine::row::*;
use crate::machine::status::*;
use crate::machine::stored_steps::StoredSteps;
use crate::machine::{ClusterMs, Json, Revision, Text, WallMs};
use crate::proto::state as proto;
use proto::claim_row::OnLapse as LapseForm;

pub(super) fn status(status: Status) -> proto::RunStatus {
    match status {
        Status::Created => proto::RunStatus::Created,
        Status::Claimed => proto::RunStatus::Claimed,
        Status::Running => proto::RunStatus::Running,
        Status::Done => proto::RunStatus::Done,
        Status::Failed => proto::RunStatus::Failed,
        Status::Cancelled => proto::RunStatus::Cancelled,
        Status::Blocked => proto::RunStatus::Blocked,
        Status::AwaitingApproval => proto::RunStatus::AwaitingApproval,
    }
}

pub(super) fn to_status(message: &'static str, status: i32) -> Result<Status, CodecError> {
    match proto::RunStatus::try_from(status) {
        Ok(proto::RunStatus::Created) => Ok(Status::Created),
        Ok(proto::RunStatus::Claimed) => Ok(Status::Claimed),
        Ok(proto::RunStatus::Running) => Ok(Status::Running),
        Ok(proto::RunStatus::Done) => Ok(Status::Done),
        Ok(proto::RunStatus::Failed) => Ok(Status::Failed),
        Ok(proto::RunStatus::Cancelled) => Ok(Status::Cancelled),
        Ok(proto::RunStatus::Blocked) => Ok(Status::Blocked),
        Ok(proto::RunStatus::AwaitingApproval) => Ok(Status::AwaitingApproval),
        Ok(proto::RunStatus::Unspecified) | Err(_) => {
            Err(CodecError::unknown(message, "status", status))
        }
    }
}

impl From<&KeyRow> for proto::KeyRow {
    fn from(row: &KeyRow) -> Self {
        proto::KeyRow {
            value: json(&row.value),
            revision: row.revision.0,
            expires_at_ms: clock_opt(row.expires_at),
        }
    }
}

impl From<proto::KeyRow> for KeyRow {
    fn from(row: proto::KeyRow) -> Self {
        KeyRow {
            value: Json::new(row.value),
            revision: Revision(row.revision),
            expires_at: to_clock_opt(row.expires_at_ms),
        }
    }
}

impl From<&LeaseRow> for proto::LeaseRow {
    fn from(row: &LeaseRow) -> Self {
        let Some((first, others)) = row.holders.split_first() else {
            return proto::LeaseRow { revision: row.revision.0, ..Default::default() };
        };
        // Older versions know only leases whose holder changed them last.
        let is_newest = first.revision == row.revision;
        proto::LeaseRow {
            holder_id: text(&first.holder_id),
            token: first.token.0,
            revision: row.revision.0,
            expires_at_ms: first.expires_at.0,
            permits: first.permits,
            holder_revision: if is_newest { 0 } else { first.revision.0 },
            others: others.iter().map(Into::into).collect(),
        }
    }
}

impl From<proto::LeaseRow> for LeaseRow {
    fn from(row: proto::LeaseRow) -> Self {
        let own = if row.holder_revision == 0 { row.revision } else { row.holder_revision };
        let first = LeaseHolder {
            holder_id: row.holder_id.into(),
            token: Revision(row.token),
            revision: Revision(own),
            expires_at: ClusterMs(row.expires_at_ms),
            permits: row.permits,
        };
        let others = row.others.into_iter().map(Into::into);
        LeaseRow {
            revision: Revision(row.revision),
            holders: [first].into_iter().chain(others).collect(),
        }
    }
}

impl From<&LeaseHolder> for proto::LeaseHolder {
    fn from(holder: &LeaseHolder) -> Self {
        proto::LeaseHolder {
            holder_id: text(&holder.holder_id),
            token: holder.token.0,
            revision: holder.revision.0,
            expires_at_ms: holder.expires_at.0,
            permits: holder.permits,
        }
    }
}

impl From<proto::LeaseHolder> for LeaseHolder {
    fn from(holder: proto::LeaseHolder) -> Self {
        LeaseHolder {
            holder_id: holder.holder_id.into(),
            token: Revision(holder.token),
            revision: Revision(holder.revision),
            expires_at: ClusterMs(holder.expires_at_ms),
            permits: holder.permits,
        }
    }
}

impl From<&SessionRow> for proto::SessionRow {
    fn from(row: &SessionRow) -> Self {
        proto::SessionRow {
            context: json(&row.context),
            revision: row.revision.0,
            saved_at_ms: row.saved_at.0,
            updated_at_ms: row.updated_at.0,
            expires_at_ms: clock_opt(row.expires_at),
        }
    }
}

impl From<proto::SessionRow> for SessionRow {
    fn from(row: proto::SessionRow) -> Self {
        SessionRow {
            context: Json::new(row.context),
            revision: Revision(row.revision),
            saved_at: WallMs(row.saved_at_ms),
            updated_at: WallMs(row.updated_at_ms),
            expires_at: to_clock_opt(row.expires_at_ms),
        }
    }
}

impl From<&StepRow> for proto::StepRow {
    fn from(row: &StepRow) -> Self {
        proto::StepRow { output: json(&row.output), revision: row.revision.0 }
    }
}

impl From<proto::StepRow> for StepRow {
    fn from(row: proto::StepRow) -> Self {
        StepRow { output: Json::new(row.output), revision: Revision(row.revision) }
    }
}

pub(super) fn key_entry(key: &Text, row: &KeyRow) -> proto::KeyEntry {
    proto::KeyEntry { key: text(key), row: Some(row.into()) }
}

pub(super) fn to_key_entry(entry: proto::KeyEntry) -> Result<(Text, KeyRow), CodecError> {
    Ok((entry.key.into(), required("KeyEntry", "row", entry.row)?.into()))
}

pub(super) fn lease_entry(resource_id: &Text, row: &LeaseRow) -> proto::LeaseEntry {
    proto::LeaseEntry { resource_id: text(resource_id), row: Some(row.into()) }
}

pub(super) fn to_lease_entry(entry: proto::LeaseEntry) -> Result<(Text, LeaseRow), CodecError> {
    Ok((entry.resource_id.into(), required("LeaseEntry", "row", entry.row)?.into()))
}

pub(super) fn session_entry(session_id: &Text, row: &SessionRow) -> proto::SessionEntry {
    proto::SessionEntry { session_id: text(session_id), row: Some(row.into()) }
}

pub(super) fn to_session_entry(
    entry: proto::SessionEntry,
) -> Result<(Text, SessionRow), CodecError> {
    Ok((entry.session_id.into(), required("SessionEntry", "row", entry.row)?.into()))
}

pub(super) fn step_entry(step: u64, row: &StepRow) -> proto::StepEntry {
    proto::StepEntry { step, row: Some(row.into()) }
}

pub(super) fn to_step_entry(entry: proto::StepEntry) -> Result<(u64, StepRow), CodecError> {
    Ok((entry.step, required("StepEntry", "row", entry.row)?.into()))
}

impl From<&RunRow> for proto::RunRow {
    fn from(row: &RunRow) -> Self {
        proto::RunRow {
            run_id: text(&row.run_id),
            name: text(&row.name),
            status: status(row.status).into(),
            tags: tags(&row.tags),
            input: json_opt(&row.input),
            priority: row.priority,
            parent_run_id: text_opt(&row.parent_run_id),
            created_revision: row.created_revision.0,
            revision: row.revision.0,
            created_at_ms: row.created_at.0,
            updated_at_ms: row.updated_at.0,
            last_step: row.last_step,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            ready_at_ms: clock_opt(row.ready_at),
            agent_id: text_opt(&row.agent_id),
            claim: row.claim.as_ref().map(Into::into),
            result: json_opt(&row.result),
            error: text_opt(&row.error),
            promoted: row.promoted,
            depth: row.depth,
            steps: steps(row.steps),
            retry: retry(row.retry),
            claims: row.claims,
            deadline_at_ms: clock_opt(row.deadline_at),
            deadline_ms: row.deadline_ms,
            start_by_ms: clock_opt(row.start_by),
            keep_ms: row.keep_ms,
            expires_at_ms: clock_opt(row.expires_at),
            removed: row.removed,
            constraints: row.constraints.as_deref().map(Into::into),
            has_dependents: row.has_dependents,
            place: revision_opt(row.place),
            is_counted: row.is_counted,
            approval: row.approval.as_deref().map(Into::into),
        }
    }
}

impl TryFrom<proto::RunRow> for RunRow {
    type Error = CodecError;

    fn try_from(row: proto::RunRow) -> Result<Self, CodecError> {
        Ok(RunRow {
            run_id: row.run_id.into(),
            name: row.name.into(),
            status: to_status("RunRow", row.status)?,
            tags: to_tags("RunRow", row.tags)?,
            input: to_json_opt(row.input),
            priority: row.priority,
            parent_run_id: to_text_opt(row.parent_run_id),
            created_revision: Revision(row.created_revision),
            revision: Revision(row.revision),
            created_at: WallMs(row.created_at_ms),
            updated_at: WallMs(row.updated_at_ms),
            last_step: row.last_step,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            ready_at: to_clock_opt(row.ready_at_ms),
            agent_id: to_text_opt(row.agent_id),
            claim: row.claim.map(TryInto::try_into).transpose()?,
            result: to_json_opt(row.result),
            error: to_text_opt(row.error),
            promoted: row.promoted,
            depth: row.depth,
            steps: to_steps(row.steps),
            retry: to_retry(row.retry),
            claims: row.claims,
            deadline_at: to_clock_opt(row.deadline_at_ms),
            deadline_ms: row.deadline_ms,
            start_by: to_clock_opt(row.start_by_ms),
            keep_ms: row.keep_ms,
            expires_at: to_clock_opt(row.expires_at_ms),
            removed: row.removed,
            constraints: boxed(row.constraints)?,
            has_dependents: row.has_dependents,
            place: to_revision_opt(row.place),
            is_counted: row.is_counted,
            approval: row.approval.map(|approval| Box::new(approval.into())),
        })
    }
}

fn boxed(form: Option<proto::Constraints>) -> Result<Option<Box<Constraints>>, CodecError> {
    form.map(|form| form.try_into().map(Box::new)).transpose()
}

impl From<&Constraints> for proto::Constraints {
    fn from(constraints: &Constraints) -> Self {
        let Constraints { concurrency, fair_key, unique, .. } = constraints;
        proto::Constraints {
            depends_on: constraints.depends_on.iter().map(text).collect(),
            blocked_by: constraints.blocked_by.iter().map(text).collect(),
            on_dependency_failure: constraints.on_dependency_failure as i32,
            concurrency: concurrency.as_ref().map(|Concurrency { key, limit }| {
                proto::Concurrency { key: text(key), limit: *limit }
            }),
            fair_key: text_opt(fair_key),
            unique: unique.as_ref().map(|Unique { key, held }| proto::Unique {
                key: text(key),
                while_queued: *held == UniqueWhile::Queued,
                until_ms: match held {
                    UniqueWhile::Until(at) => Some(at.0),
                    UniqueWhile::Queued | UniqueWhile::Active => None,
                },
            }),
        }
    }
}

pub(super) fn to_on_dependency_failure(
    message: &'static str,
    number: i32,
) -> Result<OnDependencyFailure, CodecError> {
    Ok(match number {
        0 => OnDependencyFailure::Fail,
        1 => OnDependencyFailure::Cancel,
        2 => OnDependencyFailure::Continue,
        other => return Err(CodecError::unknown(message, "on_dependency_failure", other)),
    })
}

impl TryFrom<proto::Constraints> for Constraints {
    type Error = CodecError;

    fn try_from(form: proto::Constraints) -> Result<Self, CodecError> {
        Ok(Constraints {
            depends_on: form.depends_on.into_iter().map(Text::from).collect(),
            blocked_by: form.blocked_by.into_iter().map(Text::from).collect(),
            on_dependency_failure: to_on_dependency_failure(
                "Constraints",
                form.on_dependency_failure,
            )?,
            concurrency: form
                .concurrency
                .map(|proto::Concurrency { key, limit }| Concurrency { key: key.into(), limit }),
            fair_key: to_text_opt(form.fair_key),
            unique: form.unique.map(TryInto::try_into).transpose()?,
        })
    }
}

impl TryFrom<proto::Unique> for Unique {
    type Error = CodecError;

    fn try_from(form: proto::Unique) -> Result<Self, CodecError> {
        let held = match (form.while_queued, form.until_ms) {
            (false, None) => UniqueWhile::Active,
            (true, None) => UniqueWhile::Queued,
            (false, Some(at)) => UniqueWhile::Until(ClusterMs(at)),
            (true, Some(_)) => return Err(CodecError::unknown("Unique", "while_queued", 1)),
        };
        Ok(Unique { key: form.key.into(), held })
    }
}

impl From<&ApprovalRow> for proto::Approval {
    fn from(approval: &ApprovalRow) -> Self {
        proto::Approval {
            question: text(&approval.question),
            options: approval.options.iter().map(text).collect(),
            asked_revision: approval.asked_revision.0,
            expires_at_ms: clock_opt(approval.expires_at),
            decision: approval.decision.as_ref().map(|decided| proto::ApprovalDecision {
                answer: text_opt(&decided.answer),
                decided_by: text_opt(&decided.by),
                comment: text_opt(&decided.comment),
            }),
        }
    }
}

impl From<proto::Approval> for ApprovalRow {
    fn from(form: proto::Approval) -> Self {
        ApprovalRow {
            question: form.question.into(),
            options: form.options.into_iter().map(Text::from).collect(),
            asked_revision: Revision(form.asked_revision),
            expires_at: to_clock_opt(form.expires_at_ms),
            decision: form.decision.map(|decided| ApprovalDecision {
                answer: to_text_opt(decided.answer),
                by: to_text_opt(decided.decided_by),
                comment: to_text_opt(decided.comment),
            }),
        }
    }
}

impl From<&ClaimRow> for proto::ClaimRow {
    fn from(claim: &ClaimRow) -> Self {
        proto::ClaimRow {
            token: claim.token.0,
            ttl_ms: claim.ttl_ms,
            expires_at_ms: claim.expires_at.0,
            on_lapse: match claim.on_lapse {
                OnLapse::TakeOver => None,
                OnLapse::Retry { pause_ms } => Some(LapseForm::RetryPauseMs(pause_ms)),
                OnLapse::Fail => Some(LapseForm::Fails(true)),
            },
        }
    }
}

impl TryFrom<proto::ClaimRow> for ClaimRow {
    type Error = CodecError;

    fn try_from(claim: proto::ClaimRow) -> Result<Self, CodecError> {
        Ok(ClaimRow {
            token: Revision(claim.token),
            ttl_ms: claim.ttl_ms,
            expires_at: ClusterMs(claim.expires_at_ms),
            on_lapse: match claim.on_lapse {
                None => OnLapse::TakeOver,
                Some(LapseForm::RetryPauseMs(pause_ms)) => OnLapse::Retry { pause_ms },
                Some(LapseForm::Fails(true)) => OnLapse::Fail,
                Some(LapseForm::Fails(false)) => {
                    return Err(CodecError::unknown("ClaimRow", "fails", 0));
                }
            },
        })
    }
}

pub(super) fn steps(steps: StoredSteps) -> Option<proto::StoredSteps> {
    let StoredSteps { count, first, next } = steps;
    (steps != StoredSteps::default()).then_some(proto::StoredSteps { count, first, next })
}

pub(super) fn to_steps(steps: Option<proto::StoredSteps>) -> StoredSteps {
    let proto::StoredSteps { count, first, next } = steps.unwrap_or_default();
    StoredSteps { count, first, next }
}

fn retry(retry: RetryPolicy) -> Option<proto::RetryPolicy> {
    let RetryPolicy { lapses_max, backoff_ms, backoff_max_ms } = retry;
    let form = proto::RetryPolicy { lapses_max, backoff_ms, backoff_max_ms };
    (retry != RetryPolicy::default()).then_some(form)
}

fn to_retry(retry: Option<proto::RetryPolicy>) -> RetryPolicy {
    let proto::RetryPolicy { lapses_max, backoff_ms, backoff_max_ms } = retry.unwrap_or_default();
    RetryPolicy { lapses_max, backoff_ms, backoff_max_ms }
}
