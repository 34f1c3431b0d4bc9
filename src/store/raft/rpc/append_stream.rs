//! Streamed appends to one peer. A stream always ends: when an append is not
//! acknowledged in time, the stream fails, and openraft opens another one after the
//! last append that the peer acknowledged.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use openraft::base::BoxStream;
use openraft::raft::AppendEntriesRequest;
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::connections::PeerClient;
use super::conversion::{self, AppendResult};
use super::failure::{RaftRpcError, failed, invalid, unreachable, within};
use crate::proto::peer::AppendReply;
use crate::store::raft::consensus::types::TypeConfig;

/// When each unacknowledged append was sent; replies come in the same order.
/// HTTP/2's window and the peer's own pipeline bound the length.
#[derive(Clone, Default)]
struct UnacknowledgedAppends(Arc<Mutex<VecDeque<Instant>>>);

impl UnacknowledgedAppends {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        // A panic cannot leave a queue of instants half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self) {
        self.lock().push_back(Instant::now());
    }

    fn pop(&self) {
        self.lock().pop_front();
    }

    fn oldest(&self) -> Option<Instant> {
        self.lock().front().copied()
    }
}

/// Openraft's stream of appends, lent to the transport until the session ends.
///
/// Openraft's streams to one peer share their state, and a stream that waits for
/// entries holds a lock on it. The transport may keep a request stream long after
/// openraft has given up its replies; such a stream would take entries from its
/// successor and send them nowhere. Therefore [`AppendSession`] takes the input back
/// and drops it before openraft can go on.
#[derive(Clone)]
struct RevocableInput(Arc<Mutex<InputSlot>>);

struct InputSlot {
    input: Option<BoxStream<'static, AppendEntriesRequest<TypeConfig>>>,
    /// Wakes the transport's task, so that it notices the end.
    waker: Option<Waker>,
}

impl RevocableInput {
    fn lock(&self) -> MutexGuard<'_, InputSlot> {
        // After a panic in `input`, it is dropped and never polled again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for RevocableInput {
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

/// Ends the input when openraft drops the replies.
struct AppendSession(RevocableInput);

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

struct AppendReplies {
    stream: Streaming<AppendReply>,
    unacknowledged: UnacknowledgedAppends,
    limit: Duration,
    _session: AppendSession,
}

/// Sends the appends of `input`, and returns the peer's replies.
pub(super) async fn send<'s, S>(
    mut client: PeerClient,
    mut input: S,
    limit: Duration,
) -> Result<BoxStream<'s, Result<AppendResult, RaftRpcError>>, RaftRpcError>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    // Wait for the first append before connecting. Openraft's backoff is a pause within
    // `input`; if the node connected before this pause, it would call a dead peer as
    // fast as the peer's machine refuses connections.
    let Some(first) = input.next().await else {
        return Ok(Box::pin(stream::empty()));
    };
    let input = Box::pin(stream::iter([first]).chain(input));
    let requests =
        RevocableInput(Arc::new(Mutex::new(InputSlot { input: Some(input), waker: None })));
    let session = AppendSession(requests.clone());
    let unacknowledged = UnacknowledgedAppends::default();
    let sent = unacknowledged.clone();
    let requests = requests.map(move |request| {
        sent.push();
        conversion::encode_append(&request)
    });
    let stream = within(limit, client.append(requests)).await?;
    let replies = AppendReplies { stream, unacknowledged, limit, _session: session };
    Ok(Box::pin(stream::unfold(Some(replies), next)))
}

/// The next reply; the stream ends after the first failure or refusal.
async fn next(
    replies: Option<AppendReplies>,
) -> Option<(Result<AppendResult, RaftRpcError>, Option<AppendReplies>)> {
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

impl AppendReplies {
    async fn wait(&mut self) -> Result<Option<AppendResult>, RaftRpcError> {
        loop {
            let wait = match self.unacknowledged.oldest() {
                Some(sent_at) => self.limit.saturating_sub(sent_at.elapsed()),
                None => self.limit,
            };
            match timeout(wait, self.stream.message()).await {
                Ok(Ok(Some(reply))) => {
                    self.unacknowledged.pop();
                    return conversion::decode_append_result(reply).map(Some).map_err(invalid);
                }
                Ok(Ok(None)) => {
                    return match self.unacknowledged.oldest() {
                        None => Ok(None),
                        Some(_) => Err(unreachable("the peer ended the stream early".into())),
                    };
                }
                Ok(Err(status)) => return Err(failed(&status)),
                Err(_) => {
                    let overdue = |at: Instant| at.elapsed() >= self.limit;
                    if self.unacknowledged.oldest().is_some_and(overdue) {
                        let limit = self.limit;
                        let text = format!("an append was not acknowledged within {limit:?}");
                        return Err(unreachable(text));
                    }
                }
            }
        }
    }
}
