//! Streamed appends to one peer, and the promise that such a stream ends: when
//! an append is not acknowledged in time, the stream fails and openraft opens
//! another from what the peer did acknowledge.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use openraft::base::BoxStream;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::client::{Rpc, failed, nonsense, unreachable, within};
use super::connections::PeerClient;
use super::conversion;
use crate::proto::peer::AppendReply;
use crate::store::raft::consensus::types::TypeConfig;

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

/// What openraft still has to send, until the session that it belongs to ends.
///
/// Openraft's streams to one peer share their state, and one that waits for
/// entries holds a lock on it. The transport may keep a request stream long
/// after its replies are given up; such a stream would take entries from its
/// successor and send them nowhere. So the input is not given away but lent,
/// and [`AppendSession`] takes it back and drops it before openraft can go on.
#[derive(Clone)]
struct Lent(Arc<Mutex<Slot>>);

struct Slot {
    input: Option<BoxStream<'static, AppendEntriesRequest<TypeConfig>>>,
    /// The transport's task, to be told of the end.
    waker: Option<Waker>,
}

impl Lent {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        // After a panic in `input` it is only dropped, never polled.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Lent {
    type Item = AppendEntriesRequest<TypeConfig>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut slot = self.lock();
        let Some(input) = &mut slot.input else {
            return Poll::Ready(None);
        };
        let polled = input.poll_next_unpin(cx);
        slot.waker = polled.is_pending().then(|| cx.waker().clone());
        polled
    }
}

/// Lasts as long as openraft listens; its end is the end of the input.
struct AppendSession(Lent);

impl Drop for AppendSession {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        let (input, waker) = (slot.input.take(), slot.waker.take());
        drop(slot);
        drop(input);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Replies {
    stream: Streaming<AppendReply>,
    flight: Flight,
    limit: Duration,
    _session: AppendSession,
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
    let input = Box::pin(stream::iter([first]).chain(input));
    let lent = Lent(Arc::new(Mutex::new(Slot { input: Some(input), waker: None })));
    let session = AppendSession(lent.clone());
    let flight = Flight::default();
    let departures = flight.clone();
    let requests = lent.map(move |request| {
        departures.departed();
        conversion::append_out(&request)
    });
    let stream = within(limit, client.append(requests)).await?;
    let replies = Replies { stream, flight, limit, _session: session };
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
                    return conversion::append_result_in(reply).map(Some).map_err(nonsense);
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
