//! A day of a fleet. Agents work over MCP on sidecars that share one Redis. Something
//! happens to the Redis, and they recover by themselves. At the end, the history must
//! explain every answer that any agent got.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use support::agent::{Agent, Fleet};
use support::client::{Client, Outcome};
use support::redis_server::{self, RedisServer};
use support::sidecar::{self, Sidecar};
use support::verdict;

const SIDECARS: usize = 3;
const AGENTS: u64 = 9;

/// Calls that must be answered before the next thing happens, so that it finds
/// the fleet at work.
const CALLS_BETWEEN: u64 = 300;

/// A fleet that does not go on by then does not go on.
const GOES_ON_WITHIN: Duration = Duration::from_secs(60);

pub struct Day {
    pub server: RedisServer,
    fleet: Arc<Fleet>,
    agents: Vec<JoinHandle<()>>,
    pub sidecars: Vec<Sidecar>,
    _dir: TempDir,
}

impl Day {
    /// Begins one, on a server with these settings; not where there is no
    /// redis-server.
    pub async fn begin(test: &str, settings: &[&str]) -> Option<Day> {
        if !redis_server::is_installed(test) {
            return None;
        }
        let seed: u64 =
            std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
        println!("{test}: SEED={seed}");
        let server = RedisServer::start_with(settings);
        let dir = tempfile::tempdir().unwrap();
        let settings = [("STATE_BACKEND", "redis"), ("REDIS_URL", &*server.url())];
        let sidecars = sidecar::start_all(SIDECARS, dir.path(), &settings).await;
        let ports: Vec<u16> = sidecars.iter().map(|sidecar| sidecar.port).collect();
        let fleet = Arc::new(Fleet::default());
        let agents = (0..AGENTS)
            .map(|number| tokio::spawn(Agent::new(number, &ports, fleet.clone(), seed).work()))
            .collect();
        Some(Day { server, fleet, agents, sidecars, _dir: dir })
    }

    /// Waits until a good deal more was answered.
    pub async fn goes_on(&self) {
        let answered = || self.fleet.answered.load(Ordering::Relaxed);
        let goal = answered() + CALLS_BETWEEN;
        self.wait_until("the fleet goes on", || answered() >= goal).await;
    }

    /// Waits until claims are on their way.
    pub async fn is_claiming(&self) {
        let claiming = || self.fleet.claiming.load(Ordering::SeqCst) > 0;
        self.wait_until("a claim is under way", claiming).await;
    }

    async fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + GOES_ON_WITHIN;
        while !condition() {
            let died = self.agents.iter().any(JoinHandle::is_finished);
            assert!(!died, "an agent saw what no client should ever see");
            assert!(Instant::now() < deadline, "not within {GOES_ON_WITHIN:?}: {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends it, and judges what every sidecar tells of it. Gives how many calls
    /// were not answered.
    pub async fn end(self) -> usize {
        self.fleet.over.store(true, Ordering::Relaxed);
        for agent in self.agents {
            agent.await.unwrap();
        }
        let calls = self.fleet.record.calls();
        let count = |outcome: fn(&Outcome) -> bool| {
            calls.iter().filter(|call| outcome(&call.outcome)).count()
        };
        println!(
            "{} calls: {} answered, {} unavailable, {} unknown",
            calls.len(),
            count(|outcome| matches!(outcome, Outcome::Answer(_))),
            count(|outcome| matches!(outcome, Outcome::Unavailable)),
            count(|outcome| matches!(outcome, Outcome::Unknown)),
        );
        let history = quiet_history(&Client::new(self.sidecars[0].port)).await;
        for sidecar in &self.sidecars {
            let client = Client::new(sidecar.port);
            verdict::fetch(&client).await.assert_equal(&history);
            verdict::assert_present(&client, &calls, 1).await;
        }
        verdict::check(&history, &calls);
        println!("history: {} events, one chain, told alike by all", history.count());
        count(|outcome| !matches!(outcome, Outcome::Answer(_)))
    }
}

/// The history once nothing happens by itself any more: the last leases have
/// run out and were swept.
async fn quiet_history(client: &Client) -> verdict::History {
    let deadline = Instant::now() + GOES_ON_WITHIN;
    loop {
        let history = verdict::fetch(client).await;
        if !history.has_open_leases() {
            return history;
        }
        assert!(Instant::now() < deadline, "leases that ran out are not swept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
