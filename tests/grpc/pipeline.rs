//! Pipelines: they are bounded, each reply has the id of its request, and an error
//! does not end them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcp_state_sidecar::access;
use mcp_state_sidecar::api::grpc::PIPELINE_IN_FLIGHT_MAX;
use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::proto::state::*;
use mcp_state_sidecar::store::Store;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::support::*;

/// The next reply; `None` after the call has ended.
async fn next(replies: &mut Streaming<api::SubmitReply>) -> Option<api::SubmitReply> {
    let message = tokio::time::timeout(PATIENCE, replies.message()).await.expect("in time");
    message.unwrap()
}

fn numbered(id: u64) -> api::SubmitRequest {
    api::SubmitRequest { id, ..request(set(&format!("k{id:05}"), &id.to_string())) }
}

#[tokio::test]
async fn five_thousand_are_carried_out_with_a_bounded_number_in_flight() {
    const COMMANDS: u64 = 5_000;
    let gate = Arc::new(Semaphore::new(0));
    let mut around = None;
    let server = Server::with(access::Options::default(), |store| {
        let store = Around::new(store, Behaviour::Held(gate.clone()));
        around = Some(store.clone());
        store as Arc<dyn Store>
    })
    .await;
    let around = around.unwrap();
    let mut client = server.client().await;
    let requests = tokio_stream::iter((0..COMMANDS).map(numbered));
    let mut replies = client.0.pipeline(requests).await.unwrap().into_inner();
    let under_way = || around.under_way.load(Ordering::SeqCst);
    until("as many are under way as may be", || under_way() == PIPELINE_IN_FLIGHT_MAX).await;
    assert_eq!(server.service.load().0, PIPELINE_IN_FLIGHT_MAX);

    gate.add_permits(COMMANDS as usize);
    let mut ids = BTreeSet::new();
    while let Some(reply) = next(&mut replies).await {
        let Some(api::submit_reply::Outcome::Reply(_)) = reply.outcome else { panic!("{reply:?}") };
        assert!(ids.insert(reply.id), "{} was answered twice", reply.id);
    }
    assert_eq!(around.most_under_way.load(Ordering::SeqCst), PIPELINE_IN_FLIGHT_MAX);
    assert!(ids.into_iter().eq(0..COMMANDS), "every command was answered");
    assert_eq!(client.value("k04999").await.as_deref(), Some("4999"));
}

#[tokio::test]
async fn a_command_that_fails_has_a_fault_and_the_others_go_on() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let requests = vec![
        numbered(1),
        api::SubmitRequest { id: 2, ..request(set("k", "not json")) },
        api::SubmitRequest { id: 3, ..Default::default() },
        api::SubmitRequest { id: 4, ..request(command::Command::Sweep(Sweep { limit: 1 })) },
        numbered(5),
    ];
    let requests = tokio_stream::iter(requests);
    let mut stream = client.0.pipeline(requests).await.unwrap().into_inner();
    let mut replies = Vec::new();
    while let Some(reply) = next(&mut stream).await {
        replies.push(reply);
    }
    replies.sort_by_key(|reply| reply.id);
    let codes: Vec<_> = replies
        .iter()
        .map(|reply| match reply.outcome.as_ref().unwrap() {
            api::submit_reply::Outcome::Reply(_) => "ok",
            api::submit_reply::Outcome::Fault(fault) => {
                assert!(!fault.message.is_empty() && !fault.retryable);
                fault.code.as_str()
            }
        })
        .collect();
    assert_eq!(codes, ["ok", "invalid_argument", "invalid_argument", "forbidden", "ok"]);
}

#[tokio::test]
async fn replies_come_while_requests_are_still_sent_and_in_any_order() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let (send, requests) = mpsc::channel(4);
    let waiting = ClaimNext { agent_id: "w".into(), ..Default::default() };
    let waiting = api::SubmitRequest {
        id: 1,
        wait_ms: Some(50_000),
        ..request(command::Command::ClaimNext(waiting))
    };
    send.send(waiting).await.unwrap();
    let requests = ReceiverStream::new(requests);
    let mut replies = client.0.pipeline(requests).await.unwrap().into_inner();
    send.send(numbered(2)).await.unwrap();
    assert_eq!(next(&mut replies).await.unwrap().id, 2, "it does not wait for the first");
    let create = Create { name: "n".into(), ..Default::default() };
    let create = api::SubmitRequest { id: 3, ..request(command::Command::Create(create)) };
    send.send(create).await.unwrap();
    let mut rest = [0; 2];
    for id in &mut rest {
        *id = next(&mut replies).await.unwrap().id;
    }
    rest.sort();
    assert_eq!(rest, [1, 3]);
    drop(send);
    assert!(next(&mut replies).await.is_none(), "the call ends after the last reply");
}

#[tokio::test]
async fn a_pipeline_ends_when_the_server_stops_with_every_command_answered() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::with(access::Options::default(), |store| {
        Around::new(store, Behaviour::Held(gate.clone())) as Arc<dyn Store>
    })
    .await;
    let mut client = server.client().await;
    let (send, requests) = mpsc::channel(4);
    for id in [1, 2] {
        send.send(numbered(id)).await.unwrap();
    }
    let requests = ReceiverStream::new(requests);
    let mut replies = client.0.pipeline(requests).await.unwrap().into_inner();
    until("both are under way", || server.service.load().0 == 2).await;
    server.stop.cancel();
    gate.add_permits(2);
    let mut ids = BTreeSet::new();
    while let Some(reply) = next(&mut replies).await {
        ids.insert(reply.id);
    }
    assert_eq!(ids, [1, 2].into());
}

#[tokio::test]
async fn a_pipeline_that_sends_nothing_ends_well() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let nothing = tokio_stream::iter(Vec::<api::SubmitRequest>::new());
    let mut replies = client.0.pipeline(nothing).await.unwrap().into_inner();
    assert!(next(&mut replies).await.is_none());
}
