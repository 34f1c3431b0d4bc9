//! The methods of the protocol. Each finds out who calls, and leaves the rest
//! to the file of its name.

use futures::stream::{BoxStream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{ask, error, export, membership, pipeline, status, submit, wait, watch};
use crate::access::Caller;
use crate::proto::sidecar as proto;
use crate::service::{Service, ServiceError};
use proto::submit_reply::Outcome;

type GrpcResult<T> = Result<Response<T>, Status>;

/// The service, as the methods of `proto/sidecar.proto`.
#[derive(Clone)]
pub struct GrpcService {
    service: Service,
    /// Ends the streams when the server stops.
    stop: CancellationToken,
}

impl GrpcService {
    pub(super) fn new(service: Service, stop: CancellationToken) -> GrpcService {
        GrpcService { service, stop }
    }
}

#[tonic::async_trait]
impl proto::sidecar_server::Sidecar for GrpcService {
    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> GrpcResult<proto::SubmitReply> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = request.id;
        let reply = submit::submit(&self.service, &caller, request).await.map_err(error::status)?;
        let outcome = Some(Outcome::Reply((&reply).into()));
        Ok(Response::new(proto::SubmitReply { id, outcome }))
    }

    type PipelineStream = BoxStream<'static, Result<proto::SubmitReply, Status>>;

    async fn pipeline(
        &self,
        request: Request<Streaming<proto::SubmitRequest>>,
    ) -> GrpcResult<Self::PipelineStream> {
        let caller = caller(&request)?;
        let (service, stop) = (self.service.clone(), self.stop.clone());
        let replies = pipeline::replies(service, stop, caller, request.into_inner());
        Ok(Response::new(replies.boxed()))
    }

    async fn ask(&self, request: Request<proto::AskRequest>) -> GrpcResult<proto::AskReply> {
        caller(&request)?;
        let reply = ask::ask(&self.service, request.into_inner()).await;
        reply.map(Response::new).map_err(error::status)
    }

    type WatchStream = BoxStream<'static, Result<proto::WatchReply, Status>>;

    async fn watch(&self, request: Request<proto::WatchRequest>) -> GrpcResult<Self::WatchStream> {
        caller(&request)?;
        let (service, stop) = (self.service.clone(), self.stop.clone());
        let changes = watch::changes(service, stop, request.into_inner());
        changes.map(|changes| Response::new(changes.boxed())).map_err(error::status)
    }

    async fn wait(&self, request: Request<proto::WaitRequest>) -> GrpcResult<proto::WaitReply> {
        caller(&request)?;
        let reply = wait::wait(&self.service, request.into_inner()).await;
        reply.map(Response::new).map_err(error::status)
    }

    type ExportStream = BoxStream<'static, Result<proto::ExportChunk, Status>>;

    async fn export(
        &self,
        request: Request<proto::ExportRequest>,
    ) -> GrpcResult<Self::ExportStream> {
        let caller = caller(&request)?;
        let stop = self.stop.clone();
        let chunks = export::export(&self.service, stop, &caller, request.into_inner()).await;
        chunks.map(|chunks| Response::new(chunks.boxed())).map_err(error::status)
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> GrpcResult<proto::StatusReply> {
        caller(&request)?;
        let health = self.service.health().await;
        Ok(Response::new(status::status(&health, self.service.uptime())))
    }

    async fn add_member(
        &self,
        request: Request<proto::AddMemberRequest>,
    ) -> GrpcResult<proto::AddMemberReply> {
        let caller = caller(&request)?;
        membership::add(&self.service, &caller, request.into_inner()).await.map(Response::new)
    }

    async fn remove_member(
        &self,
        request: Request<proto::RemoveMemberRequest>,
    ) -> GrpcResult<proto::RemoveMemberReply> {
        let caller = caller(&request)?;
        membership::remove(&self.service, &caller, request.into_inner()).await.map(Response::new)
    }

    async fn transfer_leadership(
        &self,
        request: Request<proto::TransferLeadershipRequest>,
    ) -> GrpcResult<proto::TransferLeadershipReply> {
        let caller = caller(&request)?;
        membership::transfer(&self.service, &caller, request.into_inner()).await.map(Response::new)
    }

    async fn take_snapshot(
        &self,
        request: Request<proto::TakeSnapshotRequest>,
    ) -> GrpcResult<proto::TakeSnapshotReply> {
        let caller = caller(&request)?;
        membership::snapshot(&self.service, &caller, request.into_inner()).await.map(Response::new)
    }
}

/// The caller whom [`Authorize`](super::Authorize) has admitted.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| {
        error::status(ServiceError::forbidden("this call was not checked for authorization"))
    })
}
