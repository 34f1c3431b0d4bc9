//! Changes of the cluster, for administrators. The store decides whether a
//! change is possible.

use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};

use super::{error, permission, request};
use crate::access::Caller;
use crate::proto::sidecar as proto;
use crate::service::{Code, Service, ServiceError};
use crate::store::cluster::{Cluster, ClusterError, NewMember};

/// The metadata entry of a refusal by a node that does not lead: the address of
/// the leader.
const LEADER: &str = "sidecar-leader";

pub(super) async fn add(
    service: &Service,
    caller: &Caller,
    request: proto::AddMemberRequest,
) -> Result<proto::AddMemberReply, Status> {
    let (cluster, deadline) = admitted(service, caller, request.timeout_ms)?;
    let proto::AddMemberRequest { id, addr, replaces, timeout_ms: _ } = request;
    let is_address = addr.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if id == 0 || !is_address {
        let got = format!("id must be >= 1 and addr host:port, got {id} and {addr:?}");
        return Err(error::status(ServiceError::invalid(got)));
    }
    let added = NewMember { id, addr, replaces };
    cluster.add(added, deadline).await.map_err(refusal)?;
    Ok(proto::AddMemberReply {})
}

pub(super) async fn remove(
    service: &Service,
    caller: &Caller,
    request: proto::RemoveMemberRequest,
) -> Result<proto::RemoveMemberReply, Status> {
    let (cluster, deadline) = admitted(service, caller, request.timeout_ms)?;
    cluster.remove(request.id, deadline).await.map_err(refusal)?;
    Ok(proto::RemoveMemberReply {})
}

pub(super) async fn transfer(
    service: &Service,
    caller: &Caller,
    request: proto::TransferLeadershipRequest,
) -> Result<proto::TransferLeadershipReply, Status> {
    let (cluster, deadline) = admitted(service, caller, request.timeout_ms)?;
    let leader = cluster.transfer(request.to, deadline).await.map_err(refusal)?;
    Ok(proto::TransferLeadershipReply { leader })
}

pub(super) async fn snapshot(
    service: &Service,
    caller: &Caller,
    request: proto::TakeSnapshotRequest,
) -> Result<proto::TakeSnapshotReply, Status> {
    let (cluster, deadline) = admitted(service, caller, request.timeout_ms)?;
    let index = cluster.snapshot(deadline).await.map_err(refusal)?;
    Ok(proto::TakeSnapshotReply { index })
}

fn admitted<'a>(
    service: &'a Service,
    caller: &Caller,
    timeout_ms: Option<u32>,
) -> Result<(&'a dyn Cluster, Instant), Status> {
    permission::to_change_members(caller).map_err(error::status)?;
    let deadline = Instant::now() + request::timeout(timeout_ms).map_err(error::status)?;
    let none = "this node's store is no cluster: it has no members to change";
    let cluster = service.cluster();
    let cluster = cluster.ok_or_else(|| Status::failed_precondition(none))?;
    Ok((cluster, deadline))
}

fn refusal(error: ClusterError) -> Status {
    let text = error.to_string();
    match error {
        ClusterError::NotLeader { leader } => {
            let mut status = error::status(ServiceError::unavailable(text));
            let leader = leader.and_then(|addr| addr.parse::<MetadataValue<Ascii>>().ok());
            if let Some(leader) = leader {
                status.metadata_mut().insert(LEADER, leader);
            }
            status
        }
        ClusterError::Refused(_) => {
            error::coded(tonic::Code::FailedPrecondition, Code::InvalidArgument, text)
        }
        ClusterError::NotFound(_) => error::status(ServiceError::not_found(text)),
        ClusterError::Unavailable(_) => error::status(ServiceError::unavailable(text)),
        ClusterError::Unfinished(_) => error::status(ServiceError::unknown(text)),
    }
}
