//! Waiting for a run, or for the children of one.

use std::time::Duration;

use crate::api::observed::observed;
use crate::limits;
use crate::machine::run_group::occurring;
use crate::proto::sidecar as proto;
use crate::service::{Service, ServiceError};
use proto::wait_request::Awaited;

/// Waits for what a request names.
pub(super) async fn wait(
    service: &Service,
    request: proto::WaitRequest,
) -> Result<proto::WaitReply, ServiceError> {
    observed("workflow_wait", answer(service, request)).await
}

async fn answer(
    service: &Service,
    request: proto::WaitRequest,
) -> Result<proto::WaitReply, ServiceError> {
    let proto::WaitRequest { awaited, step, wait_ms } = request;
    let timeout = wait_ms.map_or(limits::WAIT_MAX, |ms| Duration::from_millis(ms.into()));
    match (awaited, step) {
        (Some(Awaited::RunId(run_id)), step) => {
            let waited = service.wait_for_run(run_id.into(), step, timeout).await?;
            let run = Some((&waited.run).into());
            Ok(proto::WaitReply { reached: waited.reached, run, ..Default::default() })
        }
        (Some(Awaited::ParentRunId(run_id)), None) => {
            let waited = service.wait_for_children(run_id.into(), timeout).await?;
            let counts = occurring(&waited.counts);
            let children = counts.map(|(status, runs)| (status.to_string(), runs)).collect();
            Ok(proto::WaitReply { reached: waited.reached, children, ..Default::default() })
        }
        (Some(Awaited::ParentRunId(_)), Some(_)) => Err(ServiceError::invalid("step needs run_id")),
        (None, _) => Err(ServiceError::invalid("run_id or parent_run_id is required")),
    }
}
