//! Away: what it costs the others when a node comes back that has missed more
//! than the log still holds. It is killed, misses 100,000 writes, is started
//! again, and gets a snapshot while writes go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::Result;
use crate::load::{self, Client, Protocol};
use crate::servers::{NODES, Servers};

/// Writes that the node misses.
const MISSED: usize = 100_000;

/// Clients that write to the two others.
const CLIENTS: usize = 64;

/// Keys that they go round.
const KEYS: u64 = 10_000;

/// The node that goes away; clients are spread over those before it.
const AWAY: usize = NODES - 1;

/// A node that is not back by then does not come back.
const BACK_WITHIN: Duration = Duration::from_secs(120);

/// What a node logs when it has taken up a snapshot.
const BY_SNAPSHOT: &str = "installed a snapshot";

/// Writes a second before, while the node catches up, and after, each over
/// `time` or as long as it takes.
pub async fn measure(servers: &mut Servers, time: Duration) -> Result<String> {
    servers.kill_one(AWAY);
    load::fill(servers, AWAY, MISSED).await?;
    let load = Writing::start(servers).await?;
    // Counted once connections are open and the leader is found.
    tokio::time::sleep(time).await;
    let before = load.rate_until(tokio::time::sleep(time)).await;
    servers.start_one(AWAY)?;
    let began = Instant::now();
    let during = load.rate_until(servers.ready(AWAY, BACK_WITHIN)).await;
    let took = began.elapsed();
    let after = load.rate_until(tokio::time::sleep(time)).await;
    load.end().await?;
    if !servers.log(AWAY)?.contains(BY_SNAPSHOT) {
        return Err("the node came back, but by its log".into());
    }
    Ok(format!(
        "a node away for {MISSED} writes: {before:.0} writes/s without it, {during:.0} while it \
         catches up by snapshot ({:.1} s), {after:.0} with it",
        took.as_secs_f64()
    ))
}

/// Clients that write for as long as they are let.
struct Writing {
    over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<()>>>,
}

impl Writing {
    async fn start(servers: &Servers) -> Result<Writing> {
        let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let mut client = Client::connect(Protocol::Grpc, servers, number % AWAY).await?;
            let (over, written) = (over.clone(), written.clone());
            clients.push(tokio::spawn(async move {
                let value = "v".repeat(256);
                while !over.load(Ordering::Relaxed) {
                    let key = written.load(Ordering::Relaxed) % KEYS;
                    client.write(&format!("bench/{key}/{number}"), &value).await?;
                    written.fetch_add(1, Ordering::Relaxed);
                }
                Result::Ok(())
            }));
        }
        Ok(Writing { over, written, clients })
    }

    /// Writes a second until `end`.
    async fn rate_until<T>(&self, end: impl Future<Output = T>) -> f64 {
        let (began, before) = (Instant::now(), self.written.load(Ordering::Relaxed));
        end.await;
        let written = self.written.load(Ordering::Relaxed) - before;
        written as f64 / began.elapsed().as_secs_f64()
    }

    /// Ends it; a write that failed is an error.
    async fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await??;
        }
        Ok(())
    }
}
