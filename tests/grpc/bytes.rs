//! Bytes that no generated client would send: malformed, cut off, too long, or with
//! fields that a caller must not set.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use mcp_state_sidecar::proto::sidecar as api;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http;
use tonic::transport::Channel;

use crate::support::*;

const GRPC: &str = "application/grpc";
const SUBMIT: &str = "sidecar.v1.Sidecar/Submit";

/// The gRPC status and the contract's code in the answer to raw bytes.
async fn raw(channel: &mut Channel, path: &str, kind: &str, body: Vec<u8>) -> (String, String) {
    let body = Body::new(Full::new(Bytes::from(body)));
    let request = http::Request::post(format!("http://sidecar/{path}"))
        .header("content-type", kind)
        .header("te", "trailers")
        .body(body)
        .unwrap();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    let response = channel.call(request).await.unwrap();
    let headers = response.headers().clone();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let read = |name| {
        let value = headers.get(name).or(trailers.get(name));
        value.map_or(String::from("none"), |value| value.to_str().unwrap().into())
    };
    match read("grpc-status") {
        none if none == "none" => (format!("HTTP {status}"), read("sidecar-code")),
        grpc => (grpc, read("sidecar-code")),
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[0], &length[..], message].concat()
}

#[tokio::test]
async fn bytes_that_are_not_a_message() {
    let server = Server::start().await;
    let mut channel = server.channel().await;
    let whole = request(set("k", "1")).encode_to_vec();
    let invalid = ("3".to_owned(), "invalid_argument".to_owned());

    let truncated = frame(&whole[..whole.len() - 1]);
    assert_eq!(raw(&mut channel, SUBMIT, GRPC, truncated).await, invalid);
    let at = whole.windows(1).rposition(|byte| byte == b"k").unwrap();
    let mut not_utf_8 = whole.clone();
    not_utf_8[at] = 0xff;
    assert_eq!(raw(&mut channel, SUBMIT, GRPC, frame(&not_utf_8)).await, invalid);
    assert_eq!(raw(&mut channel, SUBMIT, GRPC, frame(&[0xff; 64])).await, invalid);
    let mut cut_off = frame(&whole);
    cut_off.truncate(8);
    assert_ne!(raw(&mut channel, SUBMIT, GRPC, cut_off).await.0, "0");
    assert_ne!(raw(&mut channel, SUBMIT, GRPC, Vec::new()).await.0, "0");
    assert_ne!(raw(&mut channel, SUBMIT, GRPC, vec![1, 2, 3]).await.0, "0");
    assert_ne!(raw(&mut channel, SUBMIT, "application/json", b"{}".to_vec()).await.0, "0");
    let unknown = raw(&mut channel, "sidecar.v1.Sidecar/Stop", GRPC, frame(&whole)).await;
    assert_eq!(unknown.0, "12", "unimplemented");
    let unknown = raw(&mut channel, "sidecar.v2.Sidecar/Submit", GRPC, frame(&whole)).await;
    assert_eq!(unknown.0, "12", "unimplemented");

    let mut client = server.client().await;
    assert_eq!(client.value("k").await, None);
    assert_eq!(raw(&mut channel, SUBMIT, GRPC, frame(&whole)).await.0, "0", "as it should be");
    assert_eq!(client.value("k").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn fields_that_are_not_the_callers_to_set() {
    use mcp_state_sidecar::proto::record;
    let server = Server::start().await;
    let mut channel = server.channel().await;
    // The fields of a node's own records, which hold the origin and the clocks,
    // under their own numbers and under unused ones.
    let origin = record::Origin { session: 1, sequence: 2, lowest: 1 }.encode_to_vec();
    let whole = request(set("k", "1")).encode_to_vec();
    let envelope = record::Envelope {
        origin: Some(record::Origin { session: 1, sequence: 2, lowest: 1 }),
        random: 7,
        wall_ms: 1,
        clock_ms: u64::MAX,
        command: command(set("k", "1")),
        ..Default::default()
    };
    let with_origin = [&whole[..], &[0x7a, origin.len() as u8], &origin].concat();
    let with_clock = [&whole[..], &[0x40, 1]].concat();
    for body in [envelope.encode_to_vec(), with_origin, with_clock] {
        let outcome = raw(&mut channel, SUBMIT, GRPC, frame(&body)).await;
        assert_eq!(outcome, ("3".to_owned(), "invalid_argument".to_owned()));
    }
    assert_eq!(server.client().await.value("k").await, None);
}

#[tokio::test]
async fn a_message_too_large_to_read() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let value = format!("\"{}\"", "x".repeat(17 * 1024 * 1024));
    let status = client.submit(set("k", &value)).await.unwrap_err();
    assert_eq!(code_of(&status), (tonic::Code::OutOfRange, "too_large"));
    client.submit(set("k", "1")).await.expect("serves on");
}

#[tokio::test]
async fn a_malformed_message_ends_a_pipeline_after_the_replies_before_it() {
    let server = Server::start().await;
    let mut channel = server.channel().await;
    let good = api::SubmitRequest { id: 7, ..request(set("k", "1")) }.encode_to_vec();
    let body = [frame(&good), frame(&[0xff; 8]), frame(&good)].concat();
    let path = "sidecar.v1.Sidecar/Pipeline";
    let outcome = raw(&mut channel, path, GRPC, body).await;
    assert_eq!(outcome, ("3".to_owned(), "invalid_argument".to_owned()));
    assert_eq!(server.client().await.value("k").await.as_deref(), Some("1"));
}
