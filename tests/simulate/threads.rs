//! Threads of a simulated host: tasks of its runtime, which end when it
//! crashes. Each has its turn a random moment after it was woken, as a thread
//! does that waits for a core and for its disk; meanwhile others go on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use mcp_state_sidecar::store::raft::host::Threads;
use tokio::time::{Sleep, sleep};

/// How many microseconds pass until a thread has its turn.
const TURN_US: std::ops::Range<u64> = 200..3_000;

/// Threads that are tasks.
#[derive(Debug)]
pub struct SimulatedThreads;

impl Threads for SimulatedThreads {
    fn spawn(&self, _name: &'static str, work: BoxFuture<'static, ()>) -> io::Result<()> {
        tokio::spawn(Slow { work, pause: None });
        Ok(())
    }

    /// Done at once: what another thread did meanwhile would depend on the
    /// machine.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, io::Result<()>> {
        work();
        Box::pin(std::future::ready(Ok(())))
    }
}

fn pause() -> Sleep {
    sleep(Duration::from_micros(rand::random_range(TURN_US)))
}

/// Work that has its turn a random moment after it was woken.
struct Slow {
    work: BoxFuture<'static, ()>,
    /// Until its next turn; none as long as nobody has woken it.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Future for Slow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.pause.get_or_insert_with(|| Box::pin(pause())).as_mut().poll(cx));
        self.pause = None;
        self.work.as_mut().poll(cx)
    }
}
