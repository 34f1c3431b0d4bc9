//! Load generators as processes of their own, one for each node.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::burst::Burst;
use super::side::Side;
use super::tool::{self, Tool};
use crate::Result;
use crate::load::Operation;

/// How long past its time a generator may take. `redis-benchmark` has none, and takes
/// longer where Redis has become slower meanwhile.
const GRACE: Duration = Duration::from_secs(30);

/// Repeats one call to the nodes of one system.
pub struct Generator {
    tool: Tool,
    hosts: Vec<String>,
    path: &'static str,
    /// What `redis-benchmark` is to send.
    words: Vec<String>,
    /// Calls a second, as far as known.
    rate: AtomicU64,
    dir: TempDir,
}

impl Generator {
    /// For calls of this kind to all nodes of `side`.
    pub fn new(side: &Side<'_>, operation: Operation) -> Result<Generator> {
        let dir = tempfile::tempdir()?;
        let (path, body) = side.call(operation);
        std::fs::write(dir.path().join("call"), body)?;
        Ok(Generator {
            tool: side.tool(),
            hosts: side.hosts(),
            path,
            words: side.words(operation),
            rate: AtomicU64::new(tool::FIRST_CALLS),
            dir,
        })
    }

    /// Calls with `clients` in all, each on a connection of its own and one call at a
    /// time, spread evenly over the nodes. Where clients are fewer than nodes, each node
    /// is called for its share of the time, so that a leader has the same part in it on
    /// all systems.
    pub async fn run(&self, clients: usize, time: Duration) -> Result<Burst> {
        let (nodes, mut all) = (self.hosts.len(), Burst::default());
        if clients < nodes {
            for node in 0..nodes {
                all.append(self.run_one(node, clients, time / nodes as u32).await?);
            }
            return Ok(all);
        }
        let of_node = |node| clients / nodes + usize::from(node < clients % nodes);
        let runs = (0..nodes).map(|node| self.run_one(node, of_node(node), time));
        for burst in futures::future::join_all(runs).await {
            all.join(burst?);
        }
        Ok(all)
    }

    /// Calls one node, for whole seconds, which is all that the generators know.
    async fn run_one(&self, node: usize, clients: usize, time: Duration) -> Result<Burst> {
        let time = Duration::from_secs(time.as_secs().max(1));
        let (call, log) = (self.dir.path().join("call"), self.dir.path().join(format!("{node}")));
        let calls = self.rate.load(Ordering::Relaxed) * time.as_secs();
        let (host, url) = (&self.hosts[node], format!("http://{}{}", self.hosts[node], self.path));
        let words = match self.tool {
            Tool::H2load => [tool::h2load(clients, time, &call, &log), vec![url]].concat(),
            Tool::Wrk => [tool::wrk(clients, time, &call), vec![url]].concat(),
            Tool::RedisBenchmark => tool::redis_benchmark(clients, calls, host, &self.words),
        };
        let mut command = Command::new(self.tool.name());
        command.args(words).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(time + GRACE, command.output()).await??;
        let text = String::from_utf8_lossy(&output.stdout);
        let burst = match self.tool {
            Tool::H2load => tool::read_h2load(&text, &std::fs::read_to_string(log)?),
            Tool::Wrk => tool::read_wrk(&text),
            Tool::RedisBenchmark => tool::read_redis_benchmark(&text, calls),
        };
        let burst = burst.filter(|burst| burst.calls > 0 && output.status.success());
        let mut burst = burst.ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{} {}: {text}{said}", self.tool.name(), output.status)
        })?;
        if self.tool == Tool::RedisBenchmark {
            let rate = burst.calls as f64 / burst.time.as_secs_f64();
            self.rate.store(rate as u64 + 1, Ordering::Relaxed);
        } else {
            burst.time = time;
        }
        Ok(burst)
    }
}
