//! A state with something of every kind in it, and short forms for moving it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mcp_state_sidecar::codec;
use mcp_state_sidecar::export::{
    ExportCounts, ExportDecodeError, ExportDecoder, ExportHeader, ExportOrigin, encode,
};
use mcp_state_sidecar::machine::command::*;
use mcp_state_sidecar::machine::timetable::{Overlap, Timetable};
use mcp_state_sidecar::machine::{Command, Json, Reply, Revision};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::export::{Part, StoreImport};
use mcp_state_sidecar::store::memory::MemoryStore;
use mcp_state_sidecar::store::sqlite::{Options, SqliteImport, SqliteStore};
use mcp_state_sidecar::store::{Request, Store, StoreError, clock};
use mcp_state_sidecar::sweep;
use tokio::time::Instant;

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

const START_MS: u64 = 1_700_000_000_000;

/// Text that is easily damaged on the way: quotes, line breaks of all kinds,
/// NUL, the ends of Unicode's planes.
pub const ODD: &str = "\0 \"'\\ \n\r\u{2028}\u{85} \u{7f}\u{1b} \u{ffff} é 🦀 \u{10ffff}%*{";

/// Values that a number type, a map or a printer would change.
pub const ODD_VALUES: &[&str] = &[
    "123456789012345678901234567890.00e-7000",
    "-0",
    "1.50",
    " [ 1 ,\n2 ] ",
    "{\"b\":1,\"a\":2,\"b\":3}",
    "\"\\u0041\\ud800\\u0000\"",
    "\"\u{2028}\u{10ffff}\"",
    "null",
];

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A memory store on a clock that the test moves.
pub struct Memory {
    pub clock: Arc<ManualClock>,
    pub store: MemoryStore,
}

impl Memory {
    pub fn new() -> Memory {
        let clock = ManualClock::at(START_MS);
        Memory { store: MemoryStore::new(clock.clone()), clock }
    }

    /// With something of every kind.
    pub async fn filled() -> Memory {
        let memory = Memory::new();
        fill(&memory.store, &memory.clock).await;
        memory
    }
}

pub async fn submit(store: &dyn Store, command: Command) -> Reply {
    submit_as(store, command, None).await
}

async fn submit_as(store: &dyn Store, command: Command, key: Option<&str>) -> Reply {
    let digest = codec::digest(&command);
    let idempotency = key.map(|key| Idempotency { key: key.into(), digest });
    let request =
        Request { command, idempotency, actor: Some(ODD.into()), random: 77, attempt: false };
    store.submit(request, soon()).await.unwrap()
}

pub fn set(key: &str, value: &str) -> Command {
    Command::Set(Set {
        key: key.into(),
        value: Json::new(value),
        ttl_ms: None,
        agent_id: None,
        if_revision: None,
        fence: None,
    })
}

fn create(name: &str, parent_run_id: Option<&str>) -> Command {
    Command::Create(Create {
        name: name.into(),
        tags: [(ODD.into(), "1".into()), ("a".into(), ODD.into())].into(),
        input: Some(Json::new(ODD_VALUES[0])),
        priority: i64::MIN,
        delay_ms: Some(5),
        max_attempts: u32::MAX,
        parent_run_id: parent_run_id.map(Into::into),
        ..Default::default()
    })
}

async fn run(store: &dyn Store, name: &str, parent: Option<&str>) -> String {
    match submit(store, create(name, parent)).await {
        Reply::Created { run_id, .. } => run_id.to_string(),
        other => panic!("not created: {other:?}"),
    }
}

/// Every kind of row and event, some of them gone again.
pub async fn fill(store: &dyn Store, clock: &ManualClock) {
    for (at, value) in ODD_VALUES.iter().enumerate() {
        submit(store, set(&format!("odd/{at}"), value)).await;
    }
    for key in ["", ODD, "deleted"] {
        submit_as(store, set(key, "1"), Some(ODD)).await;
        submit_as(store, set(key, "2"), None).await;
    }
    let (key, agent_id) = ("deleted".into(), Some("agent".into()));
    submit(store, Command::Delete(Delete { key, agent_id, if_revision: None, fence: None })).await;
    let fleeting = |key: &str, ttl_ms| match set(key, "1") {
        Command::Set(set) => Command::Set(Set { ttl_ms: Some(ttl_ms), ..set }),
        other => other,
    };
    submit(store, fleeting("expires", 1_000)).await;
    submit(store, fleeting("outlives", u64::MAX)).await;
    let get = |key: &str| Operation::Get { key: key.into() };
    let transact = Transact {
        compare: Vec::new(),
        then: ["odd/0", "odd/5", ODD, "nothing"].map(get).into(),
        otherwise: Vec::new(),
        agent_id: None,
        fence: None,
    };
    submit_as(store, Command::Transact(transact), Some("transact")).await;
    fill_runs(store, clock).await;
    for resource_id in ["", ODD] {
        let (resource_id, holder_id) = (resource_id.into(), ODD.into());
        submit(
            store,
            Command::Acquire(Acquire {
                resource_id,
                holder_id,
                ttl_ms: 9_999,
                ..Default::default()
            }),
        )
        .await;
    }
    let renew = Renew {
        resource_id: ODD.into(),
        holder_id: ODD.into(),
        ttl_ms: 99_999,
        fencing_token: None,
    };
    submit(store, Command::Renew(renew)).await;
    for session_id in ["s", ODD] {
        let context = Json::new("{\"b\": 1.0,\"a\":\n2}");
        let (session_id, agent_id, fence) = (session_id.into(), None, None);
        let save = SaveSession { session_id, context, agent_id, fence, ttl_ms: None };
        submit(store, Command::SaveSession(save)).await;
    }
    fill_schedules(store).await;
    clock.advance_ms(1_000);
    submit(store, Command::Sweep { limit: 100 }).await;
    sweep::fire(store, &sweep::Options::default()).await.unwrap();
}

