//! Errors as gRPC spells them: a status, with the contract's code in its
//! metadata. The table of both is in `proto/sidecar.proto`.

use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::access::Denied;
use crate::proto::sidecar as proto;
use crate::service::{Code, ServiceError};

/// The metadata entry that holds the contract's code.
pub(super) const CODE: &str = "sidecar-code";

pub(super) fn status(error: ServiceError) -> Status {
    coded(status_code(error.code), error.code, error.message)
}

pub(super) fn denied(denied: Denied) -> Status {
    let code = match denied {
        Denied::Unauthenticated(_) => tonic::Code::Unauthenticated,
        Denied::Forbidden(_) => tonic::Code::PermissionDenied,
    };
    coded(code, Code::Forbidden, denied.to_string())
}

pub(super) fn fault(error: ServiceError) -> proto::Fault {
    proto::Fault {
        code: error.code.as_str().into(),
        retryable: error.is_retryable(),
        message: error.message,
    }
}

pub(super) fn coded(status: tonic::Code, code: Code, message: String) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(CODE, MetadataValue::from_static(code.as_str()));
    Status::with_metadata(status, message, metadata)
}

fn status_code(code: Code) -> tonic::Code {
    match code {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::NotFound => tonic::Code::NotFound,
        // The transport refuses a message that is too large with the same status.
        Code::TooLarge => tonic::Code::OutOfRange,
        Code::QuotaExceeded => tonic::Code::ResourceExhausted,
        Code::Forbidden => tonic::Code::PermissionDenied,
        Code::Unavailable => tonic::Code::Unavailable,
        // Clients read ABORTED as "nothing happened", and UNKNOWN as anything at
        // all. Of a write, this status says that it may have happened.
        Code::OutcomeUnknown => tonic::Code::DeadlineExceeded,
        Code::Internal => tonic::Code::Internal,
    }
}
