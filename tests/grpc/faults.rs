//! Errors: each kind has the status and the code of the table in
//! `proto/sidecar.proto`, and a configured token is required.

use std::sync::Arc;

use mcp_state_sidecar::access::{self, Secret};
use mcp_state_sidecar::observe;
use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::proto::state::command::Command as Form;
use mcp_state_sidecar::proto::state::*;
use mcp_state_sidecar::store::{Store, StoreError};
use tonic::{Code, Request};

use crate::support::*;

async fn failing(behaviour: Behaviour) -> Server {
    Server::with(access::Options::default(), |store| {
        Around::new(store, behaviour) as Arc<dyn Store>
    })
    .await
}

#[tokio::test]
async fn what_a_rule_refuses_has_its_code() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let complete = Complete { run_id: "wf-none".into(), ..Default::default() };
    let status = client.submit(Form::Complete(complete)).await.unwrap_err();
    assert_eq!(code_of(&status), (Code::NotFound, "not_found"));
    assert_eq!(status.message(), "Workflow 'wf-none' not found");
}

#[tokio::test]
async fn faults_of_the_store_have_their_codes() {
    let why = || "no leader".to_owned();
    for (fault, code, name, text) in [
        (StoreError::Unavailable(why()), Code::Unavailable, "unavailable", "no leader"),
        (StoreError::Unknown(why()), Code::DeadlineExceeded, "outcome_unknown", "idempotency_key"),
        (StoreError::Storage(why()), Code::Internal, "internal", "storage failed"),
    ] {
        let server = failing(Behaviour::Fails(fault)).await;
        let mut client = server.client().await;
        let status = client.submit(set("k", "1")).await.unwrap_err();
        assert_eq!(code_of(&status), (code, name));
        assert!(status.message().contains(text), "{status}");
    }
}

#[tokio::test]
async fn a_read_without_a_quorum_is_unavailable_unless_the_nodes_own_state_will_do() {
    let server = failing(Behaviour::Fails(StoreError::Unavailable("no quorum".into()))).await;
    let mut client = server.client().await;
    let ask = |consistency: api::Consistency| api::AskRequest {
        question: Some(Question { question: Some(question::Question::Counts(CountsQuestion {})) }),
        consistency: consistency.into(),
        timeout_ms: None,
    };
    let status = client.0.ask(ask(api::Consistency::Linearizable)).await.unwrap_err();
    assert_eq!(code_of(&status), (Code::Unavailable, "unavailable"));
    client.0.ask(ask(api::Consistency::Local)).await.unwrap();
}

#[tokio::test]
async fn a_store_that_panics_is_an_error_and_the_server_goes_on() {
    let server = failing(Behaviour::Panics).await;
    let mut client = server.client().await;
    for _ in 0..3 {
        let status = client.submit(set("k", "1")).await.unwrap_err();
        assert_eq!(code_of(&status).1, "outcome_unknown");
        let ask = |consistency: api::Consistency| api::AskRequest {
            question: Some(Question {
                question: Some(question::Question::Counts(CountsQuestion {})),
            }),
            consistency: consistency.into(),
            timeout_ms: None,
        };
        let status = client.0.ask(ask(api::Consistency::Linearizable)).await.unwrap_err();
        assert_eq!(code_of(&status), (Code::Internal, "internal"));
        client.0.ask(ask(api::Consistency::Local)).await.unwrap();
    }
}

#[tokio::test]
async fn calls_are_counted_by_tool_and_outcome() {
    observe::install();
    let server = Server::start().await;
    let mut client = server.client().await;
    client.submit(set("k", "1")).await.unwrap();
    client.submit(set("k", "?")).await.unwrap_err();
    client.value("k").await;
    let page = observe::render(&server.service).await;
    for (tool, outcome) in
        [("state_set", "ok"), ("state_set", "invalid_argument"), ("state_get", "ok")]
    {
        let line = format!("sidecar_requests_total{{tool=\"{tool}\",outcome=\"{outcome}\"}}");
        assert!(page.contains(&line), "{line} is not in:\n{page}");
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_although_the_store_hangs() {
    let server = failing(Behaviour::Hangs).await;
    let mut client = server.client().await;
    let hurried = api::SubmitRequest { timeout_ms: Some(1), ..request(set("k", "1")) };
    let status = tokio::time::timeout(PATIENCE, client.send(hurried)).await.unwrap().unwrap_err();
    assert_eq!(code_of(&status), (Code::DeadlineExceeded, "outcome_unknown"));
}

#[tokio::test]
async fn after_the_store_is_closed_nothing_is_written() {
    let server = Server::start().await;
    let mut client = server.client().await;
    server.store.close().await;
    let status = client.submit(set("k", "1")).await.unwrap_err();
    assert_eq!(code_of(&status), (Code::Unavailable, "unavailable"));
}

#[tokio::test]
async fn a_token_is_required_on_every_call() {
    let options = access::Options { token: Some(Secret::new("s3cret")), ..Default::default() };
    let server = Server::with(options, |store| store).await;
    let mut client = server.client().await;
    let shown = |token: Option<&str>| {
        let mut request = Request::new(request(set("k", "1")));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token.parse().unwrap());
        }
        request
    };
    for wrong in [None, Some("Bearer other"), Some("s3cret")] {
        let status = client.0.submit(shown(wrong)).await.unwrap_err();
        assert_eq!(code_of(&status), (Code::Unauthenticated, "forbidden"), "{wrong:?}");
    }
    let status = client.0.status(api::StatusRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = client.0.watch(api::WatchRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let nothing = tokio_stream::iter(Vec::<api::SubmitRequest>::new());
    let status = client.0.pipeline(nothing).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    client.0.submit(shown(Some("Bearer s3cret"))).await.unwrap();
}

#[tokio::test]
async fn reset_needs_the_right_to_administer() {
    let options = access::Options {
        token: Some(Secret::new("user")),
        admin_token: Some(Secret::new("root")),
        ..Default::default()
    };
    let server = Server::with(options, |store| store).await;
    let mut client = server.client().await;
    let reset = |token: &str| {
        let mut request = Request::new(request(Form::Reset(Reset {})));
        let token = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        request
    };
    let status = client.0.submit(reset("user")).await.unwrap_err();
    assert_eq!(code_of(&status), (Code::PermissionDenied, "forbidden"));
    client.0.submit(reset("root")).await.unwrap();
}
