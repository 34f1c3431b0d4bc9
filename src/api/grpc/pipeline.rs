//! Pipelines: many commands of one program in flight at once, in one call.

use std::future::ready;

use futures::channel::oneshot;
use futures::stream::{self, Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{error, submit};
use crate::access::Caller;
use crate::proto::sidecar as proto;
use crate::service::Service;
use proto::submit_reply::Outcome;

/// How many commands of one pipeline may be in flight. At 10 ms a commit they
/// carry 50,000 a second; and eight pipelines fit into what the service admits.
pub const IN_FLIGHT_MAX: usize = 512;

/// The replies, in the order in which they are ready. No request is read while
/// [`IN_FLIGHT_MAX`] commands are in flight or their replies unsent, which slows
/// the client down through HTTP/2's flow control. A command that the service
/// has admitted is carried out even if the client goes away.
///
/// A message that cannot be read ends the pipeline, after the replies to all
/// before it.
pub(super) fn replies(
    service: Service,
    stop: CancellationToken,
    caller: Caller,
    requests: Streaming<proto::SubmitRequest>,
) -> impl Stream<Item = Result<proto::SubmitReply, Status>> + Send + 'static {
    let (sender, unreadable) = oneshot::channel();
    let readable = requests.scan(Some(sender), |sender, request| {
        ready(match request {
            Ok(request) => Some(request),
            Err(status) => {
                // Sending fails only if the client is gone; then nobody is left
                // to be told.
                sender.take().and_then(|sender| sender.send(status).ok());
                None
            }
        })
    });
    readable
        .take_until(stop.cancelled_owned())
        .map(move |request| reply(service.clone(), caller.clone(), request))
        .buffer_unordered(IN_FLIGHT_MAX)
        .map(Ok)
        .chain(stream::once(unreadable).filter_map(|status| ready(status.ok().map(Err))))
}

async fn reply(
    service: Service,
    caller: Caller,
    request: proto::SubmitRequest,
) -> proto::SubmitReply {
    let id = request.id;
    let outcome = match submit::submit(&service, &caller, request).await {
        Ok(reply) => Outcome::Reply((&reply).into()),
        Err(error) => Outcome::Fault(error::fault(error)),
    };
    proto::SubmitReply { id, outcome: Some(outcome) }
}
