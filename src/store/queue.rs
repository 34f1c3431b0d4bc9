//! The queue from callers to a store's single writer. It is bounded and first
//! come, first served, and a caller can withdraw a command until the writer has
//! begun with it. The writer is a thread that blocks in [`CommandQueue::wait`] or
//! a task that awaits [`CommandQueue::arrival`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::error::StoreError;
use super::request::Request;
use crate::machine::Reply;

/// How many commands may wait; further callers wait for room. One batch takes
/// only a part of them, so the writer never starves. As a value has up to 1 MiB,
/// a much longer queue could exhaust the memory.
const QUEUE_MAX: usize = 1_024;

/// Commands on their way to the writer.
pub(in crate::store) struct CommandQueue {
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

/// A command that waits for the writer or that the writer works on.
pub(in crate::store) struct Job {
    pub(in crate::store) request: Request,
    reply: oneshot::Sender<Result<Reply, StoreError>>,
    ticket: Arc<CommandTicket>,
    _room: OwnedSemaphorePermit,
}

/// Who owns a command: its caller may withdraw it only while it waits.
#[derive(Default)]
struct CommandTicket(AtomicU8);

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Why the writer was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum WriterWake {
    /// Commands wait.
    Work,
    /// The time is up, or somebody began to watch the revision.
    Look,
    /// No command waits, and none will come.
    Close,
}

impl CommandQueue {
    pub(in crate::store) fn new() -> CommandQueue {
        CommandQueue {
            room: Arc::new(Semaphore::new(QUEUE_MAX)),
            state: Mutex::default(),
            changed: Condvar::new(),
            arrived: Notify::new(),
        }
    }

    /// Submits `request` to the writer and waits for its reply until `deadline`.
    /// `why_late` says why the writer did not begin with the command by then.
    pub(in crate::store) async fn submit(
        &self,
        request: Request,
        deadline: Instant,
        why_late: impl FnOnce() -> String,
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
            // The writer is gone although the queue is open: it has failed.
            Ok(Err(_)) if ticket.withdraw() => Err(closing()),
            Ok(Err(_)) => Err(StoreError::Unknown("the writer stopped at this command".into())),
            Err(_) if ticket.withdraw() => Err(busy(&why_late())),
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

    /// Blocks the writer's thread until there is something to do, or for
    /// `timeout`.
    pub(in crate::store) fn wait(&self, timeout: Duration) -> WriterWake {
        let mut state = self.lock();
        if state.jobs.is_empty() && !state.closing {
            let waited = self.changed.wait_timeout(state, timeout);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match (state.jobs.is_empty(), state.closing) {
            (false, _) => WriterWake::Work,
            (true, true) => WriterWake::Close,
            (true, false) => WriterWake::Look,
        }
    }

    /// Waits until a command has come, the queue is closing, or
    /// [`CommandQueue::nudge`] was called since this returned last.
    pub(in crate::store) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Whether no command waits and none will come.
    pub(in crate::store) fn is_over(&self) -> bool {
        let state = self.lock();
        state.closing && state.jobs.is_empty()
    }

    /// Removes commands from the front, as long as `fits` accepts them, and
    /// forgets those that nobody waits for any more. Their callers may still
    /// withdraw them until [`Job::take`].
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

    /// Puts a borrowed command back at the front.
    pub(in crate::store) fn give_back(&self, job: Job) {
        self.lock().jobs.push_front(job);
    }

    /// Wakes the writer.
    pub(in crate::store) fn nudge(&self) {
        self.wake();
    }

    /// The next command that its caller still wants. From now on the caller
    /// cannot withdraw it.
    pub(in crate::store) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        while let Some(job) = state.jobs.pop_front() {
            if job.take() {
                return Some(job);
            }
        }
        None
    }

    /// Whether any caller still waits. Forgets the commands of those who do not.
    pub(in crate::store) fn is_wanted(&self) -> bool {
        let mut state = self.lock();
        state.jobs.retain(Job::is_wanted);
        !state.jobs.is_empty()
    }

    /// Refuses new commands. Those that wait are still worked on.
    pub(in crate::store) fn close(&self) {
        self.room.close();
        self.lock().closing = true;
        self.wake();
    }

    /// Refuses the waiting commands too, because there is no writer any more.
    pub(in crate::store) fn abandon(&self) {
        self.close();
        self.lock().jobs.clear();
    }

    fn wake(&self) {
        self.changed.notify_one();
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // No code under the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// Whether the caller still waits.
    pub(in crate::store) fn is_wanted(&self) -> bool {
        self.ticket.0.load(Ordering::Acquire) == WAITING && self.is_awaited()
    }

    /// Whether the caller would still receive the reply.
    pub(in crate::store) fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }

    /// Begins with the command. From now on a caller that gives up does not know
    /// its outcome. Returns false if the caller has given up already.
    pub(in crate::store) fn take(&self) -> bool {
        self.ticket.take()
    }

    /// Undoes [`Job::take`] after an attempt that wrote nothing: the caller may
    /// withdraw the command again.
    pub(in crate::store) fn put_back(&self) {
        self.ticket.put_back();
    }

    /// Sends the result to the caller, if it still waits.
    pub(in crate::store) fn answer(self, result: Result<Reply, StoreError>) {
        drop(self.reply.send(result));
    }
}

impl CommandTicket {
    fn take(&self) -> bool {
        self.0.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn put_back(&self) {
        // Only the writer calls this, and only for commands that it has taken.
        let _ = self.0.compare_exchange(TAKEN, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    fn withdraw(&self) -> bool {
        self.0.compare_exchange(WAITING, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire).is_ok()
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
    async fn a_withdrawn_command_is_never_begun() {
        let queue = CommandQueue::new();
        let refused = queue.submit(request(), Instant::now(), String::new).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(queue.take().is_none(), "the command was refused, but the writer got it");
        assert_eq!(
            queue.room.available_permits(),
            QUEUE_MAX,
            "the refused command still occupies room"
        );
    }

    #[tokio::test]
    async fn a_command_that_has_begun_has_an_unknown_outcome_at_the_deadline() {
        let queue = CommandQueue::new();
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut submitted = Box::pin(queue.submit(request(), deadline, String::new));
        assert!(futures::poll!(&mut submitted).is_pending());
        let job = queue.take().expect("the command waits");
        let outcome = submitted.await;
        assert!(matches!(outcome, Err(StoreError::Unknown(_))), "{outcome:?}");
        job.answer(Ok(Reply::Reset { cleared: 0 }));
    }

    #[tokio::test]
    async fn without_a_writer_every_caller_is_refused() {
        let queue = CommandQueue::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut waits = Box::pin(queue.submit(request(), deadline, String::new));
        assert!(futures::poll!(&mut waits).is_pending());
        queue.abandon();
        assert!(matches!(waits.await, Err(StoreError::Unavailable(_))));
        let late = queue.submit(request(), deadline, String::new).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    }
}
