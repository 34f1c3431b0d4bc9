//! The official conformance suite: where it is installed, and one run of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// What is installed, as npm was told.
const LOCK: &str = include_str!("npm/package-lock.json");

/// A run takes half a minute; only a server that hangs takes longer.
const RUN_WITHIN: Duration = Duration::from_secs(180);

/// How much of a message is shown: some repeat a whole answer.
const MESSAGE_MAX: usize = 500;

/// The suite names the results of a scenario by it and by a time of this length.
const TIME_BYTES: usize = "-2026-07-28T00-00-00-000Z".len();

/// An installed suite.
pub struct Suite {
    folder: PathBuf,
}

/// How a scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScenarioResult {
    Passed,
    /// With what was wrong.
    Failed(Vec<String>),
    /// The suite checked nothing that could fail.
    NothingChecked,
}

/// The scenarios of one run.
pub struct SuiteRun {
    pub results: BTreeMap<String, ScenarioResult>,
    /// Those of them that the revision does not require.
    pub optional: Vec<String>,
}

impl Suite {
    /// The suite as `scripts/conformance` installs it, if it is there in the
    /// version that is asked for here.
    pub fn installed() -> Option<Suite> {
        let folder = match std::env::var_os("CONFORMANCE_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => cache()?.join("mcp-state-sidecar/conformance"),
        };
        // The lock is copied last, so that half an installation is none.
        let lock = fs::read_to_string(folder.join("installed.json")).ok()?;
        (lock == LOCK).then_some(Suite { folder })
    }

    /// Runs the scenarios of a revision against the server on `port` of loopback.
    pub async fn run(&self, revision: &str, port: u16, scratch: &Path) -> SuiteRun {
        let modules = self.folder.join("node_modules");
        let own_node = modules.join(".bin/node");
        let node = if own_node.exists() { own_node } else { PathBuf::from("node") };
        let child = Command::new(node)
            .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
            .args(["server", "--url", &format!("http://127.0.0.1:{port}/mcp")])
            .args(["--requirements", revision, "--output-dir"])
            .arg(scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js starts");
        let output = timeout(RUN_WITHIN, child.wait_with_output()).await;
        let output = output.expect("the suite ends in time").expect("the suite runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        let run = SuiteRun { results: results(&said, scratch), optional: optional(&said) };
        let count = run.results.len();
        assert!(count > 0, "the suite ran no scenario; it said:\n{said}\n{complaints}");
        run
    }
}

fn cache() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    cache
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
}

/// The result of every scenario that the suite says it has run.
fn results(said: &str, scratch: &Path) -> BTreeMap<String, ScenarioResult> {
    let mut checks = BTreeMap::new();
    for entry in fs::read_dir(scratch).expect("the results").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_prefix("server-") else { continue };
        let scenario = name.split_at(name.len().saturating_sub(TIME_BYTES)).0.to_owned();
        let text = fs::read_to_string(entry.path().join("checks.json")).unwrap_or_default();
        checks.insert(scenario, serde_json::from_str::<Vec<Value>>(&text).ok());
    }
    let begun = said.lines().filter_map(|line| line.strip_prefix("=== Running scenario: "));
    let names = begun.filter_map(|line| line.strip_suffix(" ==="));
    let result = |name: &str| match checks.get(name).cloned().flatten() {
        Some(checks) => judged(&checks),
        None => ScenarioResult::Failed(vec!["the suite could not run it".to_owned()]),
    };
    names.map(|name| (name.to_owned(), result(name))).collect()
}

fn judged(checks: &[Value]) -> ScenarioResult {
    let with = |status: &'static str| checks.iter().filter(move |check| check["status"] == status);
    let failed: Vec<String> = with("FAILURE")
        .map(|check| {
            let part = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
            let message: String = part("errorMessage").chars().take(MESSAGE_MAX).collect();
            format!("{}: {message}", part("id"))
        })
        .collect();
    match (failed.is_empty(), with("SUCCESS").count()) {
        (false, _) => ScenarioResult::Failed(failed),
        (true, 0) => ScenarioResult::NothingChecked,
        (true, _) => ScenarioResult::Passed,
    }
}

/// The scenarios that the suite lists as not scored.
fn optional(said: &str) -> Vec<String> {
    let list = said.split_once("\nNot scored for ").map_or("", |(_, list)| list);
    let lines = list.lines().skip(1).map_while(|line| {
        let line = line.strip_prefix("  ✓ ").or_else(|| line.strip_prefix("  ✗ "))?;
        line.split(' ').next()
    });
    lines.map(str::to_owned).collect()
}
