//! The official conformance suite against two servers: the fixture server, which
//! is the program's routes and handler with what the scenarios ask for beside
//! them, and the program itself. Each must pass every scenario that is not listed
//! as left out in `expected.toml`, and none that is.
//!
//! | file | holds |
//! |---|---|
//! | `fixture` | the fixture server |
//! | `suite` | the suite: where it is installed, and one run of it |
//! | `expected` | what is left out, and how a run deviates from that |
//! | `report` | the table that is printed, and the list in the docs |
//!
//! `scripts/conformance` installs the suite and runs this. Without the suite the
//! scenarios do not run, and the test says so.

mod expected;
mod fixture;
mod report;
mod suite;

use expected::Expected;
use fixture::FixtureNode;
use report::RunReport;
use suite::Suite;
use support::client::{Client, Outcome};
use support::sidecar::start_all;

const REVISIONS: [&str; 2] = ["2026-07-28", "2025-11-25"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_passes_but_those_that_are_left_out() {
    let Some(suite) = Suite::installed() else {
        eprintln!("the conformance suite did not run: ./scripts/conformance installs it");
        return;
    };
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let fixture = FixtureNode::start().await;
    let data = scratch.path().display().to_string();
    let settings = [("STATE_BACKEND", "memory"), ("HOME", &*data)];
    let program = start_all(1, scratch.path(), &settings).await;
    let expected = Expected::read();
    let mut runs = Vec::new();
    let mut deviations = Vec::new();
    for (server, port) in [("fixture", fixture.address.port()), ("program", program[0].port)] {
        for revision in REVISIONS {
            let folder = scratch.path().join(format!("{server}-{revision}"));
            let run = suite.run(revision, port, &folder).await;
            deviations.extend(expected.deviations(server, revision, &run));
            runs.push(RunReport { server, revision, run });
        }
    }
    println!("{}", report::table(&runs, &expected));
    assert!(deviations.is_empty(), "\n  {}\n", deviations.join("\n  "));
    support::generated::check("docs/testing.md", "conformance", &report::docs(&runs, &expected));
}

#[tokio::test]
async fn the_fixture_server_answers_as_the_program_does() {
    let fixture = FixtureNode::start().await;
    let client = Client::new(fixture.address.port());
    let saved = client.call("state_set", serde_json::json!({"key": "k", "value": 1})).await;
    let Outcome::Answer(saved) = saved else { panic!("{saved:?}") };
    assert_eq!(saved["ok"], true, "{saved}");
    let health = client.health().await.expect("the fixture server answers");
    assert_eq!(health["revision"], 1, "{health}");
}
