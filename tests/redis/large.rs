//! Large exports: a run with many steps that continues, values of a megabyte, and
//! remembered replies of a megabyte. Each stays within Redis's limits.

use std::collections::BTreeMap;

use futures::StreamExt;
use mcp_state_sidecar::codec;
use mcp_state_sidecar::machine::command::{
    Checkpoint, Claimant, Create, Idempotency, Operation, Set, Transact,
};
use mcp_state_sidecar::machine::{Command, Json, Reply, Row};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::export::{Part, StoreImport};
use mcp_state_sidecar::store::redis::{Options, RedisClock, RedisImport, RedisStore};
use mcp_state_sidecar::store::{Request, Store};
use tokio_util::sync::CancellationToken;

use crate::common::{all, open, soon};
use support::redis_server::{self, RedisServer};

const STEPS: u64 = 2_000;

/// Steps that come while it is exported.
const NEW_STEPS: u64 = 500;

/// Commands at a time.
const BUSY: u64 = 64;

/// Checkpoints made while exports were under way.
const MEANWHILE: u64 = 3_000;

/// Rows that Redis may look up for one change, for its commit and its part in
/// an export: a handful, and not a whole run.
const LOOK_UPS: u64 = 10;

/// One value of the large ones.
const LARGE: usize = 1_000_000;

/// What one batch of parts may hold: a page, and the item that passed its end.
const BATCH_MAX: usize = (4 << 20) + 3 * LARGE;

/// What all clients of the server together may hold: some pages.
const CLIENTS: [&str; 2] = ["--maxmemory-clients", "48mb"];

async fn submit(store: &RedisStore, command: Command) -> Reply {
    let request = Request { command, idempotency: None, actor: None, random: 0, attempt: false };
    store.submit(request, soon()).await.expect("a write")
}

async fn checkpoint(store: &RedisStore, run_id: &str, step: u64, output: u64) {
    let (run_id, output) = (run_id.into(), Json::new(output.to_string()));
    let claimant = Claimant::default();
    let command = Command::Checkpoint(Checkpoint { run_id, step, output, claimant, ask: None });
    let reply = submit(store, command).await;
    assert!(matches!(&reply, Reply::Checkpointed(done) if done.ok), "{reply:?}");
}

async fn create(store: &RedisStore) -> String {
    let create = Create {
        name: "long".into(),
        tags: BTreeMap::new(),
        input: None,
        priority: 0,
        delay_ms: None,
        max_attempts: 1,
        parent_run_id: None,
        ..Default::default()
    };
    match submit(store, Command::Create(create)).await {
        Reply::Created { run_id, .. } => run_id.to_string(),
        other => panic!("not created: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_long_run_is_exported_while_its_steps_change() {
    if !redis_server::is_installed("a long run") {
        return;
    }
    let server = RedisServer::start();
    let store = open(&server, "sidecar").await;
    let run_id = &*create(&store).await;
    for first in (0..STEPS).step_by(100) {
        let steps = (first..first + 100).map(|step| checkpoint(&store, run_id, step, 0));
        futures::future::join_all(steps).await;
    }
    let (looked_up, begun) = (calls(&server, "hget"), store.health().await.revision.0);
    let stop = CancellationToken::new();
    let working = async {
        let mut written = 0;
        while !stop.is_cancelled() {
            let steps = (0..BUSY).map(|n| {
                let step = (written * BUSY + n) * 131 % (STEPS + NEW_STEPS);
                checkpoint(&store, run_id, step, written + 1)
            });
            futures::future::join_all(steps).await;
            written += 1;
        }
    };
    let exporting = async {
        let (mut meanwhile, mut exports) = (0, Vec::new());
        while meanwhile < MEANWHILE {
            let before = store.health().await.revision;
            let exported = all(store.export(soon()).await.expect("an export")).await;
            meanwhile += exported.0.revision.0 - before.0;
            exports.push(exported);
        }
        stop.cancel();
        exports
    };
    let ((), exports) = tokio::join!(working, exporting);
    let looked_up = calls(&server, "hget") - looked_up;
    let changes = store.health().await.revision.0 - begun;
    let honest = exports.len() as u64 * (STEPS + NEW_STEPS) + changes * LOOK_UPS;
    assert!(looked_up <= honest, "{looked_up} rows looked up for {changes} changes");
    for (meta, rows, events) in exports {
        assert_eq!(events.last().map(|event| event.revision), Some(meta.revision));
        let mut newest = BTreeMap::new();
        for event in events.into_iter().skip(1) {
            let new: serde_json::Value =
                serde_json::from_str(event.new.expect("a step").as_str()).expect("JSON");
            let step = new["step"].as_u64().expect("its number");
            newest.insert(step, (event.revision, new["output"].to_string()));
        }
        let steps = rows.into_iter().filter_map(|row| match row {
            Row::Step(_, step, row) => Some((step, (row.revision, row.output.as_str().to_owned()))),
            _ => None,
        });
        assert_eq!(steps.collect::<BTreeMap<_, _>>(), newest, "at {}", meta.revision);
    }
}

fn large(n: u64) -> Json {
    Json::new(format!("\"{n}{}\"", "x".repeat(LARGE)))
}

async fn set_large(store: &RedisStore, n: u64) {
    let set = Set {
        key: format!("k{n}").into(),
        value: large(n),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    };
    submit(store, Command::Set(set)).await;
}

pub async fn set_all_large(store: &RedisStore, count: u64) {
    for first in (0..count).step_by(4) {
        let some = (first..count.min(first + 4)).map(|n| set_large(store, n));
        futures::future::join_all(some).await;
    }
}

fn weight(part: &Part) -> usize {
    match part {
        Part::Row(Row::Key(_, row)) => row.value.as_str().len(),
        Part::Event(event) => event.new.as_ref().map_or(0, |new| new.as_str().len()),
        Part::Row(_) => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_go_out_and_in_piece_by_piece() {
    if !redis_server::is_installed("large values") {
        return;
    }
    const COUNT: u64 = 300;
    let server = RedisServer::start_with(&CLIENTS);
    let store = open(&server, "sidecar").await;
    set_all_large(&store, COUNT).await;
    let mut export = store.export(soon()).await.expect("an export");
    let meta = export.meta.clone();
    let target = Options { url: server.url(), prefix: "target".into(), ..Options::default() };
    let mut import = RedisImport::begin(target, meta.clone(), false).await.expect("an import");
    let (mut rows, mut events) = (Vec::new(), 0);
    while let Some(parts) = export.parts.next().await {
        let parts = parts.expect("parts");
        let bytes: usize = parts.iter().map(weight).sum();
        assert!(bytes <= BATCH_MAX, "{} parts of {bytes} bytes at once", parts.len());
        match &parts[0] {
            Part::Row(_) => rows.extend(parts),
            Part::Event(_) => {
                events += parts.len();
                // All rows at once: what it is given at a time is not its choice.
                let rows = std::mem::take(&mut rows);
                import.take(rows).await.expect("rows are taken");
                import.take(parts).await.expect("events are taken");
            }
        }
    }
    assert_eq!(events as u64, COUNT);
    Box::new(import).finish().await.expect("it is adopted");
    let target = open(&server, "target").await;
    assert_eq!(target.health().await.revision, meta.revision);
    let rows = all(target.export(soon()).await.expect("an export")).await.1;
    assert_eq!(rows.len() as u64, COUNT);
    let evicted = server.ask::<String>(&["INFO", "stats"]);
    assert!(evicted.contains("evicted_clients:0"), "{evicted}");
}

/// Calls of one command that the server has answered.
pub fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let beginning = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&*beginning));
    line.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().expect("a number"))
}