/// One that fires by and by, and one that does not.
async fn fill_schedules(store: &dyn Store) {
    let cron = Timetable::Cron { expression: "@daily".into(), time_zone: "Europe/Berlin".into() };
    for (name, timetable) in [("s", Timetable::Every { ms: 1_000 }), (ODD, cron)] {
        let Command::Create(template) = create(ODD, None) else { panic!("no template") };
        let (overlap, first_at, agent_id) = (Overlap::Replace, None, Some(ODD.into()));
        let name = name.into();
        let set = SetSchedule { name, timetable, template, overlap, first_at, agent_id };
        submit(store, Command::SetSchedule(Box::new(set))).await;
    }
}

async fn fill_runs(store: &dyn Store, clock: &ManualClock) {
    let waiting = run(store, ODD, None).await;
    let child = run(store, "child", Some(&waiting)).await;
    let failing = run(store, "failing", None).await;
    clock.advance_ms(5);
    let claim = |run_id: &str| {
        Command::Claim(Claim { run_id: run_id.into(), agent_id: ODD.into(), claim_ttl_ms: 300_000 })
    };
    submit(store, claim(&child)).await;
    let claimant = Claimant::default;
    for (step, output) in [(0, "1"), (u64::from(u32::MAX), ODD_VALUES[3]), (7, "null")] {
        let (run_id, output) = (child.as_str().into(), Json::new(output));
        let checkpoint = Checkpoint { run_id, step, output, claimant: claimant(), ask: None };
        submit(store, Command::Checkpoint(checkpoint)).await;
    }
    let result = Some(Json::new(ODD_VALUES[4]));
    let run_id = child.as_str().into();
    submit(
        store,
        Command::Complete(Complete { run_id, result, claimant: claimant(), ..Complete::default() }),
    )
    .await;
    submit(store, claim(&failing)).await;
    let run_id = failing.as_str().into();
    let fail =
        Fail { run_id, error: ODD.into(), retry: true, claimant: claimant(), ..Default::default() };
    submit(store, Command::Fail(fail)).await;
}

/// A whole export.
pub async fn export(store: &dyn Store) -> Vec<u8> {
    let backend = store.health().await.backend;
    let export = store.export(soon()).await.unwrap();
    let bytes = encode(export, ExportOrigin::here(backend));
    let bytes: Vec<_> = bytes.map(|bytes| bytes.unwrap()).collect().await;
    bytes.concat()
}

/// Reads a stream, a few bytes at a time.
pub fn read(bytes: &[u8]) -> Result<(ExportHeader, ExportCounts, Vec<Part>), ExportDecodeError> {
    let (mut reader, mut parts) = (ExportDecoder::new(), Vec::new());
    for piece in bytes.chunks(1_000) {
        reader.feed(piece, &mut parts)?;
    }
    let (header, tally) = reader.finish()?;
    Ok((header, tally, parts))
}

/// Imports a stream that is whole.
pub async fn import(path: &Path, bytes: &[u8], replace: bool) -> Result<(), StoreError> {
    let (header, _, parts) = read(bytes).unwrap();
    let mut import = SqliteImport::begin(path, header.meta, replace).unwrap();
    for parts in parts.chunks(7) {
        import.take(parts.to_vec()).await?;
    }
    Box::new(import).finish().await
}

pub fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default(), clock::system()).unwrap()
}

/// What the file holds, as a stream.
pub async fn export_of(path: &Path) -> Vec<u8> {
    let store = open(path);
    let bytes = export(&store).await;
    store.close().await;
    bytes
}

/// What must be the same wherever a state is: all but the store's name and,
/// with that, the checksum.
pub fn essence(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (before, after) = lines[0].split_once("\"backend\":\"").unwrap();
    lines[0] = format!("{before}{}", after.split_once('"').unwrap().1);
    let last = lines.pop().unwrap();
    lines.push(last.split_once("\"sha256\"").unwrap().0.to_owned());
    lines
}

/// The position that the stream says it ends at.
pub fn revision(bytes: &[u8]) -> Revision {
    read(bytes).unwrap().0.meta.revision
}
