//! How calls to a peer fail, for openraft. Every failure is `Unreachable`, so that
//! openraft waits before it tries again.

use std::time::Duration;

use openraft::errors::{RPCError, Unreachable};
use tokio::time::timeout;
use tonic::{Response, Status};

use super::conversion::MessageError;
use crate::store::raft::consensus::types::TypeConfig;

pub(super) type RaftRpcError = RPCError<TypeConfig>;

/// The response of `call`, unless it takes longer than `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, RaftRpcError> {
    match timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(failed(&status)),
        Err(_) => Err(unreachable(format!("no answer within {limit:?}"))),
    }
}

/// A failure of the transport or a refusal of the peer.
pub(super) fn failed(status: &Status) -> RaftRpcError {
    unreachable(describe(status))
}

pub(super) fn invalid(error: MessageError) -> RaftRpcError {
    unreachable(error.to_string())
}

pub(super) fn unreachable(reason: String) -> RaftRpcError {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

pub(super) fn describe(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