/// Reads the large value; the answer is remembered.
async fn remembered(store: &RedisStore, n: u64) {
    let command = Command::Transact(Transact {
        compare: Vec::new(),
        then: vec![Operation::Get { key: "k0".into() }],
        otherwise: Vec::new(),
        agent_id: None,
        fence: None,
    });
    let digest = codec::digest(&command);
    let idempotency = Some(Idempotency { key: format!("r{n}").into(), digest });
    let request = Request { command, idempotency, actor: None, random: 0, attempt: false };
    let reply = store.submit(request, soon()).await.expect("an answer");
    assert!(matches!(&reply, Reply::Transacted(done) if done.succeeded), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_one_moment_need_not_fit_into_one_page() {
    if !redis_server::is_installed("remembered answers") {
        return;
    }
    const COUNT: u64 = 20;
    let server = RedisServer::start();
    let options = Options { url: server.url(), prefix: "sidecar".into(), ..Options::default() };
    // Its clock stands, so that no time tells them apart.
    let clock = RedisClock::Given(ManualClock::at(1_700_000_000_000));
    let store = RedisStore::open(options, clock).await.expect("a server of our own");
    set_all_large(&store, 1).await;
    for n in 0..COUNT {
        remembered(&store, n).await;
    }
    let rows = all(store.export(soon()).await.expect("an export")).await.1;
    let names = rows.iter().filter_map(|row| match row {
        Row::Request(name, _) => Some(&**name),
        _ => None,
    });
    let mut all: Vec<String> = (0..COUNT).map(|n| format!("r{n}")).collect();
    all.sort();
    assert_eq!(names.collect::<Vec<_>>(), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_at_once_goes_in_pieces_that_redis_can_take() {
    if !redis_server::is_installed("large values that expire") {
        return;
    }
    const COUNT: u64 = 40;
    let server = RedisServer::start();
    let options = Options { url: server.url(), ..Options::default() };
    let clock = ManualClock::at(1_700_000_000_000);
    let given = RedisClock::Given(clock.clone());
    let store = RedisStore::open(options, given).await.expect("a server of our own");
    for n in 0..COUNT {
        let (key, value, ttl_ms) = (format!("k{n}").into(), large(n), Some(1_000));
        let (agent_id, if_revision, fence) = (None, None, None);
        submit(&store, Command::Set(Set { key, value, ttl_ms, agent_id, if_revision, fence }))
            .await;
    }
    clock.advance_ms(2_000);
    let mut left = COUNT;
    while store.due().await.sweep {
        let swept = submit(&store, Command::Sweep { limit: 1_000 }).await;
        let Reply::Swept { removed, more } = swept else { panic!("not swept: {swept:?}") };
        let bytes = u64::from(removed) * LARGE as u64;
        assert!(removed > 0 && bytes <= BATCH_MAX as u64 * 2, "{removed} at once");
        left -= u64::from(removed);
        assert_eq!(more, left > 0);
    }
    assert_eq!(left, 0);
}
