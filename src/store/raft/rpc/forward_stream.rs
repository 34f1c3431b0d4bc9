//! One stream of forwarded proposals to one leader. All proposals that wait are sent
//! in one batch, and each is matched with its reply by number. Once the stream
//! breaks, it is never used again. A proposal that was not sent by then can go over
//! another stream; the outcome of one that was sent is not known.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tonic::Streaming;

use super::connections::PeerClient;
use super::conversion;
use super::failure::describe;
use super::handler::PeerRefusal;
use crate::proto::peer::{ForwardBatch, ForwardItem, ForwardReplies};

/// The most items of one batch, which bounds the cost of answering it, and the size
/// after which no further item is added.
const BATCH_ITEMS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// How much may be queued or unanswered on one stream, in units. A proposal takes
/// one unit for each KiB or part of one, and at least [`ITEM_UNITS_MIN`], so that
/// the limit is 64 MiB or 4,096 proposals.
const UNITS_MAX: usize = 64 * 1024;
const ITEM_UNITS_MIN: usize = 16;
const ITEMS_MAX: usize = UNITS_MAX / ITEM_UNITS_MIN;

/// How long after its deadline a proposal may be unanswered before the stream counts
/// as stuck. The leader answers by the deadline; the rest allows for the network.
const OVERDUE: Duration = Duration::from_secs(5);

/// The states of a queued proposal. Whoever first changes it from `WAITING` decides
/// whether the proposal is sent.
const WAITING: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

type LeaderAnswer = Result<Bytes, PeerRefusal>;

/// What became of a proposal.
#[derive(Debug)]
pub(super) enum ForwardOutcome {
    /// The leader answered.
    Answered(LeaderAnswer),
    /// The proposal was never sent, and may go over another stream.
    Unsent(Bytes),
    /// The proposal was sent, and no answer came.
    Unanswered,
}

struct QueuedProposal {
    proposal: Bytes,
    deadline: Instant,
    state: Arc<AtomicU8>,
    answer: oneshot::Sender<LeaderAnswer>,
    permit: OwnedSemaphorePermit,
}

struct SentProposal {
    deadline: Instant,
    answer: oneshot::Sender<LeaderAnswer>,
    _permit: OwnedSemaphorePermit,
}

/// The proposals that were sent and not answered yet, by number.
#[derive(Default)]
struct UnansweredProposals(Mutex<HashMap<u64, SentProposal>>);

impl UnansweredProposals {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, SentProposal>> {
        // A panic cannot leave a map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller's end of a stream.
#[derive(Debug)]
pub(super) struct ForwardStream {
    pub addr: String,
    items: mpsc::Sender<QueuedProposal>,
    units: Arc<Semaphore>,
}

impl ForwardStream {
    /// Opens a stream over `client`, which breaks if it is not open in time.
    pub fn open(client: PeerClient, addr: String, open_timeout: Duration) -> Self {
        let (items, waiting) = mpsc::channel(ITEMS_MAX);
        tokio::spawn(run(client, waiting, open_timeout));
        Self { addr, items, units: Arc::new(Semaphore::new(UNITS_MAX)) }
    }

    /// Whether the stream has broken.
    pub fn is_broken(&self) -> bool {
        self.items.is_closed()
    }

    /// Sends `proposal` and waits for its answer until `deadline`.
    pub async fn send(&self, proposal: Bytes, deadline: Instant) -> ForwardOutcome {
        let units = proposal.len().div_ceil(1024).clamp(ITEM_UNITS_MIN, UNITS_MAX);
        let acquiring = self.units.clone().acquire_many_owned(units as u32);
        let Ok(Ok(permit)) = tokio::time::timeout_at(deadline, acquiring).await else {
            return ForwardOutcome::Unsent(proposal);
        };
        let state = Arc::new(AtomicU8::new(WAITING));
        let (answer, answered) = oneshot::channel();
        let item = QueuedProposal {
            proposal: proposal.clone(),
            deadline,
            state: state.clone(),
            answer,
            permit,
        };
        // The channel has room for every item that has a permit.
        if self.items.try_send(item).is_err() {
            return ForwardOutcome::Unsent(proposal);
        }
        if let Ok(Ok(outcome)) = tokio::time::timeout_at(deadline, answered).await {
            return ForwardOutcome::Answered(outcome);
        }
        match state.compare_exchange(WAITING, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => ForwardOutcome::Unsent(proposal),
            Err(_) => ForwardOutcome::Unanswered,
        }
    }
}

/// The proposals that have not been sent yet.
struct SendQueue {
    waiting: mpsc::Receiver<QueuedProposal>,
    /// Received from `waiting`, the last first.
    received: Vec<QueuedProposal>,
}

impl SendQueue {
    /// The next proposal, or none when the queue is closed.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<QueuedProposal>> {
        if self.received.is_empty() {
            ready!(self.waiting.poll_recv_many(cx, &mut self.received, BATCH_ITEMS_MAX));
            self.received.reverse();
        }
        Poll::Ready(self.received.pop())
    }

