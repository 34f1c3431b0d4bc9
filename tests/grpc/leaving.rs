//! Clients that go away in the middle of a call: admitted commands are carried out
//! whole, nothing is left behind, and other clients are served.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcp_state_sidecar::access;
use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::store::Store;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::support::*;

async fn held() -> (Server, Arc<Semaphore>, Arc<Around>) {
    let gate = Arc::new(Semaphore::new(0));
    let mut around = None;
    let server = Server::with(access::Options::default(), |store| {
        let store = Around::new(store, Behaviour::Held(gate.clone()));
        around = Some(store.clone());
        store as Arc<dyn Store>
    })
    .await;
    (server, gate, around.unwrap())
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_write_does_no_harm() {
    let (server, gate, _around) = held().await;
    let mut leaver = server.client().await;
    let leaving = tokio::spawn(async move { leaver.submit(set("k", "1")).await });
    until("the write is under way", || server.service.load().0 == 1).await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    gate.add_permits(10);
    until("nothing is under way", || server.service.load() == (0, 0)).await;
    let mut client = server.client().await;
    assert_eq!(client.value("k").await.as_deref(), Some("1"), "it was carried out whole");
    client.submit(set("l", "1")).await.unwrap();
}

#[tokio::test]
async fn a_pipeline_that_breaks_off_does_no_harm() {
    const COMMANDS: usize = 40;
    let (server, gate, around) = held().await;
    let mut leaver = server.client().await;
    let (send, requests) = mpsc::channel(COMMANDS);
    for id in 0..COMMANDS as u64 {
        let form = set(&format!("k{id}"), "1");
        send.send(api::SubmitRequest { id, ..request(form) }).await.unwrap();
    }
    let replies = leaver.0.pipeline(ReceiverStream::new(requests)).await.unwrap();
    until("all are under way", || around.under_way.load(Ordering::SeqCst) == COMMANDS).await;
    drop((replies, send, leaver));
    gate.add_permits(COMMANDS + 1);
    until("nothing is under way", || server.service.load() == (0, 0)).await;
    let mut client = server.client().await;
    for id in 0..COMMANDS {
        assert_eq!(client.value(&format!("k{id}")).await.as_deref(), Some("1"));
    }
    client.submit(set("k", "2")).await.unwrap();
}

#[tokio::test]
async fn a_waiting_call_ends_when_its_client_leaves() {
    let server = Server::start().await;
    let mut leaver = server.client().await;
    let next =
        mcp_state_sidecar::proto::state::ClaimNext { agent_id: "w".into(), ..Default::default() };
    let form = mcp_state_sidecar::proto::state::command::Command::ClaimNext(next);
    let waiting = api::SubmitRequest { wait_ms: Some(50_000), ..request(form) };
    let waiting = tokio::spawn(async move { leaver.send(waiting).await });
    until("it waits", || server.service.load().1 == 1).await;
    waiting.abort();
    until("it waits no longer", || server.service.load().1 == 0).await;
}

#[tokio::test]
async fn a_watcher_that_leaves_is_forgotten() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let filter = mcp_state_sidecar::proto::state::change_filter::Filter::Prefix("".into());
    let filter = Some(mcp_state_sidecar::proto::state::ChangeFilter { filter: Some(filter) });
    let request = api::WatchRequest { filter, after_revision: None };
    let mut watch = client.0.watch(request).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    until("it waits", || server.service.load().1 == 1).await;
    drop(watch);
    until("it waits no longer", || server.service.load().1 == 0).await;
}
