//! Stories: short scripts of tool calls and their replies. Each shows one behaviour,
//! and is played on every store. The transcripts are equal byte for byte, and they are
//! the files in `tests/scripts/`. `UPDATE=1` rewrites them.

mod recorded;
mod runner;
mod schema;
mod script;
mod stores;

use std::fs;
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt};
use mcp_state_sidecar::api::mcp::tools;
use runner::play;
use stores::{Factory, MEMORY, RAFT, REDIS, SQLITE};
use support::redis_server;

/// How many stories are played at once. Most of their time goes into starting and
/// stopping clusters.
const AT_ONCE: usize = 4;

/// Plays every story on a store, and reports all differences together. `UPDATE=1`
/// writes the transcripts of the memory store.
async fn play_all(store: Factory, update: bool) {
    let paths = scripts();
    assert!(paths.len() >= 80, "only {} stories were found", paths.len());
    let playing = paths.iter().map(|path| tell(path, store, update));
    let told = stream::iter(playing).buffered(AT_ONCE).collect::<Vec<_>>().await;
    let wrong: Vec<String> = told.into_iter().flatten().collect();
    assert!(
        wrong.is_empty(),
        "{} of {} stories went another way (UPDATE=1 rewrites them):\n\n{}",
        wrong.len(),
        paths.len(),
        wrong.join("\n")
    );
}

/// How the transcript differs from the story, if it does.
async fn tell(path: &Path, store: Factory, update: bool) -> Option<String> {
    let told = fs::read_to_string(path).expect("a story can be read");
    let name = path.strip_prefix(folder()).expect("found in the folder").display();
    match play(&told, store).await {
        Ok(played) if played == told => None,
        Ok(played) if update => {
            fs::write(path, played).expect("a story can be written");
            None
        }
        Ok(played) => Some(format!("{name}:\n{}", difference(&told, &played))),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    play_all(MEMORY, std::env::var("UPDATE").is_ok_and(|value| value == "1")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    play_all(SQLITE, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis() {
    if redis_server::is_installed("stories on Redis") {
        play_all(REDIS, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raft() {
    play_all(RAFT, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_answers_of_the_reference() {
    let mut stores = vec![MEMORY, SQLITE, RAFT];
    if redis_server::is_installed("recorded answers on Redis") {
        stores.push(REDIS);
    }
    for store in stores {
        recorded::play_all(recorded::SQLITE, store).await;
        recorded::play_all(recorded::REDIS, store).await;
    }
}

/// Every tool occurs in a story, so that a new tool needs one.
#[test]
fn every_tool_has_a_story() {
    let told: String =
        scripts().iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    for tool in tools::all() {
        assert!(told.contains(&format!("call {} ", tool.name)), "no story calls {}", tool.name);
    }
}

/// A caller that lost an answer can repeat the call, whatever it wrote.
#[test]
fn every_write_takes_an_idempotency_key() {
    for tool in tools::all() {
        let takes = tool.takes.iter().any(|field| field.name == "idempotency_key");
        let writes = matches!(tool.access, tools::ToolAccess::Write { .. });
        assert_eq!(takes, writes, "{}", tool.name);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

fn scripts() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder of stories")
        .flat_map(|noun| fs::read_dir(noun.expect("a noun").path()).expect("a folder of stories"))
        .map(|entry| entry.expect("a story").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "story"))
        .collect();
    paths.sort();
    paths
}

/// The lines around the first difference of two texts.
fn difference(told: &str, played: &str) -> String {
    let (told, played): (Vec<&str>, Vec<&str>) = (told.lines().collect(), played.lines().collect());
    let at = told.iter().zip(&played).take_while(|(a, b)| a == b).count();
    let context = &told[at.saturating_sub(3)..at];
    let shown = |lines: &[&str]| lines.get(at).copied().unwrap_or("(the end)").to_string();
    format!(
        "{}\n- line {}: {}\n+ line {}: {}\n",
        context.join("\n"),
        at + 1,
        shown(&told),
        at + 1,
        shown(&played)
    )
}
