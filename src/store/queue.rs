//! The way from callers to a store's writer: bounded, first come first served,
//! and a command can be taken back until the writer has begun with it. The
//! writer is a thread that rests in [`Queue::wait`], or a task that awaits
//! [`Queue::arrival`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::machine::Reply;
use crate::store::{Request, StoreError};

/// Commands that wait at most; more callers wait for room. A batch takes a
/// part of it, so the writer never starves; a value is up to 1 MiB, so it must
/// not be many times that.
const QUEUE_MAX: usize = 1_024;

/// Commands on their way to the writer.
pub(in crate::store) struct Queue {
    room: Arc<Semaphore>,
    state: Mutex<QueueState>,
    changed: Condvar,
    arrived: Notify,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closing: bool,
}

/// A command that waits for the writer, or that it works on.
pub(in crate::store) struct Job {
    pub(in crate::store) request: Request,
    reply: oneshot::Sender<Result<Reply, StoreError>>,
    ticket: Arc<CommandTicket>,
    _room: OwnedSemaphorePermit,
}

/// Who has a command: its caller may take it back while it waits.
#[derive(Default)]
struct CommandTicket(AtomicU8);

const WAITS: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Why the writer was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum WriterWake {
    /// Commands wait.
    Work,
    /// The time is up, or somebody began to watch.
    Look,
    /// Nothing waits and nothing more will come.
    Close,
}

impl Queue {
    pub(in crate::store) fn new() -> Queue {
        Queue {
            room: Arc::new(Semaphore::new(QUEUE_MAX)),
            state: Mutex::default(),
            changed: Condvar::new(),
            arrived: Notify::new(),
        }
    }

    /// PoolWorker `request` to the writer and waits for what it says, until
    /// `deadline`; `late` tells why the writer did not begin with it by then.
    pub(in crate::store) async fn submit(
        &self,
        request: Request,
        deadline: Instant,
        late: impl FnOnce() -> String,
    ) -> Result<Reply, StoreError> {
        let room = match timeout_at(deadline, self.room.clone().acquire_owned()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(closing()),
            Err(_) => return Err(busy("the queue of commands stayed full")),
        };
        let (reply, mut answer) = oneshot::channel();
        let ticket = Arc::new(CommandTicket::default());
        let job = Job { request, reply, ticket: ticket.clone(), _room: room };
        self.push(job)?;
        match timeout_at(deadline, &mut answer).await {
            Ok(Ok(result)) => result,
            // The writer is gone, which it only is by its own fault.
            Ok(Err(_)) if ticket.withdraw() => Err(closing()),
            Ok(Err(_)) => Err(StoreError::Unknown("the writer stopped at this command".into())),
            Err(_) if ticket.withdraw() => Err(busy(&late())),
            Err(_) => answer.try_recv().unwrap_or_else(|_| {
                Err(StoreError::Unknown("the deadline passed during the commit".into()))
            }),
        }
    }

    fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closing {
            return Err(closing());
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake();
        Ok(())
    }

    /// The writer's rest: until there is something to do, or `at_most`.
    pub(in crate::store) fn wait(&self, at_most: Duration) -> WriterWake {
        let mut state = self.lock();
        if state.jobs.is_empty() && !state.closing {
            let waited = self.changed.wait_timeout(state, at_most);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match (state.jobs.is_empty(), state.closing) {
            (false, _) => WriterWake::Work,
            (true, true) => WriterWake::Close,
            (true, false) => WriterWake::Look,
        }
    }

    /// Until something has come, or the queue is closing, or somebody nudged,
    /// since the last time this returned.
    pub(in crate::store) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Whether nothing more will come, and nothing waits.
    pub(in crate::store) fn is_over(&self) -> bool {
        let state = self.lock();
        state.closing && state.jobs.is_empty()
    }

    /// Removes the commands at the front that their callers still want, as
    /// long as `fits` says so. Their callers may take them back until
    /// [`Job::take`].
    pub(in crate::store) fn borrow(&self, mut fits: impl FnMut(&Request) -> bool) -> Vec<Job> {
        let mut state = self.lock();
        let mut jobs = Vec::new();
        while let Some(job) = state.jobs.pop_front() {
            if !job.is_wanted() {
                continue;
            }
            if !fits(&job.request) {
                state.jobs.push_front(job);
                break;
            }
            jobs.push(job);
        }
        jobs
    }

    /// Puts a borrowed command back to the front.
    pub(in crate::store) fn give_back(&self, job: Job) {
        self.lock().jobs.push_front(job);
    }

    /// Ends the writer's rest.
    pub(in crate::store) fn nudge(&self) {
        self.wake();
    }

    /// The next command that its caller still wants; from now on it is the
    /// writer's.
    pub(in crate::store) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        while let Some(job) = state.jobs.pop_front() {
            if job.take() {
                return Some(job);
            }
        }
        None
    }

