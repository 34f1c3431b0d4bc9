//! Replies, to and from `proto/state.proto`.

use super::error::CodecError;
use super::row::{status, to_status};
use super::schedule::{firing_opt, to_firing_opt};
use super::value::*;
use crate::machine::reply::*;
use crate::machine::status::Status;
use crate::machine::{Json, Revision};
use crate::proto::state as proto;
use proto::operation_result::Result as ResultForm;
use proto::reply::Reply as Form;

impl From<&Reply> for proto::Reply {
    fn from(reply: &Reply) -> Self {
        let form = match reply {
            Reply::Refused(refusal) => Form::Refused(refusal.into()),
            Reply::Set(written) => Form::Set(written.into()),
            Reply::Deleted(written) => Form::Deleted(written.into()),
            Reply::Transacted(transacted) => Form::Transacted(transacted.into()),
            Reply::Created { run_id, name, status: now, existing } => {
                // Runs were `created` before there were others.
                let status = if *now == Status::Created { 0 } else { status(*now).into() };
                let (run_id, name, existing) = (text(run_id), text(name), *existing);
                Form::Created(proto::Created { run_id, name, status, existing })
            }
            Reply::Claimed(claimed) => Form::Claimed(claimed.into()),
            Reply::Moved(moved) => Form::Moved(moved.into()),
            Reply::Retried(retried) => Form::Retried(retried.into()),
            Reply::Checkpointed(checkpointed) => Form::Checkpointed(checkpointed.into()),
            Reply::Acquired(acquired) => Form::Acquired(acquired.into()),
            Reply::Renewed(renewed) => Form::Renewed(renewed.into()),
            Reply::LeaseReleased { released, resource_id } => {
                Form::LeaseReleased(proto::LeaseReleased {
                    released: *released,
                    resource_id: text(resource_id),
                })
            }
            Reply::SessionSaved { ok, session_id, revision, reason } => {
                Form::SessionSaved(proto::SessionSaved {
                    ok: *ok,
                    session_id: text(session_id),
                    revision: revision.0,
                    reason: text_opt(reason),
                })
            }
            Reply::SessionDeleted { ok, session_id } => {
                Form::SessionDeleted(proto::SessionDeleted {
                    ok: *ok,
                    session_id: text(session_id),
                })
            }
            Reply::Paused { name, paused, changed } => {
                Form::Paused(proto::Paused { name: text(name), paused: *paused, changed: *changed })
            }
            Reply::ScheduleSet { name, revision, next_at } => {
                Form::ScheduleSet(proto::ScheduleSet {
                    name: text(name),
                    revision: revision.0,
                    next_at_ms: firing_opt(*next_at),
                })
            }
            Reply::ScheduleDeleted { ok, name } => {
                Form::ScheduleDeleted(proto::ScheduleDeleted { ok: *ok, name: text(name) })
            }
            Reply::ScheduleFired(fired) => Form::ScheduleFired(fired.into()),
            Reply::Reset { cleared } => Form::Reset(proto::ResetDone { cleared: *cleared }),
            Reply::Swept { removed, more } => {
                Form::Swept(proto::Swept { removed: *removed, more: *more })
            }
        };
        proto::Reply { reply: Some(form) }
    }
}

impl TryFrom<proto::Reply> for Reply {
    type Error = CodecError;

    fn try_from(reply: proto::Reply) -> Result<Self, CodecError> {
        Ok(match required("Reply", "reply", reply.reply)? {
            Form::Refused(refusal) => Reply::Refused(refusal.try_into()?),
            Form::Set(written) => Reply::Set(written.into()),
            Form::Deleted(written) => Reply::Deleted(written.into()),
            Form::Transacted(transacted) => Reply::Transacted(transacted.try_into()?),
            Form::Created(proto::Created { run_id, name, status, existing }) => {
                let status = match status {
                    0 => Status::Created,
                    status => to_status("Created", status)?,
                };
                Reply::Created { run_id: run_id.into(), name: name.into(), status, existing }
            }
            Form::Claimed(claimed) => Reply::Claimed(claimed.into()),
            Form::Moved(moved) => Reply::Moved(moved.try_into()?),
            Form::Retried(retried) => Reply::Retried(retried.into()),
            Form::Checkpointed(checkpointed) => Reply::Checkpointed(checkpointed.into()),
            Form::Acquired(acquired) => Reply::Acquired(acquired.into()),
            Form::Renewed(renewed) => Reply::Renewed(renewed.into()),
            Form::LeaseReleased(proto::LeaseReleased { released, resource_id }) => {
                Reply::LeaseReleased { released, resource_id: resource_id.into() }
            }
            Form::SessionSaved(saved) => Reply::SessionSaved {
                ok: saved.ok,
                session_id: saved.session_id.into(),
                revision: Revision(saved.revision),
                reason: to_text_opt(saved.reason),
            },
            Form::SessionDeleted(proto::SessionDeleted { ok, session_id }) => {
                Reply::SessionDeleted { ok, session_id: session_id.into() }
            }
            Form::Paused(proto::Paused { name, paused, changed }) => {
                Reply::Paused { name: name.into(), paused, changed }
            }
            Form::ScheduleSet(set) => Reply::ScheduleSet {
                name: set.name.into(),
                revision: Revision(set.revision),
                next_at: to_firing_opt(set.next_at_ms),
            },
            Form::ScheduleDeleted(proto::ScheduleDeleted { ok, name }) => {
                Reply::ScheduleDeleted { ok, name: name.into() }
            }
            Form::ScheduleFired(fired) => Reply::ScheduleFired(fired.into()),
            Form::Reset(proto::ResetDone { cleared }) => Reply::Reset { cleared },
            Form::Swept(proto::Swept { removed, more }) => Reply::Swept { removed, more },
        })
    }
}

