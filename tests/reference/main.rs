//! The Python reference beside ours: the same calls to both over their standard streams
//! give the same answers, and what it stored is migrated without loss. The tests need
//! `python3` and, the first time, the package index; they say so if they cannot run.

mod calls;
mod client;
mod compare;
mod migration;
mod package;

use std::path::Path;

use serde_json::{Value, json};
use support::redis_server;

use calls::{Call, recorded_scenarios};
use client::Client;
use compare::{Names, differences, told_otherwise};
use package::Package;

/// The reference's command that speaks over its standard streams.
pub const STDIO: &str = "mcp-state-sidecar";

/// Where a reference and ours keep their state.
#[derive(Clone, Copy)]
pub enum Backend<'a> {
    Sqlite,
    /// By its URL; the reference's and ours are different databases of one.
    Redis(&'a str),
}

impl Backend<'_> {
    fn name(&self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Redis(_) => "redis",
        }
    }

    /// The settings that name it, which both understand. `number` keeps states
    /// apart.
    fn settings(&self, dir: &Path, number: u32) -> Vec<(&'static str, String)> {
        match self {
            Backend::Sqlite => {
                let file = dir.join(format!("{number}.db"));
                let file = file.to_str().expect("a plain name").to_owned();
                vec![("STATE_BACKEND", "sqlite".into()), ("DB_PATH", file)]
            }
            Backend::Redis(url) => {
                let url = format!("{url}/{number}");
                vec![("STATE_BACKEND", "redis".into()), ("REDIS_URL", url)]
            }
        }
    }
}

#[test]
fn the_same_calls_have_the_same_answers_on_sqlite() {
    let Some(package) = package::installed("on_sqlite") else { return };
    play_side_by_side(package, Backend::Sqlite);
}

#[test]
fn the_same_calls_have_the_same_answers_on_redis() {
    let Some(package) = package::installed("on_redis") else { return };
    if redis_server::is_installed("on_redis") {
        let server = redis_server::RedisServer::start();
        play_side_by_side(package, Backend::Redis(&server.url()));
    }
}

/// Every scenario on both, one after the other.
fn play_side_by_side(package: &Package, backend: Backend<'_>) {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = |number| backend.settings(dir.path(), number);
    let mut theirs = Client::start(package.program(STDIO, dir.path(), &settings(0)));
    let mut ours = Client::start(client::ours(dir.path(), &settings(1)));
    let differences = differences(backend.name());
    let mut seen = vec![false; differences.len()];
    let mut wrong = Vec::new();
    for (scenario, calls) in recorded_scenarios().into_iter().chain(calls::more()) {
        theirs.call("sidecar_reset", json!({}));
        ours.call("sidecar_reset", json!({"confirm": true}));
        let mut names = Names::default();
        for (at, call) in calls.iter().enumerate() {
            let Call::Tool { tool, arguments, bind } = call else {
                // Deadlines pass in real time here.
                call.wait();
                continue;
            };
            let (of_theirs, mut of_ours) = names.filled_in(arguments);
            if tool == "sidecar_reset" {
                // The reference wipes everything without asking.
                of_ours["confirm"] = true.into();
            }
            let (of_theirs, of_ours) = (theirs.call(tool, of_theirs), ours.call(tool, of_ours));
            if let Some(name) = bind {
                names.bind(name, &of_theirs, &of_ours);
            }
            let of_theirs = told_otherwise(tool, &of_theirs).unwrap_or(of_theirs);
            let outcome = names.compare(&of_theirs, &of_ours);
            let named = differences.iter().position(|d| (d.0, d.1) == (&*scenario, at));
            match (named, outcome) {
                (None, Ok(())) => {}
                (Some(named), Err(_)) => seen[named] = true,
                (Some(named), Ok(())) => wrong.push(format!(
                    "{scenario} {at} of {tool}: a difference is named that is none: {}",
                    differences[named].2
                )),
                (None, Err(why)) => wrong.push(format!(
                    "{scenario} {at} of {tool} {arguments}: {why}\ntheirs {of_theirs}\nours   {of_ours}"
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(seen.iter().all(|seen| *seen), "a difference is named that was not met: {seen:?}");
    assert_eq!(Value::Null, theirs.end(), "it ends with its client");
    assert_eq!(Value::Null, ours.end(), "it ends with its client");
}

/// Every tool of the reference is called here.
#[test]
fn all_nineteen_tools_are_called() {
    let scenarios = recorded_scenarios().into_iter().chain(calls::more());
    let mut tools: Vec<String> = scenarios
        .flat_map(|(_, calls)| calls)
        .filter_map(|call| match call {
            Call::Tool { tool, .. } => Some(tool),
            Call::Wait(_) => None,
        })
        .collect();
    tools.sort();
    tools.dedup();
    assert_eq!(tools.len(), 19, "{tools:?}");
}
