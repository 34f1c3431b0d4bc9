//! Chaos: three real processes, a fleet of agents over MCP on all of them, and
//! a leader that is killed in the middle of their claims, again and again.
//!
//! `CHAOS_KILLS` sets how often, `SEED` what the agents do.

#[path = "chaos/agent.rs"]
mod agent;
#[path = "chaos/chain.rs"]
mod chain;
#[path = "chaos/client.rs"]
mod client;
#[path = "chaos/cluster.rs"]
mod cluster;
#[path = "chaos/record.rs"]
mod record;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "chaos/verdict.rs"]
mod verdict;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use agent::{Agent, Fleet};
use client::{Client, Outcome};
use cluster::Cluster;

/// Agents at work at a time.
const AGENTS: u64 = 9;

/// Calls that must end well between two kills, so that each kill finds the
/// cluster at work.
const CALLS_BETWEEN_KILLS: u64 = 400;

/// What the issue allows at the default settings.
const LEADERLESS_MAX: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn leaders_killed_in_the_middle_of_claims_lose_nothing() {
    let kills: usize = std::env::var("CHAOS_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let seed: u64 = std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(3, dir.path()).await;
    let ports: Vec<u16> = cluster.nodes.iter().map(|node| node.sidecar.port).collect();

    let fleet = Arc::new(Fleet::default());
    let agents: Vec<_> = (0..AGENTS)
        .map(|number| tokio::spawn(Agent::new(number, &ports, fleet.clone(), seed).work()))
        .collect();
    let mut gaps = Vec::new();
    for _ in 0..kills {
        work_goes_on(&fleet).await;
        gaps.push(kill_leader(&mut cluster, &fleet).await);
    }
    work_goes_on(&fleet).await;
    fleet.over.store(true, Ordering::Relaxed);
    for agent in agents {
        agent.await.unwrap();
    }

    let calls = fleet.record.calls();
    report(&calls, &gaps);
    judge(&mut cluster, &calls).await;
    let worst = gaps.iter().max().unwrap();
    assert!(*worst < LEADERLESS_MAX, "without a leader for {worst:?}");
}

/// Waits until the fleet has done a good deal more.
async fn work_goes_on(fleet: &Fleet) {
    let goal = fleet.finished.load(Ordering::Relaxed) + CALLS_BETWEEN_KILLS;
    wait_until("the fleet goes on", || fleet.finished.load(Ordering::Relaxed) >= goal).await;
}

/// Kills the leader while claims are under way, and starts it again once the
/// others have gone on. Returns how long no write succeeded.
async fn kill_leader(cluster: &mut Cluster, fleet: &Fleet) -> Duration {
    let leader = cluster.leader().await;
    let witness = Client::new(cluster.nodes[(leader + 1) % cluster.nodes.len()].sidecar.port);
    write(&witness).await;
    let claims = || fleet.claiming.load(Ordering::SeqCst) > 0;
    wait_until("a claim is under way", claims).await;
    cluster.nodes[leader].sidecar.kill();
    let killed = Instant::now();
    write(&witness).await;
    let gap = killed.elapsed();
    cluster.nodes[leader].sidecar.start();
    cluster.nodes[leader].sidecar.ready().await;
    gap
}

/// Writes until one write is acknowledged.
async fn write(client: &Client) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let set = json!({"key": "witness", "value": format!("{:?}", Instant::now())});
        if let Outcome::Answer(_) = client.call("state_set", set).await {
            return;
        }
    }
    panic!("no write succeeds any more");
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn judge(cluster: &mut Cluster, calls: &[record::Call]) {
    cluster.all_ready().await;
    let history = quiet_history(&Client::new(cluster.nodes[0].sidecar.port)).await;
    for node in &cluster.nodes {
        let client = Client::new(node.sidecar.port);
        verdict::fetch(&client).await.assert_equal(&history);
        verdict::assert_present(&client, calls).await;
    }
    println!("history: {} events, equal on all nodes", history.len());
    verdict::check(&history, calls);
    let mut heads = Vec::new();
    for node in &cluster.nodes {
        let health = Client::new(node.sidecar.port).health().await.unwrap();
        heads.push((health["revision"].clone(), health["chain"].clone()));
    }
    assert!(heads.windows(2).all(|two| two[0] == two[1]), "chain heads differ: {heads:?}");
}

/// The history once nothing happens by itself any more: the last leases have
/// run out and were swept.
async fn quiet_history(client: &Client) -> verdict::History {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let history = verdict::fetch(client).await;
        if !history.has_open_leases() {
            return history;
        }
        assert!(Instant::now() < deadline, "leases that ran out are not swept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn report(calls: &[record::Call], gaps: &[Duration]) {
    let count = |wanted: fn(&Outcome) -> bool| calls.iter().filter(|c| wanted(&c.outcome)).count();
    println!(
        "{} calls: {} answered, {} unavailable, {} unknown",
        calls.len(),
        count(|outcome| matches!(outcome, Outcome::Answer(_))),
        count(|outcome| matches!(outcome, Outcome::Unavailable)),
        count(|outcome| matches!(outcome, Outcome::Unknown)),
    );
    let mut sorted = gaps.to_vec();
    sorted.sort();
    println!("without a leader: median {:?}, worst {:?}", sorted[sorted.len() / 2], sorted.last());
}
