//! One command, in a call of its own or in a pipeline.

use super::{call_name, permission, request};
use crate::access::Caller;
use crate::api::observed::observed;
use crate::machine::{Command, Reply};
use crate::proto::sidecar as proto;
use crate::service::{Context, Service, ServiceError};

/// Carries out the command of a request.
pub(super) async fn submit(
    service: &Service,
    caller: &Caller,
    request: proto::SubmitRequest,
) -> Result<Reply, ServiceError> {
    let tool = call_name::of_command(request.command.as_ref());
    observed(tool, carry_out(service, caller, request)).await
}

async fn carry_out(
    service: &Service,
    caller: &Caller,
    request: proto::SubmitRequest,
) -> Result<Reply, ServiceError> {
    let proto::SubmitRequest { id: _, command, idempotency_key, agent_id, timeout_ms, wait_ms } =
        request;
    let command = request::command(command)?;
    permission::to_submit(caller, &command)?;
    let context = Context {
        actor: agent_id.map(Into::into).or_else(|| caller.actor.clone()),
        idempotency_key: idempotency_key.map(Into::into),
    };
    let timeout = request::timeout(timeout_ms)?;
    match (command, request::wait(wait_ms)) {
        (command, None) => service.submit_within(command, context, timeout).await,
        (Command::Acquire(acquire), Some(wait)) => {
            service.acquire(acquire, context, wait).await.map(Reply::Acquired)
        }
        (Command::ClaimNext(claim), Some(wait)) => {
            service.claim_next(claim, context, wait).await.map(Reply::Claimed)
        }
        (_, Some(_)) => Err(ServiceError::invalid("wait_ms is for acquire and claim_next alone")),
    }
}