impl From<&Refusal> for proto::Refusal {
    fn from(refusal: &Refusal) -> Self {
        let code = match refusal.code {
            RefusalCode::InvalidArgument => proto::RefusalCode::InvalidArgument,
            RefusalCode::NotFound => proto::RefusalCode::NotFound,
            RefusalCode::QuotaExceeded => proto::RefusalCode::QuotaExceeded,
            RefusalCode::Internal => proto::RefusalCode::Internal,
        };
        proto::Refusal { code: code.into(), message: text(&refusal.message) }
    }
}

impl TryFrom<proto::Refusal> for Refusal {
    type Error = CodecError;

    fn try_from(refusal: proto::Refusal) -> Result<Self, CodecError> {
        let code = match proto::RefusalCode::try_from(refusal.code) {
            Ok(proto::RefusalCode::InvalidArgument) => RefusalCode::InvalidArgument,
            Ok(proto::RefusalCode::NotFound) => RefusalCode::NotFound,
            Ok(proto::RefusalCode::QuotaExceeded) => RefusalCode::QuotaExceeded,
            Ok(proto::RefusalCode::Internal) => RefusalCode::Internal,
            Ok(proto::RefusalCode::Unspecified) | Err(_) => {
                return Err(CodecError::unknown("Refusal", "code", refusal.code));
            }
        };
        Ok(Refusal { code, message: refusal.message.into() })
    }
}

impl From<&Written> for proto::Written {
    fn from(written: &Written) -> Self {
        proto::Written {
            ok: written.ok,
            revision: written.revision.0,
            reason: text_opt(&written.reason),
        }
    }
}

impl From<proto::Written> for Written {
    fn from(written: proto::Written) -> Self {
        Written {
            ok: written.ok,
            revision: Revision(written.revision),
            reason: to_text_opt(written.reason),
        }
    }
}

impl From<&Transacted> for proto::Transacted {
    fn from(transacted: &Transacted) -> Self {
        proto::Transacted {
            succeeded: transacted.succeeded,
            results: transacted.results.iter().map(Into::into).collect(),
            revision: transacted.revision.0,
            reason: text_opt(&transacted.reason),
        }
    }
}

impl TryFrom<proto::Transacted> for Transacted {
    type Error = CodecError;

    fn try_from(transacted: proto::Transacted) -> Result<Self, CodecError> {
        Ok(Transacted {
            succeeded: transacted.succeeded,
            results: all(transacted.results)?,
            revision: Revision(transacted.revision),
            reason: to_text_opt(transacted.reason),
        })
    }
}

impl From<&OperationResult> for proto::OperationResult {
    fn from(result: &OperationResult) -> Self {
        let form = match result {
            OperationResult::Set { revision } => {
                ResultForm::Set(proto::SetResult { revision: revision.0 })
            }
            OperationResult::Deleted { ok } => ResultForm::Deleted(proto::DeleteResult { ok: *ok }),
            OperationResult::Got { found, value, revision } => ResultForm::Got(proto::GetResult {
                found: *found,
                value: json_opt(value),
                revision: revision.0,
            }),
        };
        proto::OperationResult { result: Some(form) }
    }
}

impl TryFrom<proto::OperationResult> for OperationResult {
    type Error = CodecError;

    fn try_from(result: proto::OperationResult) -> Result<Self, CodecError> {
        Ok(match required("OperationResult", "result", result.result)? {
            ResultForm::Set(proto::SetResult { revision }) => {
                OperationResult::Set { revision: Revision(revision) }
            }
            ResultForm::Deleted(proto::DeleteResult { ok }) => OperationResult::Deleted { ok },
            ResultForm::Got(proto::GetResult { found, value, revision }) => OperationResult::Got {
                found,
                value: value.map(Json::new),
                revision: Revision(revision),
            },
        })
    }
}
