//! The way from callers to the writer: bounded, first come first served, and
//! a command can be taken back until the writer has begun with it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::machine::Reply;
use crate::store::{Request, StoreError};

/// Commands that wait at most; more callers wait for room. A batch takes a
/// part of it, so the writer never starves; a value is up to 1 MiB, so it must
/// not be many times that.
const QUEUE_MAX: usize = 1_024;

/// Commands on their way to the writer.
pub(super) struct Queue {
    room: Arc<Semaphore>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closing: bool,
}

/// A command that waits for the writer, or that it works on.
pub(super) struct Job {
    pub(super) request: Request,
    reply: oneshot::Sender<Result<Reply, StoreError>>,
    ticket: Arc<Ticket>,
    _room: OwnedSemaphorePermit,
}

/// Who has a command: its caller may take it back while it waits.
#[derive(Default)]
struct Ticket(AtomicU8);

const WAITS: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Why the writer was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Commands wait.
    Work,
    /// The time is up, or somebody began to watch.
    Look,
    /// Nothing waits and nothing more will come.
    Close,
}

impl Queue {
    pub(super) fn new() -> Queue {
        Queue {
            room: Arc::new(Semaphore::new(QUEUE_MAX)),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Hands `request` to the writer and waits for what it says, until
    /// `deadline`.
    pub(super) async fn submit(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<Reply, StoreError> {
        let room = match timeout_at(deadline, self.room.clone().acquire_owned()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(closing()),
            Err(_) => return Err(busy("the queue of commands stayed full")),
        };
        let (reply, mut answer) = oneshot::channel();
        let ticket = Arc::new(Ticket::default());
        let job = Job { request, reply, ticket: ticket.clone(), _room: room };
        self.push(job)?;
        match timeout_at(deadline, &mut answer).await {
            Ok(Ok(result)) => result,
            // The writer is gone, which it only is by its own fault.
            Ok(Err(_)) if ticket.withdraw() => Err(closing()),
            Ok(Err(_)) => Err(StoreError::Unknown("the writer stopped at this command".into())),
            Err(_) if ticket.withdraw() => {
                Err(busy("other commands, or another process, kept the file until the deadline"))
            }
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
        self.changed.notify_one();
        Ok(())
    }

    /// The writer's rest: until there is something to do, or `at_most`.
    pub(super) fn wait(&self, at_most: Duration) -> Wake {
        let mut state = self.lock();
        if state.jobs.is_empty() && !state.closing {
            let waited = self.changed.wait_timeout(state, at_most);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match (state.jobs.is_empty(), state.closing) {
            (false, _) => Wake::Work,
            (true, true) => Wake::Close,
            (true, false) => Wake::Look,
        }
    }

    /// Ends the writer's rest.
    pub(super) fn nudge(&self) {
        self.changed.notify_one();
    }

    /// The next command that its caller still wants; from now on it is the
    /// writer's.
    pub(super) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        while let Some(job) = state.jobs.pop_front() {
            if job.ticket.take() {
                return Some(job);
            }
        }
        None
    }

    /// Whether any caller still waits. Forgets those who do not.
    pub(super) fn is_wanted(&self) -> bool {
        let mut state = self.lock();
        state.jobs.retain(|job| job.ticket.0.load(Ordering::Acquire) == WAITS);
        !state.jobs.is_empty()
    }

    /// Refuses what comes; what waits is still worked on.
    pub(super) fn close(&self) {
        self.room.close();
        self.lock().closing = true;
        self.changed.notify_one();
    }

    /// Refuses what waits too: there is no writer any more.
    pub(super) fn abandon(&self) {
        self.close();
        self.lock().jobs.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// Tells the caller, who may have left.
    pub(super) fn answer(self, result: Result<Reply, StoreError>) {
        drop(self.reply.send(result));
    }
}

impl Ticket {
    fn take(&self) -> bool {
        self.0.compare_exchange(WAITS, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
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
        Request { command: Command::Reset, idempotency: None, actor: None, chance: 0 }
    }

    #[tokio::test]
    async fn what_a_caller_gave_up_is_never_begun() {
        let queue = Queue::new();
        let refused = queue.submit(request(), Instant::now()).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(queue.take().is_none(), "refused, but handed to the writer");
        assert_eq!(queue.room.available_permits(), QUEUE_MAX, "room was lost");
    }

    #[tokio::test]
    async fn what_was_begun_has_an_unknown_outcome_at_the_deadline() {
        let queue = Queue::new();
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut submitted = Box::pin(queue.submit(request(), deadline));
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
        let mut waits = Box::pin(queue.submit(request(), deadline));
        assert!(futures::poll!(&mut waits).is_pending());
        queue.abandon();
        assert!(matches!(waits.await, Err(StoreError::Unavailable(_))));
        let late = queue.submit(request(), deadline).await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    }
}
