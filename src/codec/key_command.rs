//! Commands on keys, leases and sessions, to and from `proto/state.proto`.

use super::error::CodecError;
use super::value::*;
use crate::machine::command::*;
use crate::machine::{Json, Revision};
use crate::proto::state as proto;
use proto::compare::Condition as ConditionForm;
use proto::operation::Operation as OperationForm;

impl From<&Set> for proto::Set {
    fn from(set: &Set) -> Self {
        proto::Set {
            key: text(&set.key),
            value: json(&set.value),
            ttl_ms: set.ttl_ms,
            agent_id: text_opt(&set.agent_id),
            if_revision: revision_opt(set.if_revision),
            fence: fence(&set.fence),
        }
    }
}

impl From<proto::Set> for Set {
    fn from(set: proto::Set) -> Self {
        Set {
            key: set.key.into(),
            value: Json::new(set.value),
            ttl_ms: set.ttl_ms,
            agent_id: to_text_opt(set.agent_id),
            if_revision: to_revision_opt(set.if_revision),
            fence: to_fence(set.fence),
        }
    }
}

impl From<&Delete> for proto::Delete {
    fn from(delete: &Delete) -> Self {
        proto::Delete {
            key: text(&delete.key),
            agent_id: text_opt(&delete.agent_id),
            if_revision: revision_opt(delete.if_revision),
            fence: fence(&delete.fence),
        }
    }
}

impl From<proto::Delete> for Delete {
    fn from(delete: proto::Delete) -> Self {
        Delete {
            key: delete.key.into(),
            agent_id: to_text_opt(delete.agent_id),
            if_revision: to_revision_opt(delete.if_revision),
            fence: to_fence(delete.fence),
        }
    }
}

impl From<&Transact> for proto::Transact {
    fn from(transact: &Transact) -> Self {
        proto::Transact {
            compare: transact.compare.iter().map(Into::into).collect(),
            then: transact.then.iter().map(Into::into).collect(),
            otherwise: transact.otherwise.iter().map(Into::into).collect(),
            agent_id: text_opt(&transact.agent_id),
            fence: fence(&transact.fence),
        }
    }
}

impl TryFrom<proto::Transact> for Transact {
    type Error = CodecError;

    fn try_from(transact: proto::Transact) -> Result<Self, CodecError> {
        Ok(Transact {
            compare: all(transact.compare)?,
            then: all(transact.then)?,
            otherwise: all(transact.otherwise)?,
            agent_id: to_text_opt(transact.agent_id),
            fence: to_fence(transact.fence),
        })
    }
}

impl From<&Compare> for proto::Compare {
    fn from(compare: &Compare) -> Self {
        let condition = match &compare.condition {
            Condition::Revision(revision) => ConditionForm::Revision(revision.0),
            Condition::Value(value) => ConditionForm::Value(json(value)),
            Condition::Exists(exists) => ConditionForm::Exists(*exists),
        };
        proto::Compare { key: text(&compare.key), condition: Some(condition) }
    }
}

impl TryFrom<proto::Compare> for Compare {
    type Error = CodecError;

    fn try_from(compare: proto::Compare) -> Result<Self, CodecError> {
        let condition = match required("Compare", "condition", compare.condition)? {
            ConditionForm::Revision(revision) => Condition::Revision(Revision(revision)),
            ConditionForm::Value(value) => Condition::Value(Json::new(value)),
            ConditionForm::Exists(exists) => Condition::Exists(exists),
        };
        Ok(Compare { key: compare.key.into(), condition })
    }
}

impl From<&Operation> for proto::Operation {
    fn from(operation: &Operation) -> Self {
        let form = match operation {
            Operation::Set { key, value, ttl_ms } => OperationForm::Set(proto::OperationSet {
                key: text(key),
                value: json(value),
                ttl_ms: *ttl_ms,
            }),
            Operation::Delete { key } => {
                OperationForm::Delete(proto::OperationDelete { key: text(key) })
            }
            Operation::Get { key } => OperationForm::Get(proto::OperationGet { key: text(key) }),
        };
        proto::Operation { operation: Some(form) }
    }
}

