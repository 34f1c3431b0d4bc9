//! One stream of forwarded proposals to one leader: what waits leaves in one
//! batch; what left is matched with its reply by number. A link is used until
//! its stream breaks and never again; what had not left then can go elsewhere,
//! of what had left nothing is known.

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
use super::handler::PeerRefusal;
use crate::proto::peer::{ForwardBatch, ForwardItem, ForwardReplies};

/// Items and bytes of one batch: the bytes bound what one message holds above
/// its last item, the items what it costs to answer.
const BATCH_ITEMS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// What may wait or be under way on one link, in units; an item takes one for
/// each started KiB, and at least [`ITEM_UNITS_MIN`]: 64 MiB, or 4,096 items.
const UNITS_MAX: usize = 64 * 1024;
const ITEM_UNITS_MIN: usize = 16;
const ITEMS_MAX: usize = UNITS_MAX / ITEM_UNITS_MIN;

/// How long after its deadline an item may still be unanswered before the link
/// counts as stuck: the leader answers by the deadline, the rest is the way.
const OVERDUE: Duration = Duration::from_secs(5);

/// An item's state: who first leaves `WAITING` behind decides.
const WAITING: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

type Outcome = Result<Bytes, PeerRefusal>;

/// What became of an item.
#[derive(Debug)]
pub(super) enum Fate {
    /// The leader answered.
    Answered(Outcome),
    /// It never left; another link may take it.
    Unsent(Bytes),
    /// It left, and no answer came.
    Unanswered,
}

struct Item {
    proposal: Bytes,
    deadline: Instant,
    state: Arc<AtomicU8>,
    answer: oneshot::Sender<Outcome>,
    permit: OwnedSemaphorePermit,
}

struct Pending {
    deadline: Instant,
    answer: oneshot::Sender<Outcome>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct StreamQueue(Mutex<HashMap<u64, Pending>>);

impl StreamQueue {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Pending>> {
        // A panic while inserting leaves a map that is still a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The near end of a link.
#[derive(Debug)]
pub(super) struct ForwardStream {
    pub addr: String,
    items: mpsc::Sender<Item>,
    units: Arc<Semaphore>,
}

impl ForwardStream {
    /// Opens a link over `client`, with `patience` to get it going.
    pub fn open(client: PeerClient, addr: String, patience: Duration) -> Self {
        let (items, waiting) = mpsc::channel(ITEMS_MAX);
        tokio::spawn(run(client, waiting, patience));
        Self { addr, items, units: Arc::new(Semaphore::new(UNITS_MAX)) }
    }

    /// Its stream has broken.
    pub fn is_broken(&self) -> bool {
        self.items.is_closed()
    }

    /// Sends `proposal` and waits for its answer until `deadline`.
    pub async fn send(&self, proposal: Bytes, deadline: Instant) -> Fate {
        let units = proposal.len().div_ceil(1024).clamp(ITEM_UNITS_MIN, UNITS_MAX);
        let acquiring = self.units.clone().acquire_many_owned(units as u32);
        let Ok(Ok(permit)) = tokio::time::timeout_at(deadline, acquiring).await else {
            return Fate::Unsent(proposal);
        };
        let state = Arc::new(AtomicU8::new(WAITING));
        let (answer, answered) = oneshot::channel();
        let item =
            Item { proposal: proposal.clone(), deadline, state: state.clone(), answer, permit };
        // Has room: permits are no more than places.
        if self.items.try_send(item).is_err() {
            return Fate::Unsent(proposal);
        }
        if let Ok(Ok(outcome)) = tokio::time::timeout_at(deadline, answered).await {
            return Fate::Answered(outcome);
        }
        match state.compare_exchange(WAITING, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Fate::Unsent(proposal),
            Err(_) => Fate::Unanswered,
        }
    }
}

/// What has not left yet.
struct Queue {
    waiting: mpsc::Receiver<Item>,
    /// Taken out of `waiting`, last first.
    taken: Vec<Item>,
}

impl Queue {
    /// The next item, or none when the link is closed.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.taken.is_empty() {
            ready!(self.waiting.poll_recv_many(cx, &mut self.taken, BATCH_ITEMS_MAX));
            self.taken.reverse();
        }
        Poll::Ready(self.taken.pop())
    }

