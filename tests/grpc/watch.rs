//! Watches: every change arrives once and in order, from the revision that the
//! caller names.

use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::proto::state::*;
use tonic::{Code, Streaming};

use crate::support::*;

async fn watch(
    client: &mut Client,
    filter: change_filter::Filter,
    after_revision: Option<u64>,
) -> Streaming<api::WatchReply> {
    let filter = Some(ChangeFilter { filter: Some(filter) });
    client.0.watch(api::WatchRequest { filter, after_revision }).await.unwrap().into_inner()
}

async fn next(watch: &mut Streaming<api::WatchReply>) -> api::WatchReply {
    let message = tokio::time::timeout(PATIENCE, watch.message()).await.expect("in time");
    message.unwrap().expect("a watch does not end")
}

/// The next `number` changes, each as its key and value.
async fn changes(watch: &mut Streaming<api::WatchReply>, number: usize) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    while seen.len() < number {
        let reply = next(watch).await;
        assert!(!reply.missed);
        seen.extend(
            reply
                .events
                .into_iter()
                .map(|event| (event.subject, event.new.unwrap_or_else(|| "gone".into()))),
        );
    }
    seen
}

#[tokio::test]
async fn changes_after_now_come_as_they_happen() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.submit(set("a:before", "0")).await.unwrap();
    let mut watch = watch(&mut client, change_filter::Filter::Prefix("a:".into()), None).await;
    let start = next(&mut watch).await;
    assert_eq!((start.revision, start.events.len()), (1, 0), "says where it starts");
    let mut expected = Vec::new();
    for number in 0..50 {
        let value = number.to_string();
        client.submit(set("a:1", &value)).await.unwrap();
        client.submit(set("other", &value)).await.unwrap();
        expected.push(("a:1".to_owned(), value));
    }
    let delete = Delete { key: "a:1".into(), ..Default::default() };
    client.submit(command::Command::Delete(delete)).await.unwrap();
    expected.push(("a:1".to_owned(), "gone".to_owned()));
    assert_eq!(changes(&mut watch, 51).await, expected);
}

#[tokio::test]
async fn a_watch_goes_on_where_another_left_off() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let key = || change_filter::Filter::Key("k".into());
    for value in ["1", "2", "3"] {
        client.submit(set("k", value)).await.unwrap();
    }
    let mut first = watch(&mut client, key(), Some(0)).await;
    assert_eq!(changes(&mut first, 3).await.len(), 3);
    drop(first);
    client.submit(set("k", "4")).await.unwrap();
    let mut second = watch(&mut client, key(), Some(3)).await;
    assert_eq!(changes(&mut second, 1).await, [("k".to_owned(), "4".to_owned())]);
}

#[tokio::test]
async fn large_changes_come_in_messages_that_a_client_takes() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let value = format!("\"{}\"", "v".repeat(900_000));
    for _ in 0..6 {
        client.submit(set("k", &value)).await.unwrap();
    }
    let mut plain = Client(api::sidecar_client::SidecarClient::new(server.channel().await));
    let mut watch = watch(&mut plain, change_filter::Filter::Key("k".into()), Some(0)).await;
    let mut revisions = Vec::new();
    while revisions.len() < 6 {
        revisions.extend(next(&mut watch).await.events.iter().map(|event| event.revision));
    }
    assert_eq!(revisions, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn what_the_history_no_longer_holds_is_said_to_be_missed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.submit(set("k", "1")).await.unwrap();
    client.submit(command::Command::Reset(Reset {})).await.unwrap();
    let mut watch = watch(&mut client, change_filter::Filter::Key("k".into()), Some(0)).await;
    let reply = next(&mut watch).await;
    assert!(reply.missed && reply.events.is_empty(), "{reply:?}");
    client.submit(set("k", "2")).await.unwrap();
    let reply = next(&mut watch).await;
    assert!(!reply.missed, "said once");
    assert_eq!(reply.events[0].new.as_deref(), Some("2"));
}

#[tokio::test]
async fn watches_end_when_the_server_stops() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let mut watch = watch(&mut client, change_filter::Filter::Key("k".into()), None).await;
    next(&mut watch).await;
    server.stop.cancel();
    let ended = tokio::time::timeout(PATIENCE, watch.message()).await.expect("in time");
    assert_eq!(code_of(&ended.unwrap_err()), (Code::Unavailable, "unavailable"));
}

#[tokio::test]
async fn a_watch_of_nothing_is_refused() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for filter in [
        None,
        Some(ChangeFilter { filter: None }),
        Some(ChangeFilter { filter: Some(change_filter::Filter::Key("k".repeat(1025))) }),
    ] {
        let request = api::WatchRequest { filter, after_revision: None };
        let status = client.0.watch(request).await.unwrap_err();
        assert!(["invalid_argument", "too_large"].contains(&code_of(&status).1), "{status}");
    }
}
