//! Exports beside writes: of one moment, without holding anything up, and in
//! bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use mcp_state_sidecar::access::{self, Access, Secret};
use mcp_state_sidecar::api::grpc;
use mcp_state_sidecar::machine::Row;
use mcp_state_sidecar::machine::command::{Operation, Transact};
use mcp_state_sidecar::machine::{Command, Event, Json, Text};
use mcp_state_sidecar::proto::sidecar::ExportRequest;
use mcp_state_sidecar::proto::sidecar::sidecar_client::SidecarClient;
use mcp_state_sidecar::service::{self, Service};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::export::Part;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::state::*;

type Chunks = Streaming<mcp_state_sidecar::proto::sidecar::ExportChunk>;

pub struct Server {
    url: String,
    store: Arc<dyn Store>,
    stop: CancellationToken,
}

impl Server {
    pub async fn start(store: Arc<dyn Store>, access: access::Options) -> Server {
        let service = Service::new(store.clone(), service::Options::default());
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = grpc::api(service, Access::new(access), stop.clone());
        let server = grpc::transport().add_service(api);
        tokio::spawn(server.serve_with_incoming(grpc::incoming(listener)));
        Server { url, store, stop }
    }

    async fn client(&self) -> SidecarClient<Channel> {
        SidecarClient::connect(self.url.clone()).await.unwrap()
    }

    pub async fn begin(&self) -> Result<Chunks, Status> {
        let reply = self.client().await.export(ExportRequest::default()).await;
        reply.map(tonic::Response::into_inner)
    }

    pub async fn export(&self) -> Vec<u8> {
        rest(self.begin().await.unwrap()).await.unwrap()
    }
}

pub async fn rest(mut chunks: Chunks) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        bytes.extend_from_slice(&chunk.data);
    }
    Ok(bytes)
}

fn in_file(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(open(&folder.path().join("state.db")))
}

/// Pairs that are written beside one export, at most: else a fast store would
/// write more than is ever read out.
const PAIRS_BESIDE: usize = 100;

/// Both keys get one number, in one transaction.
fn pair(number: u64) -> Command {
    let set = |key: &str| Operation::Set {
        key: key.into(),
        value: Json::new(number.to_string()),
        ttl_ms: None,
    };
    Command::Transact(Transact {
        compare: Vec::new(),
        then: vec![set("left"), set("right")],
        otherwise: Vec::new(),
        agent_id: None,
        fence: None,
    })
}

fn events(parts: &[Part]) -> Vec<&Event> {
    fn event(part: &Part) -> Option<&Event> {
        match part {
            Part::Event(event) => Some(event),
            Part::Row(_) => None,
        }
    }
    parts.iter().filter_map(event).collect()
}

/// The keys as the rows have them, and as the history leads to them.
fn keys(parts: &[Part]) -> (BTreeMap<Text, Json>, BTreeMap<Text, Json>) {
    let row = |part: &Part| match part {
        Part::Row(Row::Key(key, row)) => Some((key.clone(), row.value.clone())),
        Part::Row(_) | Part::Event(_) => None,
    };
    let mut replayed = BTreeMap::new();
    for event in events(parts) {
        match event.new.clone() {
            Some(value) => replayed.insert(event.subject.clone(), value),
            None => replayed.remove(&event.subject),
        };
    }
    (parts.iter().filter_map(row).collect(), replayed)
}