    /// Whether any caller still waits. Forgets those who do not.
    pub(in crate::store) fn is_wanted(&self) -> bool {
        let mut state = self.lock();
        state.jobs.retain(Job::is_wanted);
        !state.jobs.is_empty()
    }

    /// Refuses what comes; what waits is still worked on.
    pub(in crate::store) fn close(&self) {
        self.room.close();
        self.lock().closing = true;
        self.wake();
    }

    /// Refuses what waits too: there is no writer any more.
    pub(in crate::store) fn abandon(&self) {
        self.close();
        self.lock().jobs.clear();
    }

    fn wake(&self) {
        self.changed.notify_one();
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Nothing under the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// Whether the caller still waits.
    pub(in crate::store) fn is_wanted(&self) -> bool {
        self.ticket.0.load(Ordering::Acquire) == WAITS && self.is_awaited()
    }

    /// Whether anybody would still hear the answer.
    pub(in crate::store) fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }

    /// Begins with the command: from now on its outcome is unknown to a caller
    /// who gives up. False where the caller has given up already.
    pub(in crate::store) fn take(&self) -> bool {
        self.ticket.take()
    }

    /// The command was begun with in vain, and nothing of it was written: its
    /// caller may take it back again.
    pub(in crate::store) fn put_back(&self) {
        self.ticket.put_back();
    }

    /// Tells the caller, who may have left.
    pub(in crate::store) fn answer(self, result: Result<Reply, StoreError>) {
        drop(self.reply.send(result));
    }
}

impl CommandTicket {
    fn take(&self) -> bool {
        self.0.compare_exchange(WAITS, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn put_back(&self) {
        // Only the writer, which has it, gets here.
        let _ = self.0.compare_exchange(TAKEN, WAITS, Ordering::AcqRel, Ordering::Acquire);
    }

    fn withdraw(&self) -> bool {
        self.0.compare_exchange(WAITS, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

fn busy(why: &str) -> StoreError {
    StoreError::Unavailable(format!("{why}; nothing was written"))
}

fn closing() -> StoreError {
    StoreError::Unavailable("the store is closing".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Command;

    fn request() -> Request {
        Request::own(Command::Reset)
    }

    #[tokio::test]
    async fn what_a_caller_gave_up_is_never_begun() {
        let queue = Queue::new();
        let refused = queue.submit(request(), Instant::now(), String::new).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(queue.take().is_none(), "refused, but handed to the writer");
        assert_eq!(queue.room.available_permits(), QUEUE_MAX, "room was lost");
    }

    #[tokio::test]
    async fn what_was_begun_has_an_unknown_outcome_at_the_deadline() {
        let queue = Queue::new();
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut submitted = Box::pin(queue.submit(request(), deadline, String::new));
        assert!(futures::poll!(&mut submitted).is_pending());
        let job = queue.take().expect("it waits");
        let outcome = submitted.await;
        assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
        job.answer(Ok(Reply::Reset { cleared: 0 }));
    }

    #[tokio::test]
    async fn without_a_writer_nobody_waits() {
        let queue = Queue::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut waits = Box::pin(queue.submit(request(), deadline, String::new));
        assert!(futures::poll!(&mut waits).is_pending());
        queue.abandon();
        assert!(matches!(waits.await, Err(StoreError::Unavailable(_))));
        let late = queue.submit(request(), deadline, String::new).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    }
}
