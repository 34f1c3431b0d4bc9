//! Each run has a process of its own: chance that the libraries draw also
//! depends on how much was drawn in the process before.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bugs::Bug;
use crate::world;

/// Names the run that a process is started for, and the file for its result.
const SEED: &str = "SIMULATE_SEED";
const BUG: &str = "SIMULATE_BUG";
const INTO: &str = "SIMULATE_INTO";

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub trace: String,
    pub violation: Option<String>,
    pub calls: u64,
    pub answered: u64,
    pub unknown: u64,
    pub faults: u64,
    pub simulated_ms: u64,
}

/// Runs a seed, with a bug or without.
pub fn run(seed: u64, bug: Option<Bug>) -> Run {
    let into = tempfile::NamedTempFile::new().expect("a file");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "one_run", "--nocapture"])
        .env(SEED, seed.to_string())
        .env(INTO, into.path())
        .stdout(Stdio::null());
    if let Some(bug) = bug {
        command.env(BUG, bug.name()).stderr(Stdio::null());
    }
    let status = command.status().expect("a process");
    let text = std::fs::read_to_string(into.path()).expect("a result");
    let Ok(result) = serde_json::from_str::<Value>(&text) else {
        let violation = Some(format!("the run ended without a result: {status}"));
        return Run { violation, ..Run::default() };
    };
    let number = |name: &str| result[name].as_u64().unwrap_or_default();
    Run {
        trace: result["trace"].as_str().unwrap_or_default().to_owned(),
        violation: result["violation"].as_str().map(str::to_owned),
        calls: number("calls"),
        answered: number("answered"),
        unknown: number("unknown"),
        faults: number("faults"),
        simulated_ms: number("simulated_ms"),
    }
}

/// In a process that was started for a run: runs it and writes what came of it.
pub fn answer() {
    let Ok(seed) = std::env::var(SEED) else { return };
    let bug = std::env::var(BUG).ok().map(|name| Bug::named(&name).expect("a bug"));
    let run = world::run(seed.parse().expect("a number"), bug);
    let result = json!({
        "trace": run.trace,
        "violation": run.violation,
        "calls": run.calls,
        "answered": run.answered,
        "unknown": run.unknown,
        "faults": run.faults,
        "simulated_ms": run.simulated_ms,
    });
    let into = std::env::var(INTO).expect("a file for the result");
    std::fs::write(into, result.to_string()).expect("a result");
}