/// Each export is one moment of the history, whole pairs and all; `writes` is
/// written to meanwhile, which is the same state as `exports`.
pub async fn exports_under_load_are_moments(writes: Arc<dyn Store>, exports: Arc<dyn Store>) {
    let server = Server::start(exports, access::Options::default()).await;
    let (turns, (tell, mut written)) = (Arc::new(Semaphore::new(0)), watch::channel(0));
    let writing = {
        let turns = turns.clone();
        tokio::spawn(async move {
            for number in 1.. {
                let Ok(turn) = turns.acquire().await else { break };
                turn.forget();
                submit(&*writes, pair(number)).await;
                tell.send_replace(number);
            }
        })
    };
    let mut exports = Vec::new();
    while exports.len() < 20 {
        turns.add_permits(PAIRS_BESIDE);
        written.changed().await.unwrap();
        let before = *written.borrow_and_update();
        let bytes = server.export().await;
        let (header, _, parts) = read(&bytes).unwrap();
        let (rows, replayed) = keys(&parts);
        assert_eq!(rows, replayed, "rows are not of the history's end");
        assert_eq!(rows.get("left"), rows.get("right"), "a pair is torn");
        let number = rows.get("left").map_or(0, |value| value.as_str().parse().unwrap());
        assert!(number >= before, "older than its call: {number} after {before}");
        exports.push((header.meta, parts));
    }
    turns.close();
    writing.await.unwrap();
    let (_, _, all) = read(&server.export().await).unwrap();
    let all = events(&all);
    for (meta, parts) in &exports {
        let events = events(parts);
        assert_eq!(events[..], all[..events.len()], "another history");
        assert_eq!(events.last().map_or(meta.anchor.chain, |event| event.chain), meta.chain);
    }
    let moments: Vec<u64> = exports.iter().map(|(meta, _)| meta.revision.0).collect();
    assert!(moments.is_sorted() && moments[0] < moments[19], "no load: {moments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_of_memory_under_load_are_moments() {
    let store = Arc::new(Memory::new().store);
    exports_under_load_are_moments(store.clone(), store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_of_a_file_under_load_are_moments() {
    let folder = tempfile::tempdir().unwrap();
    let store = in_file(&folder);
    exports_under_load_are_moments(store.clone(), store.clone()).await;
    store.close().await;
}

/// Larger than all that can be on the way to a caller who takes nothing.
pub async fn fill_up(store: &dyn Store) {
    let value = format!("\"{}\"", "x".repeat(256 * 1024));
    for number in 0..64 {
        submit(store, set(&format!("large/{number}"), &value)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_stops_taking_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = in_file(&folder);
    fill_up(&*store).await;
    let server = Server::start(store.clone(), access::Options::default()).await;
    let mut chunks = server.begin().await.unwrap();
    let first = chunks.message().await.unwrap().unwrap().data;
    for number in 0..100 {
        submit(&*store, set("later", &number.to_string())).await;
    }
    let bytes = [&first[..], &rest(chunks).await.unwrap()].concat();
    let (header, tally, _) = read(&bytes).unwrap();
    assert_eq!((header.meta.revision.0, tally.keys), (64, 64));
    assert_eq!(revision(&server.export().await).0, 164);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_closes_breaks_off_exports_and_closes() {
    let folder = tempfile::tempdir().unwrap();
    for store in [in_file(&folder), Arc::new(Memory::new().store)] {
        fill_up(&*store).await;
        let server = Server::start(store.clone(), access::Options::default()).await;
        let mut chunks = server.begin().await.unwrap();
        chunks.message().await.unwrap().unwrap();
        tokio::time::timeout(PATIENCE, store.close()).await.unwrap();
        if store.health().await.backend == "sqlite" {
            let status = rest(chunks).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{status}");
        }
        let status = server.begin().await.expect_err("it is closed");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_breaks_off_exports() {
    let store = Arc::new(Memory::new().store);
    fill_up(&*store).await;
    let server = Server::start(store, access::Options::default()).await;
    let mut chunks = server.begin().await.unwrap();
    chunks.message().await.unwrap().unwrap();
    server.stop.cancel();
    let status = rest(chunks).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("stopping"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_export_waits_for_its_turn() {
    let store = Arc::new(Memory::new().store);
    fill_up(&*store).await;
    let server = Server::start(store, access::Options::default()).await;
    let first = server.begin().await.unwrap();
    let second = server.begin().await.unwrap();
    let status = server.begin().await.expect_err("a third");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("2 exports are under way"), "{status}");
    submit(&*server.store, set("k", "1")).await;
    rest(second).await.unwrap();
    server.export().await;
    // The caller goes away, which the server has to notice first.
    drop(first);
    let both = async {
        loop {
            if let (Ok(first), Ok(second)) = (server.begin().await, server.begin().await) {
                break (first, second);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
}

#[tokio::test]
async fn exports_are_for_administrators() {
    let options = access::Options {
        token: Some(Secret::new("user-token")),
        admin_token: Some(Secret::new("root-token")),
        ..Default::default()
    };
    let server = Server::start(Arc::new(Memory::filled().await.store), options).await;
    let ask = |token: &'static str, request: ExportRequest| {
        let mut request = Request::new(request);
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        async { server.client().await.export(request).await }
    };
    let status = ask("user-token", ExportRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("export needs the right to administer"), "{status}");
    let status = ask("no-token", ExportRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = ask("root-token", ExportRequest { timeout_ms: Some(0) }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let chunks = ask("root-token", ExportRequest::default()).await.unwrap().into_inner();
    let sizes = chunks.map(|chunk| chunk.unwrap().data.len());
    assert!(sizes.all(|size| async move { size > 0 && size <= 512 * 1024 }).await);
}