    /// Closes and empties the queue, so that what was in it is never sent.
    fn close(&mut self) {
        self.waiting.close();
        self.received.clear();
        while self.waiting.try_recv().is_ok() {}
    }
}

/// The transport's end of a stream: the batches to send.
struct BatchStream {
    queue: Arc<Mutex<SendQueue>>,
    next: u64,
    unanswered: Arc<UnansweredProposals>,
}

impl Stream for BatchStream {
    type Item = ForwardBatch;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ForwardBatch>> {
        let this = self.get_mut();
        let queue = this.queue.clone();
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = ForwardBatch::default();
        let mut bytes = 0;
        while batch.items.len() < BATCH_ITEMS_MAX && bytes < BATCH_BYTES_MAX {
            match queue.poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if let Some(item) = this.mark_sent(item) {
                        bytes += item.proposal.len();
                        batch.items.push(item);
                    }
                }
                Poll::Ready(None) if batch.items.is_empty() => return Poll::Ready(None),
                Poll::Pending if batch.items.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(Some(batch))
    }
}

impl BatchStream {
    /// Makes the message for a proposal, unless its caller has given up. From now on
    /// the proposal may be in the leader's log.
    fn mark_sent(&mut self, item: QueuedProposal) -> Option<ForwardItem> {
        let marked =
            item.state.compare_exchange(WAITING, SENT, Ordering::AcqRel, Ordering::Acquire);
        marked.ok()?;
        let id = self.next;
        self.next += 1;
        let remaining = item.deadline.saturating_duration_since(Instant::now());
        let sent =
            SentProposal { deadline: item.deadline, answer: item.answer, _permit: item.permit };
        self.unanswered.lock().insert(id, sent);
        Some(ForwardItem {
            id,
            remaining_ms: remaining.as_millis().try_into().unwrap_or(u64::MAX),
            proposal: item.proposal,
        })
    }
}

/// Runs a stream until it ends.
async fn run(client: PeerClient, waiting: mpsc::Receiver<QueuedProposal>, open_timeout: Duration) {
    let queue = Arc::new(Mutex::new(SendQueue { waiting, received: Vec::new() }));
    let unanswered = Arc::new(UnansweredProposals::default());
    let batches = BatchStream { queue: queue.clone(), next: 0, unanswered: unanswered.clone() };
    if let Err(reason) = exchange(client, batches, open_timeout).await {
        tracing::debug!(reason, "a stream of forwarded proposals broke");
    }
    // Close the queue first: after that nothing more is sent, so that this clears
    // every unanswered proposal. The callers notice because their channels close.
    queue.lock().unwrap_or_else(PoisonError::into_inner).close();
    unanswered.lock().clear();
}

async fn exchange(
    mut client: PeerClient,
    batches: BatchStream,
    open_timeout: Duration,
) -> Result<(), String> {
    let unanswered = batches.unanswered.clone();
    match timeout(open_timeout, client.forward(batches)).await {
        Ok(Ok(replies)) => deliver_replies(replies.into_inner(), &unanswered).await,
        Ok(Err(status)) => Err(describe(&status)),
        Err(_) => Err(format!("not open within {open_timeout:?}")),
    }
}

/// Delivers replies to the callers until the stream ends or is stuck.
async fn deliver_replies(
    mut replies: Streaming<ForwardReplies>,
    unanswered: &UnansweredProposals,
) -> Result<(), String> {
    loop {
        match timeout(OVERDUE, replies.message()).await {
            Ok(Ok(Some(message))) => deliver(message, unanswered),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(status)) => return Err(describe(&status)),
            Err(_) => {
                let now = Instant::now();
                let stuck = |p: &SentProposal| now > p.deadline + OVERDUE;
                if unanswered.lock().values().any(stuck) {
                    return Err(format!("an item unanswered {OVERDUE:?} after its deadline"));
                }
            }
        }
    }
}

fn deliver(message: ForwardReplies, unanswered: &UnansweredProposals) {
    let mut waiting = unanswered.lock();
    for reply in message.replies {
        // A reply that belongs to no proposal is a fault of the peer, and harmless.
        if let Some(sent) = waiting.remove(&reply.id) {
            // The caller may have given up at its deadline.
            let _ = sent.answer.send(conversion::decode_forwarded(reply.outcome));
        }
    }
}
