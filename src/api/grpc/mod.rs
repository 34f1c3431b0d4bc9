//! The public gRPC API of `proto/sidecar.proto`: commands and questions of
//! programs, carried to the service as they are. What is checked here is shape
//! and size; every rule is the machine's.

mod authorization;
mod call_name;
mod check;
mod error;
mod export;
mod membership;
mod pipeline;
mod status;
mod watch;

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

pub use authorization::Authorize;
pub use pipeline::IN_FLIGHT_MAX as PIPELINE_IN_FLIGHT_MAX;

use crate::access::{Access, Caller};
use crate::limits;
use crate::machine::{Command, Reply};
use crate::observe;
use crate::proto::sidecar as proto;
use crate::proto::sidecar::sidecar_server::SidecarServer;
use crate::service::{Context, Service, ServiceError};
use crate::store::Consistency;

/// Largest message taken where no value may be larger: a transaction of
/// several large values fits.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a message holds besides its largest value.
const MESSAGE_BYTES_REST: usize = 1024 * 1024;
/// Longest time that a caller may give a call: the client may long be gone.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Time for a call where nothing is said.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Calls under way on one connection; more wait at the client.
const STREAMS_MAX: u32 = 1024;
/// Bytes that a client may send ahead, in one call and on one connection: a
/// large value goes out in one round trip.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// A connection on which nothing was heard for this long is asked for a sign
/// of life, and closed where none comes as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The service as gRPC, behind `access`. Once `stop` is cancelled, watches and
/// pipelines end by themselves, so that a server that drains can finish.
pub fn api(
    service: Service,
    access: Access,
    stop: CancellationToken,
) -> Authorize<SidecarServer<Api>> {
    let value_bytes_max = service.limits().value_bytes_max;
    let message_bytes_max =
        MESSAGE_BYTES_MAX.max(value_bytes_max.saturating_add(MESSAGE_BYTES_REST));
    let server =
        SidecarServer::new(Api { service, stop }).max_decoding_message_size(message_bytes_max);
    Authorize::new(server, access)
}

/// A server with this API's bounds; add [`api`] to it, and what else is to be
/// reached at the same address.
pub fn transport() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
}

/// Connections from `listener` for [`transport`], which sends small replies at
/// once.
pub fn incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEP_ALIVE))
}

/// The calls themselves.
#[derive(Clone)]
pub struct Api {
    service: Service,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl proto::sidecar_server::Sidecar for Api {
    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitReply>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = request.id;
        let reply = self.carry_out(&caller, request).await.map_err(error::status)?;
        let outcome = proto::submit_reply::Outcome::Reply((&reply).into());
        Ok(Response::new(proto::SubmitReply { id, outcome: Some(outcome) }))
    }

    type PipelineStream = BoxStream<'static, Result<proto::SubmitReply, Status>>;

    async fn pipeline(
        &self,
        request: Request<Streaming<proto::SubmitRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        let caller = caller(&request)?;
        let replies = pipeline::replies(self.clone(), caller, request.into_inner());
        Ok(Response::new(Box::pin(replies)))
    }

    async fn ask(
        &self,
        request: Request<proto::AskRequest>,
    ) -> Result<Response<proto::AskReply>, Status> {
        caller(&request)?;
        let reply = self.answer(request.into_inner()).await.map_err(error::status)?;
        Ok(Response::new(reply))
    }

