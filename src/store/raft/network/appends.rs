//! Streamed appends to one peer, and the promise that such a stream ends: when
//! an append is not acknowledged in time, the stream fails and openraft opens
//! another from what the peer did acknowledge.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use openraft::base::BoxStream;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::convert;
use super::lanes::PeerClient;
use super::remote::{Rpc, failed, nonsense, unreachable, within};
use crate::proto::peer::AppendReply;
use crate::store::raft::types::TypeConfig;

type AppendResult = StreamAppendResult<TypeConfig>;

/// When each unacknowledged append left; replies come in the same order.
/// HTTP/2's window and the peer's own pipeline bound its length.
#[derive(Clone, Default)]
struct Flight(Arc<Mutex<VecDeque<Instant>>>);

impl Flight {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        // A panic while pushing a number leaves a queue that is still a queue.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn departed(&self) {
        self.lock().push_back(Instant::now());
    }

    fn arrived(&self) {
        self.lock().pop_front();
    }

    fn oldest(&self) -> Option<Instant> {
        self.lock().front().copied()
    }
}

struct Replies {
    stream: Streaming<AppendReply>,
    flight: Flight,
    limit: Duration,
}

/// Sends `input` and gives back what the peer says to each.
pub(super) async fn send<'s, S>(
    mut client: PeerClient,
    mut input: S,
    limit: Duration,
) -> Result<BoxStream<'s, Result<AppendResult, Rpc>>, Rpc>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    // First, because openraft's backoff is a pause within `input`: to connect
    // before it would try a dead peer as fast as it refuses.
    let Some(first) = input.next().await else {
        return Ok(Box::pin(stream::empty()));
    };
    let flight = Flight::default();
    let departures = flight.clone();
    let requests = stream::iter([first]).chain(input).map(move |request| {
        departures.departed();
        convert::append_out(&request)
    });
    let stream = within(limit, client.append(requests)).await?;
    let replies = Replies { stream, flight, limit };
    Ok(Box::pin(stream::unfold(Some(replies), next)))
}

/// The next reply; the stream ends after the first failure or refusal.
async fn next(replies: Option<Replies>) -> Option<(Result<AppendResult, Rpc>, Option<Replies>)> {
    let mut replies = replies?;
    match replies.wait().await {
        Ok(None) => None,
        Ok(Some(result)) => {
            let more = result.is_ok().then_some(replies);
            Some((Ok(result), more))
        }
        Err(error) => Some((Err(error), None)),
    }
}

impl Replies {
    async fn wait(&mut self) -> Result<Option<AppendResult>, Rpc> {
        loop {
            let patience = match self.flight.oldest() {
                Some(departed) => self.limit.saturating_sub(departed.elapsed()),
                None => self.limit,
            };
            match timeout(patience, self.stream.message()).await {
                Ok(Ok(Some(reply))) => {
                    self.flight.arrived();
                    return convert::append_result_in(reply).map(Some).map_err(nonsense);
                }
                Ok(Ok(None)) => {
                    return match self.flight.oldest() {
                        None => Ok(None),
                        Some(_) => Err(unreachable("the peer ended the stream early".into())),
                    };
                }
                Ok(Err(status)) => return Err(failed(&status)),
                Err(_) => {
                    let overdue = |at: Instant| at.elapsed() >= self.limit;
                    if self.flight.oldest().is_some_and(overdue) {
                        let limit = self.limit;
                        let text = format!("an append was not acknowledged within {limit:?}");
                        return Err(unreachable(text));
                    }
                }
            }
        }
    }
}
