//! Pipelines: many commands of one program under way at once, over one call.

use std::future::ready;

use futures::channel::oneshot;
use futures::stream::{self, Stream, StreamExt};
use tonic::{Status, Streaming};

use super::{Api, error};
use crate::access::Caller;
use crate::proto::sidecar as proto;
use proto::submit_reply::Outcome;

/// Commands of one pipeline that are under way at once. At 10 ms a commit they
/// carry 50,000 a second; and eight pipelines fit into what the service admits.
pub const IN_FLIGHT_MAX: usize = 512;

/// Replies as they come. Nothing is read while [`IN_FLIGHT_MAX`] commands are
/// under way or replies unsent, which holds the client back by HTTP/2's flow
/// control. A command that the service has taken is carried out even if the
/// client goes away.
///
/// A message that cannot be read ends the pipeline, after the replies to all
/// before it.
pub(super) fn replies(
    api: Api,
    caller: Caller,
    requests: Streaming<proto::SubmitRequest>,
) -> impl Stream<Item = Result<proto::SubmitReply, Status>> + Send + 'static {
    let (broken, end) = oneshot::channel();
    let stop = api.stop.clone();
    let readable = requests.scan(Some(broken), |broken, request| {
        ready(match request {
            Ok(request) => Some(request),
            Err(status) => {
                // Fails where the client is gone, which is told nothing.
                broken.take().and_then(|broken| broken.send(status).ok());
                None
            }
        })
    });
    readable
        .take_until(stop.cancelled_owned())
        .map(move |request| reply(api.clone(), caller.clone(), request))
        .buffer_unordered(IN_FLIGHT_MAX)
        .map(Ok)
        .chain(stream::once(end).filter_map(|broken| ready(broken.ok().map(Err))))
}

async fn reply(api: Api, caller: Caller, request: proto::SubmitRequest) -> proto::SubmitReply {
    let id = request.id;
    let outcome = match api.carry_out(&caller, request).await {
        Ok(reply) => Outcome::Reply((&reply).into()),
        Err(error) => Outcome::Fault(error::fault(error)),
    };
    proto::SubmitReply { id, outcome: Some(outcome) }
}
