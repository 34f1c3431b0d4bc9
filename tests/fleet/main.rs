//! A fleet: workers on three real nodes carry out trees of runs with dependencies,
//! concurrency keys and schedules, while workers vanish or come back too late and the
//! leader is killed again and again. The history is then judged by what was asked for.
//!
//! `FLEET_RUNS` and `FLEET_WORKERS` set how many there are, and `SEED` what happens.

mod orchestrator;
mod shared;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use orchestrator::{Orchestrator, SCHEDULES, TREE};
use shared::Shared;
use support::checker::runs::{RunEvent, judge};
use support::client::{Client, TOKEN};
use support::sidecar::{Sidecar, free_ports};
use worker::Worker;

const NODES: usize = 3;

/// A plain `cargo test`; `scripts/fleet` has more of both.
const RUNS: usize = 60;
const WORKERS: u64 = 8;

/// Between the return of one leader and the death of the next.
const CALM_MS: std::ops::Range<u64> = 2_000..5_000;

/// How long a killed node stays away.
const AWAY: Duration = Duration::from_secs(1);

/// Ended runs are kept for so many seconds at least: longer than it takes to create those
/// that depend on them.
const RETENTION_SECONDS: usize = 12;

/// Everything, or what is left after the work, is over by then.
const WORK_WITHIN: Duration = Duration::from_secs(900);
const REMOVED_WITHIN: Duration = Duration::from_secs(120);

/// Entries of the history fetched at a time.
const PAGE: usize = 500;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_run_ends_once_and_as_it_was_asked_to() {
    let runs = setting("FLEET_RUNS").map_or(RUNS, |runs| runs as usize);
    let workers = setting("FLEET_WORKERS").unwrap_or(WORKERS);
    let seed = setting("SEED").unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let dir = tempfile::tempdir().expect("a directory");
    let mut nodes = start(dir.path(), RETENTION_SECONDS.max(runs / 50)).await;
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    let before = Client::new(ports[0]).health().await.expect("health");
    let began = Instant::now();

    let shared = Arc::new(Shared::new(ports));
    let orchestrator = Orchestrator::new(shared.clone(), seed);
    let creating = tokio::spawn(orchestrator.create(runs));
    let working: Vec<_> = (0..workers)
        .map(|number| tokio::spawn(Worker::new(number, shared.clone(), seed).work()))
        .collect();
    let kills = kill_leaders_until_done(&mut nodes, &shared, runs as u64, seed).await;
    creating.await.expect("all are created");
    orchestrator::end_schedules(&shared).await;
    shared.over.store(true, Ordering::Relaxed);
    for worker in working {
        worker.await.expect("a worker that does not panic");
    }
    let took = began.elapsed();

    let history = fetch(&shared).await;
    let asked = shared.asked.lock().expect("no panic").clone();
    assert_eq!(asked.len(), runs, "runs that were created");
    let scheduled = SCHEDULES.map(|(name, _)| name.to_owned()).into();
    if let Err(violation) = judge(&history, &asked, &scheduled) {
        panic!("SEED={seed}: {}", violation.0);
    }
    let count = |action: &str| history.iter().filter(|event| event.action == action).count();
    let ended = |run_id: &String| {
        let ends = ["workflow_complete", "workflow_fail", "workflow_cancel"];
        let subject = format!("workflow:{run_id}");
        let of_run = history.iter().filter(|event| event.subject == subject);
        of_run.filter(|event| ends.contains(&&*event.action)).count()
    };
    assert!(asked.keys().all(|run_id| ended(run_id) == 1), "SEED={seed}: each ends once");
    println!(
        "{runs} runs and {} of schedules in {:.1} s by {workers} workers: {} claims, {} steps, {} \
         lapsed; the leader was killed {kills} times; {} workers vanished, {} came back late and \
         {} of their calls were refused; {} events judged",
        count("schedule_fire"),
        took.as_secs_f64(),
        count("workflow_claim"),
        count("workflow_checkpoint"),
        count("workflow_retry"),
        shared.vanished.load(Ordering::Relaxed),
        shared.late.load(Ordering::Relaxed),
        shared.refused.load(Ordering::Relaxed),
        history.len(),
    );
    assert!(kills > 0 && shared.refused.load(Ordering::Relaxed) > 0, "nothing was tried");
    removed(&shared, &before).await;
}