    type WatchStream = BoxStream<'static, Result<proto::WatchReply, Status>>;

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        caller(&request)?;
        let watch = watch::changes(self, request.into_inner()).map_err(error::status)?;
        Ok(Response::new(Box::pin(watch)))
    }

    type ExportStream = BoxStream<'static, Result<proto::ExportChunk, Status>>;

    async fn export(
        &self,
        request: Request<proto::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let caller = caller(&request)?;
        let began = Instant::now();
        let chunks = self.export_checked(&caller, request.into_inner()).await;
        record("export", &chunks, began);
        Ok(Response::new(chunks.map_err(error::status)?))
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusReply>, Status> {
        caller(&request)?;
        let health = self.service.health().await;
        Ok(Response::new(status::status(&health, self.service.uptime())))
    }

    async fn add_member(
        &self,
        request: Request<proto::AddMemberRequest>,
    ) -> Result<Response<proto::AddMemberReply>, Status> {
        membership::add(self, &caller(&request)?, request.into_inner()).await.map(Response::new)
    }

    async fn remove_member(
        &self,
        request: Request<proto::RemoveMemberRequest>,
    ) -> Result<Response<proto::RemoveMemberReply>, Status> {
        membership::remove(self, &caller(&request)?, request.into_inner()).await.map(Response::new)
    }

    async fn transfer_leadership(
        &self,
        request: Request<proto::TransferLeadershipRequest>,
    ) -> Result<Response<proto::TransferLeadershipReply>, Status> {
        membership::transfer(self, &caller(&request)?, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn take_snapshot(
        &self,
        request: Request<proto::TakeSnapshotRequest>,
    ) -> Result<Response<proto::TakeSnapshotReply>, Status> {
        membership::snapshot(self, &caller(&request)?, request.into_inner())
            .await
            .map(Response::new)
    }
}

impl Api {
    /// Carries out one command, in a call of its own as in a pipeline.
    async fn carry_out(
        &self,
        caller: &Caller,
        request: proto::SubmitRequest,
    ) -> Result<Reply, ServiceError> {
        let (tool, began) = (call_name::of_command(request.command.as_ref()), Instant::now());
        let reply = unpanicked(self.submit_checked(caller, request)).await;
        record(tool, &reply, began);
        reply
    }

    async fn submit_checked(
        &self,
        caller: &Caller,
        request: proto::SubmitRequest,
    ) -> Result<Reply, ServiceError> {
        let proto::SubmitRequest { id: _, command, idempotency_key, agent_id, timeout_ms, wait_ms } =
            request;
        let command = check::command(command, self.service.limits())?;
        check::may(caller, &command)?;
        let agent_id = agent_id.map(|text| limits::identifier("agent_id", &text)).transpose()?;
        let idempotency_key = idempotency_key
            .map(|text| limits::idempotency_key("idempotency_key", &text))
            .transpose()?;
        let context = Context { actor: agent_id.or_else(|| caller.actor.clone()), idempotency_key };
        let timeout = timeout(timeout_ms)?;
        match (command, wait(wait_ms)) {
            (command, None) => self.service.submit_within(command, context, timeout).await,
            (Command::Acquire(acquire), Some(wait)) => {
                self.service.acquire(acquire, context, wait).await.map(Reply::Acquired)
            }
            (Command::ClaimNext(claim), Some(wait)) => {
                self.service.claim_next(claim, context, wait).await.map(Reply::Claimed)
            }
            (_, Some(_)) => {
                Err(ServiceError::invalid("wait_ms is for acquire and claim_next alone"))
            }
        }
    }

    async fn export_checked(
        &self,
        caller: &Caller,
        request: proto::ExportRequest,
    ) -> Result<<Self as proto::sidecar_server::Sidecar>::ExportStream, ServiceError> {
        check::may_export(caller)?;
        let chunks = unpanicked(export::chunks(self, request)).await?;
        Ok(Box::pin(chunks))
    }

    async fn answer(&self, request: proto::AskRequest) -> Result<proto::AskReply, ServiceError> {
        let (tool, began) = (call_name::of_question(request.question.as_ref()), Instant::now());
        let reply = unpanicked(self.ask_checked(request)).await;
        record(tool, &reply, began);
        reply
    }

    async fn ask_checked(
        &self,
        request: proto::AskRequest,
    ) -> Result<proto::AskReply, ServiceError> {
        let question = check::question(request.question)?;
        let consistency = match proto::Consistency::try_from(request.consistency) {
            Ok(proto::Consistency::Linearizable) => Consistency::Linearizable,
            Ok(proto::Consistency::Local) => Consistency::Local,
            Err(_) => {
                let got = request.consistency;
                let message = format!("consistency must be 0 or 1, got {got}");
                return Err(ServiceError::invalid(message));
            }
        };
        let timeout = timeout(request.timeout_ms)?;
        let answered = self.service.ask_within(question, consistency, timeout).await?;
        let age = answered.age.filter(|_| consistency == Consistency::Local);
        Ok(proto::AskReply {
            answer: Some((&answered.answer).into()),
            revision: answered.revision.0,
            age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        })
    }
}

/// A panic is this one call's error, not the end of a pipeline.
async fn unpanicked<T>(
    call: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a gRPC call panicked");
        Err(ServiceError::internal("internal error; the server's log has more"))
    })
}

fn record<T>(tool: &'static str, result: &Result<T, ServiceError>, began: Instant) {
    let outcome = result.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok");
    observe::call(tool, outcome, began.elapsed());
}

/// Who was let in by the [`Authorize`].
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| error::status(ServiceError::forbidden("this call came past the gate")))
}

fn timeout(ms: Option<u32>) -> Result<Duration, ServiceError> {
    match ms {
        None => Ok(TIMEOUT_DEFAULT),
        Some(0) => Err(ServiceError::invalid("timeout_ms must be >= 1, got 0")),
        Some(ms) => Ok(Duration::from_millis(ms.into()).min(TIMEOUT_MAX)),
    }
}

/// Nothing where the call is not to wait.
fn wait(ms: Option<u32>) -> Option<Duration> {
    let wait = Duration::from_millis(ms?.into());
    (!wait.is_zero()).then(|| wait.min(Duration::from_secs(limits::WAIT_SECONDS_MAX)))
}
