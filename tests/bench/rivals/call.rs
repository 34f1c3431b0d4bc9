//! The one call that a row repeats, in the form in which each load generator takes it.

use mcp_state_sidecar::proto::sidecar::{AskRequest, SubmitRequest};
use mcp_state_sidecar::proto::state;
use prost::Message;

use crate::etcd::{PutRequest, RangeRequest};
use crate::http::SESSION;
use crate::load::Operation;

/// All calls are about this key.
pub const KEY: &str = "bench/hot";

const VALUE_BYTES: usize = 256;

/// What a message over gRPC is preceded by: whether it is compressed, and its length.
pub const FRAME_BYTES: usize = 5;

pub fn value() -> String {
    "v".repeat(VALUE_BYTES)
}

/// Path and body of a call to our nodes over gRPC.
pub fn grpc(operation: Operation) -> (&'static str, Vec<u8>) {
    match operation {
        Operation::Write => ("/sidecar.v1.Sidecar/Submit", frame(&submit())),
        Operation::Read | Operation::Notice => ("/sidecar.v1.Sidecar/Ask", frame(&ask())),
    }
}

/// Path and body of a call to etcd.
pub fn etcd(operation: Operation) -> (&'static str, Vec<u8>) {
    let key = KEY.into();
    match operation {
        Operation::Write => {
            ("/etcdserverpb.KV/Put", frame(&PutRequest { key, value: value().into() }))
        }
        Operation::Read | Operation::Notice => {
            ("/etcdserverpb.KV/Range", frame(&RangeRequest { key }))
        }
    }
}

fn frame(message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.encoded_len() as u32).to_be_bytes());
    frame.extend(message.encode_to_vec());
    frame
}

fn submit() -> SubmitRequest {
    let set =
        state::Set { key: KEY.into(), value: format!("\"{}\"", value()), ..Default::default() };
    let command = Some(state::Command { command: Some(state::command::Command::Set(set)) });
    SubmitRequest { command, ..Default::default() }
}

fn ask() -> AskRequest {
    let question = state::question::Question::Key(state::KeyQuestion { key: KEY.into() });
    let question = Some(state::Question { question: Some(question) });
    AskRequest { question, ..Default::default() }
}

/// What `wrk` is to send, and to tell at its end, as a script in Lua. A server with
/// sessions takes no two calls of the same number at a time, so that each has another;
/// for the others the call is made once, which costs `wrk` less.
pub fn mcp_script(operation: Operation, session: Option<&str>) -> String {
    let call = match operation {
        Operation::Write => {
            format!(r#""name":"state_set","arguments":{{"key":"{KEY}","value":"{}"}}"#, value())
        }
        Operation::Read | Operation::Notice => {
            format!(r#""name":"state_get","arguments":{{"key":"{KEY}"}}"#)
        }
    };
    let sending = match session {
        None => "wrk.body = body(1)".to_owned(),
        Some(session) => format!(
            r#"wrk.headers["{SESSION}"] = "{session}"
local id = 1
function request()
    id = id + 1
    return wrk.format(nil, nil, nil, body(id))
end"#
        ),
    };
    format!(
        r#"wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/json, text/event-stream"
wrk.headers["mcp-protocol-version"] = "2025-06-18"
local function body(id)
    return '{{"jsonrpc":"2.0","id":' .. id .. ',"method":"tools/call","params":{{{call}}}}}'
end
{sending}
function done(summary, latency)
    local e = summary.errors
    local failed = e.connect + e.read + e.write + e.status + e.timeout
    print(string.format("calls %d failed %d bytes %d", summary.requests, failed, summary.bytes))
    for at = 1, #latency do
        local took, count = latency(at)
        print(string.format("took %d calls %d", took, count))
    end
end
"#
    )
}