async fn start(dir: &Path, retention_seconds: usize) -> Vec<Sidecar> {
    let (ports, raft_ports) = (free_ports(NODES), free_ports(NODES));
    let members: Vec<String> =
        (1..).zip(&raft_ports).map(|(id, port)| format!("{id}=127.0.0.1:{port}")).collect();
    let members = members.join(",");
    let mut nodes = Vec::new();
    for at in 0..NODES {
        let name = format!("node{}", at + 1);
        let settings = [
            ("STATE_BACKEND", "raft".to_owned()),
            ("SIDECAR_NODE_ID", (at + 1).to_string()),
            ("SIDECAR_RAFT_ADDR", format!("127.0.0.1:{}", raft_ports[at])),
            ("SIDECAR_MEMBERS", members.clone()),
            ("SIDECAR_DATA_DIR", dir.join(&name).to_string_lossy().into_owned()),
            ("SIDECAR_TOKEN", TOKEN.to_owned()),
            ("SIDECAR_RUN_RETENTION", retention_seconds.to_string()),
        ];
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut node = Sidecar::new(&name, dir, ports[at], &settings);
        node.start();
        nodes.push(node);
    }
    for node in &mut nodes {
        node.ready().await;
    }
    nodes
}

/// Kills one leader after the other until as many runs are over as there are to be.
async fn kill_leaders_until_done(
    nodes: &mut [Sidecar],
    shared: &Shared,
    runs: u64,
    seed: u64,
) -> usize {
    let (mut random, mut kills) = (StdRng::seed_from_u64(seed ^ 0xdead), 0);
    let deadline = Instant::now() + WORK_WITHIN;
    while shared.completed.load(Ordering::Relaxed) < runs {
        assert!(Instant::now() < deadline, "SEED={seed}: the work is not done in time");
        let calm = Duration::from_millis(random.random_range(CALM_MS));
        let woken = tokio::time::timeout(calm, shared.reached(runs));
        if woken.await.is_ok() {
            break;
        }
        let health = shared.answer(0, "sidecar_health", json!({})).await;
        let Some(leader) = health["leader"].as_u64() else { continue };
        let leader = &mut nodes[leader as usize - 1];
        leader.kill();
        kills += 1;
        tokio::time::sleep(AWAY).await;
        leader.start();
        leader.ready().await;
    }
    kills
}

async fn fetch(shared: &Shared) -> Vec<RunEvent> {
    let (mut events, mut before) = (Vec::new(), Value::Null);
    loop {
        let page = json!({"n": PAGE, "before_id": before, "values": "full"});
        let page = shared.answer(0, "history_log", page).await;
        let entries = page["entries"].as_array().expect("entries");
        let Some(last) = entries.last() else { break };
        before = last["id"].clone();
        events.extend(entries.iter().map(RunEvent::of_entry));
    }
    events.reverse();
    events
}

/// Waits until the work has left nothing behind.
async fn removed(shared: &Shared, before: &Value) {
    let left = |health: &Value| {
        ["runs", "steps", "schedules"].map(|kind| health["counts"][kind].as_u64().unwrap_or(0))
    };
    let began = Instant::now();
    loop {
        let stats = shared.answer(0, "workflow_stats", json!({})).await;
        let health = shared.answer(0, "sidecar_health", json!({})).await;
        let is_empty = stats["stats"].as_array().is_some_and(Vec::is_empty);
        if is_empty && health["state_bytes"] == before["state_bytes"] {
            println!("the state is back at {} bytes", before["state_bytes"]);
            return;
        }
        let now = (left(&health), &health["state_bytes"], &before["state_bytes"]);
        assert!(began.elapsed() < REMOVED_WITHIN, "left behind: {now:?}, {stats}, {TREE}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
