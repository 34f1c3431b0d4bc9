//! A process killed in the middle of a load loses nothing it acknowledged.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::LogStore;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use support::log_load::{Load, Run};
use support::log_model::{Ledger, Model};
use support::{seed, small_options};

const KILLS: usize = 30;
/// Steps of a child that is not killed before.
const STEPS_MAX: usize = 2000;
const ENTRY_BYTES_MAX: usize = 100_000;
/// The folder of the log, for a child.
const DIR: &str = "SIDECAR_TEST_KILL_DIR";

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(seed("kill"));
    let mut ledger = Ledger::default();
    for _ in 0..KILLS {
        let mut store =
            LogStore::open(&Environment::system(), dir.path(), small_options()).unwrap();
        let found = Model::observe(&mut store).await;
        ledger.check(&found);
        store.close().await.unwrap();
        let (load_seed, answers) = (rng.random(), rng.random_range(1..150));
        let acknowledged = run_and_kill(dir.path(), load_seed, answers);
        // The child's steps follow from its seed.
        let mut load = Load::new(load_seed, &found, ENTRY_BYTES_MAX);
        ledger = Ledger::new(found);
        ledger.steps = (0..STEPS_MAX).map(|_| load.draw()).collect();
        ledger.acknowledged = acknowledged;
    }
}

/// Starts a child on the log and kills it after some answers; how many of its
/// steps it said were acknowledged.
fn run_and_kill(dir: &Path, load_seed: u64, answers: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(DIR, dir)
        .env("SEED", load_seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let numbers = said.lines().map_while(|line| {
        let line = line.unwrap();
        line.starts_with("failed").then(|| panic!("the child {line}"));
        Some(line.strip_prefix("acknowledged ").map(|number| number.parse::<usize>().unwrap()))
    });
    let mut last = 0;
    for (n, number) in numbers.flatten().enumerate() {
        last = number;
        if n + 1 == answers {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    last
}

/// Not a test: what `run_and_kill` starts.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    assert!(fs::exists(&dir).unwrap());
    let mut store =
        LogStore::open(&Environment::system(), Path::new(&dir), small_options()).unwrap();
    let found = Model::observe(&mut store).await;
    let load = Load::new(seed("child"), &found, ENTRY_BYTES_MAX);
    let mut run = Run::new(&mut store, found, load, |number| {
        writeln!(std::io::stdout(), "acknowledged {number}").unwrap();
    });
    for _ in 0..STEPS_MAX {
        if let Err(error) = run.step().await {
            writeln!(std::io::stdout(), "failed: {error}").unwrap();
        }
    }
}