    /// Lets nothing in any more, nor out: dropped items never left.
    fn close(&mut self) {
        self.waiting.close();
        self.taken.clear();
        while self.waiting.try_recv().is_ok() {}
    }
}

/// The far end: what the transport pulls batches from.
struct Outgoing {
    queue: Arc<Mutex<Queue>>,
    next: u64,
    pending: Arc<StreamQueue>,
}

impl Stream for Outgoing {
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
                    if let Some(item) = this.depart(item) {
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

impl Outgoing {
    /// Unless its sender has given up, `item` becomes unknowable here.
    fn depart(&mut self, item: Item) -> Option<ForwardItem> {
        let left = item.state.compare_exchange(WAITING, SENT, Ordering::AcqRel, Ordering::Acquire);
        left.ok()?;
        let id = self.next;
        self.next += 1;
        let remaining = item.deadline.saturating_duration_since(Instant::now());
        let pending =
            Pending { deadline: item.deadline, answer: item.answer, _permit: item.permit };
        self.pending.lock().insert(id, pending);
        Some(ForwardItem {
            id,
            remaining_ms: remaining.as_millis().try_into().unwrap_or(u64::MAX),
            proposal: item.proposal,
        })
    }
}

/// Runs a link until its stream ends, however it does.
async fn run(client: PeerClient, waiting: mpsc::Receiver<Item>, patience: Duration) {
    let queue = Arc::new(Mutex::new(Queue { waiting, taken: Vec::new() }));
    let pending = Arc::new(StreamQueue::default());
    let outgoing = Outgoing { queue: queue.clone(), next: 0, pending: pending.clone() };
    if let Err(reason) = exchange(client, outgoing, patience).await {
        tracing::debug!(reason, "a stream of forwarded proposals broke");
    }
    // First, because nothing departs from a closed queue: what is pending then
    // is all that there is. Waiters learn of it as their senders are dropped.
    queue.lock().unwrap_or_else(PoisonError::into_inner).close();
    pending.lock().clear();
}

async fn exchange(
    mut client: PeerClient,
    outgoing: Outgoing,
    patience: Duration,
) -> Result<(), String> {
    let pending = outgoing.pending.clone();
    match timeout(patience, client.forward(outgoing)).await {
        Ok(Ok(replies)) => read(replies.into_inner(), &pending).await,
        Ok(Err(status)) => Err(format!("{:?}: {}", status.code(), status.message())),
        Err(_) => Err(format!("not open within {patience:?}")),
    }
}

/// PoolWorker replies to those who wait, until the stream ends or is stuck.
async fn read(mut replies: Streaming<ForwardReplies>, pending: &StreamQueue) -> Result<(), String> {
    loop {
        match timeout(OVERDUE, replies.message()).await {
            Ok(Ok(Some(message))) => answer(message, pending),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(status)) => return Err(format!("{:?}: {}", status.code(), status.message())),
            Err(_) => {
                let now = Instant::now();
                let stuck = |p: &Pending| now > p.deadline + OVERDUE;
                if pending.lock().values().any(stuck) {
                    return Err(format!("an item unanswered {OVERDUE:?} after its deadline"));
                }
            }
        }
    }
}

fn answer(message: ForwardReplies, pending: &StreamQueue) {
    let mut waiting = pending.lock();
    for reply in message.replies {
        // A reply to nobody's item is from a peer that is confused; harmless.
        if let Some(item) = waiting.remove(&reply.id) {
            // The caller may have left at its deadline.
            let _ = item.answer.send(conversion::forwarded_in(reply.outcome));
        }
    }
}
