//! A probe: another client, which writes one key after the other for as long as
//! something is measured, and shows how long that makes it wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::Result;
use crate::figures::percentile;
use crate::grpc::GrpcClient;
use crate::servers::Servers;

/// Keys that it goes round.
const KEYS: u64 = 100;

/// A write that failed and was not held up is not tried again at once.
const PAUSE: Duration = Duration::from_millis(1);

/// A client that writes until it is stopped.
pub struct Probe {
    over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: JoinHandle<Vec<Write>>,
}

struct Write {
    began: Instant,
    took: Duration,
}

/// What a probe wrote.
pub struct Writes(Vec<Write>);

impl Probe {
    /// Writes to the first process.
    pub async fn start(servers: &Servers) -> Result<Probe> {
        let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = GrpcClient::connect(servers.grpc(0)).await?;
        let task = tokio::spawn(write(client, over.clone(), written.clone()));
        Ok(Probe { over, written, task })
    }

    /// Writes that were carried out so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub async fn stop(self) -> Result<Writes> {
        self.over.store(true, Ordering::Relaxed);
        Ok(Writes(self.task.await?))
    }
}

async fn write(
    mut client: GrpcClient,
    over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let began = Instant::now();
        // One that failed counts by the time that it took.
        match client.write(&format!("probe/{}", number % KEYS), "v").await {
            Ok(()) => drop(written.fetch_add(1, Ordering::Relaxed)),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        writes.push(Write { began, took: began.elapsed() });
    }
    writes
}

impl Writes {
    /// How long each took that was under way between these moments, sorted.
    pub fn between(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let meets = |write: &&Write| write.began < to && write.began + write.took > from;
        let mut took: Vec<Duration> = self.0.iter().filter(meets).map(|write| write.took).collect();
        took.sort_unstable();
        took
    }

    /// The longest of them.
    pub fn longest(&self, from: Instant, to: Instant) -> Duration {
        self.between(from, to).last().copied().unwrap_or_default()
    }

    /// The longest of those that ended between these moments.
    pub fn longest_ended(&self, from: Instant, to: Instant) -> Duration {
        let ended = |write: &&Write| (from..=to).contains(&(write.began + write.took));
        self.0.iter().filter(ended).map(|write| write.took).max().unwrap_or_default()
    }

    /// What 99 of a hundred did not exceed.
    pub fn p99(&self, from: Instant, to: Instant) -> Duration {
        percentile(&self.between(from, to), 99)
    }
}
