//! What everybody in the fleet shares: the nodes, what runs were asked to be, and figures.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::checker::runs::Asked;
use support::client::{Client, Outcome};
use tokio::sync::watch;

/// A call that is answered nowhere for so long is given up.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Before a call is repeated that was not answered.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

pub struct Shared {
    ports: Vec<u16>,
    pub asked: Mutex<BTreeMap<String, Asked>>,
    pub over: AtomicBool,
    /// Runs of trees whose end a worker was told of.
    pub completed: AtomicU64,
    progress: watch::Sender<u64>,
    pub vanished: AtomicUsize,
    pub late: AtomicUsize,
    /// Calls of those who came late that were refused.
    pub refused: AtomicUsize,
}

impl Shared {
    pub fn new(ports: Vec<u16>) -> Shared {
        Shared {
            ports,
            asked: Mutex::default(),
            over: AtomicBool::new(false),
            completed: AtomicU64::new(0),
            progress: watch::Sender::new(0),
            vanished: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    /// Notes that a run has ended.
    pub fn complete(&self) {
        let completed = self.completed.fetch_add(1, Ordering::Relaxed) + 1;
        self.progress.send_replace(completed);
    }

    /// Waits until as many runs have ended.
    pub async fn reached(&self, runs: u64) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|completed| *completed >= runs).await;
    }

    /// A client of one of the nodes.
    pub fn client(&self, number: usize) -> Client {
        Client::new(self.ports[number % self.ports.len()])
    }

    /// Calls one node after the other until one answers. What must not happen twice needs an
    /// idempotency key.
    pub async fn answer(&self, first: usize, tool: &str, arguments: Value) -> Value {
        let deadline = Instant::now() + ANSWERED_WITHIN;
        for number in first.. {
            if let Outcome::Answer(value) = self.client(number).call(tool, arguments.clone()).await
            {
                return value;
            }
            assert!(Instant::now() < deadline, "{tool} {arguments} is answered nowhere");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        unreachable!("it is tried until the deadline")
    }
}