impl TryFrom<proto::Operation> for Operation {
    type Error = CodecError;

    fn try_from(operation: proto::Operation) -> Result<Self, CodecError> {
        Ok(match required("Operation", "operation", operation.operation)? {
            OperationForm::Set(proto::OperationSet { key, value, ttl_ms }) => {
                Operation::Set { key: key.into(), value: Json::new(value), ttl_ms }
            }
            OperationForm::Delete(proto::OperationDelete { key }) => {
                Operation::Delete { key: key.into() }
            }
            OperationForm::Get(proto::OperationGet { key }) => Operation::Get { key: key.into() },
        })
    }
}

impl From<&Acquire> for proto::Acquire {
    fn from(acquire: &Acquire) -> Self {
        proto::Acquire {
            resource_id: text(&acquire.resource_id),
            holder_id: text(&acquire.holder_id),
            ttl_ms: acquire.ttl_ms,
            exclusive: acquire.exclusive,
            permits: acquire.permits,
        }
    }
}

impl From<proto::Acquire> for Acquire {
    fn from(acquire: proto::Acquire) -> Self {
        Acquire {
            resource_id: acquire.resource_id.into(),
            holder_id: acquire.holder_id.into(),
            ttl_ms: acquire.ttl_ms,
            exclusive: acquire.exclusive,
            permits: acquire.permits,
        }
    }
}

impl From<&Renew> for proto::Renew {
    fn from(renew: &Renew) -> Self {
        proto::Renew {
            resource_id: text(&renew.resource_id),
            holder_id: text(&renew.holder_id),
            ttl_ms: renew.ttl_ms,
            fencing_token: revision_opt(renew.fencing_token),
        }
    }
}

impl From<proto::Renew> for Renew {
    fn from(renew: proto::Renew) -> Self {
        Renew {
            resource_id: renew.resource_id.into(),
            holder_id: renew.holder_id.into(),
            ttl_ms: renew.ttl_ms,
            fencing_token: to_revision_opt(renew.fencing_token),
        }
    }
}

impl From<&ReleaseLease> for proto::ReleaseLease {
    fn from(release: &ReleaseLease) -> Self {
        proto::ReleaseLease {
            resource_id: text(&release.resource_id),
            holder_id: text(&release.holder_id),
            fencing_token: revision_opt(release.fencing_token),
        }
    }
}

impl From<proto::ReleaseLease> for ReleaseLease {
    fn from(release: proto::ReleaseLease) -> Self {
        ReleaseLease {
            resource_id: release.resource_id.into(),
            holder_id: release.holder_id.into(),
            fencing_token: to_revision_opt(release.fencing_token),
        }
    }
}

impl From<&SaveSession> for proto::SaveSession {
    fn from(save: &SaveSession) -> Self {
        proto::SaveSession {
            session_id: text(&save.session_id),
            context: json(&save.context),
            ttl_ms: save.ttl_ms,
            agent_id: text_opt(&save.agent_id),
            fence: fence(&save.fence),
        }
    }
}

impl From<proto::SaveSession> for SaveSession {
    fn from(save: proto::SaveSession) -> Self {
        SaveSession {
            session_id: save.session_id.into(),
            context: Json::new(save.context),
            ttl_ms: save.ttl_ms,
            agent_id: to_text_opt(save.agent_id),
            fence: to_fence(save.fence),
        }
    }
}

impl From<&DeleteSession> for proto::DeleteSession {
    fn from(delete: &DeleteSession) -> Self {
        proto::DeleteSession {
            session_id: text(&delete.session_id),
            agent_id: text_opt(&delete.agent_id),
        }
    }
}

impl From<proto::DeleteSession> for DeleteSession {
    fn from(delete: proto::DeleteSession) -> Self {
        DeleteSession {
            session_id: delete.session_id.into(),
            agent_id: to_text_opt(delete.agent_id),
        }
    }
}
