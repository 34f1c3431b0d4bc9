//! The fast path answers just as rmcp does. The same requests, listed and
//! generated, go to two nodes that differ in nothing else, and the status, headers
//! and body of the answers are compared. `SEED` repeats a run.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use mcp_state_sidecar::access::{Access, Options as AccessOptions};
use mcp_state_sidecar::api;
use mcp_state_sidecar::api::mcp::tools::Toolset;
use mcp_state_sidecar::api::mcp::{endpoint, fast_path};
use mcp_state_sidecar::service::{Options, RandomSource, Service};
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::memory::MemoryStore;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tower::ServiceExt;

const LATEST: &str = "2026-07-28";
const GENERATED: usize = 3_000;

type Headers = Vec<(String, String)>;

/// Two nodes that differ only in whether they have the fast path.
struct ComparedNodes {
    with: Router,
    without: Router,
    /// How many requests took the fast path.
    taken: usize,
    sent: usize,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl ComparedNodes {
    fn new() -> ComparedNodes {
        ComparedNodes { with: node(true), without: node(false), taken: 0, sent: 0 }
    }

    async fn compare(&mut self, headers: &Headers, body: &[u8]) {
        let request = || {
            let mut request = Request::post("/mcp");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.body(Body::from(body.to_vec()))
        };
        // Some generated headers are not valid HTTP.
        let Ok(sent) = request() else { return };
        let (parts, _) = sent.into_parts();
        let bytes = Bytes::copy_from_slice(body);
        self.taken += usize::from(fast_path::recognise(&parts, &bytes, Toolset::all()).is_some());
        self.sent += 1;
        let with = answer(&self.with, request().expect("it was built before")).await;
        let without = answer(&self.without, request().expect("it was built before")).await;
        let shown = format!("{headers:?}\n{}", String::from_utf8_lossy(body));
        assert_eq!(with.status, without.status, "{shown}\n{}\n{}", with.body, without.body);
        assert_eq!(with.headers, without.headers, "{shown}");
        assert_eq!(with.body, without.body, "{shown}");
    }
}

fn node(fast_path: bool) -> Router {
    let clock = ManualClock::at(1_700_000_000_000);
    let options =
        Options { random: RandomSource::seeded(7), clock: clock.clone(), ..Options::default() };
    let service = Service::new(Arc::new(MemoryStore::new(clock)), options);
    let toolset = Some(Toolset::all());
    let mcp = endpoint::Options { fast_path, toolset, ..endpoint::Options::default() };
    api::routes(&service, Access::new(AccessOptions::default()), mcp)
}

async fn answer(node: &Router, request: Request<Body>) -> Answer {
    let response = node.clone().oneshot(request).await.expect("infallible");
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole body");
    // The length is that of the whole body, before the uptime is removed.
    let length = parts.headers.remove("content-length");
    let length = length.map(|length| length.to_str().expect("digits").to_string());
    assert_eq!(length.unwrap_or_else(|| body.len().to_string()), body.len().to_string());
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    Answer { status: parts.status, headers: parts.headers, body: without_uptime(body) }
}

/// The body without the uptime, the only figure that depends on the time of day.
fn without_uptime(body: String) -> String {
    let mut steady = body;
    for mark in ["\"uptime_s\":", "\\\"uptime_s\\\":"] {
        if let Some(at) = steady.find(mark).map(|at| at + mark.len()) {
            let digits = |c: char| !c.is_ascii_digit() && c != '.';
            let end = steady[at..].find(digits).map_or(steady.len(), |end| at + end);
            steady.replace_range(at..end, "0");
        }
    }
    steady
}

fn base(version: Option<&str>) -> Headers {
    let mut headers = vec![
        ("Host".to_string(), "localhost:8000".to_string()),
        ("Content-Type".into(), "application/json".into()),
        ("Accept".into(), "application/json, text/event-stream".into()),
    ];
    headers.extend(version.map(|version| ("MCP-Protocol-Version".into(), version.into())));
    headers
}

fn plain(tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}

fn stateless(tool: &str, arguments: &str) -> (Headers, String) {
    let mut headers = base(Some(LATEST));
    headers.push(("Mcp-Method".into(), "tools/call".into()));
    headers.push(("Mcp-Name".into(), tool.into()));
    let meta = format!(
        r#"{{"io.modelcontextprotocol/protocolVersion":"{LATEST}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    );
    let body = plain(tool, arguments).replace("}}}", &format!("}},\"_meta\":{meta}}}}}"));
    (headers, body)
}

/// Calls of every tool, good and bad.
const CALLS: &[(&str, &str)] = &[
    ("state_set", r#"{"key":"k","value":{"b":1.50,"a":[123456789012345678901234567890,null]}}"#),
    ("state_set", r#"{"key":"e","value":"\u0000\u001f\u007f\"\\\/é😀\ud83d\ude00"}"#),
    ("state_set", r#"{"key":"dup","value":1,"value":2}"#),
    ("state_set", r#"{"key":"k"}"#),
    ("state_set", r#"{"key":"k","value":1,"ttl_seconds":"60","agent_id":null}"#),
    ("state_set", r#"{ "key" : "k" , "value" : [ 1 , 2 ] }"#),
    ("state_set", r#"{"key":"n","value":1e400}"#),
    ("state_set", r#"{"key":"i","value":1,"idempotency_key":"once"}"#),
    ("state_get", r#"{"key":"k"}"#),
    ("state_get", r#"{"key":"e"}"#),
    ("state_get", r#"{"key":"none","consistency":"local"}"#),
    ("state_delete", r#"{"key":"k"}"#),
    ("state_list", r#"{"include_values":true}"#),
    ("state_list", "{}"),
    ("state_list", "null"),
    ("state_transact", r#"{"then":[{"op":"set","key":"t","value":1},{"op":"get","key":"t"}]}"#),
    ("state_wait", r#"{"key":"k","after_revision":0,"timeout_seconds":0}"#),
    ("workflow_create", r#"{"name":"n","tags":{"a":"b"},"input":{"x":1}}"#),
    ("workflow_discover", r#"{"claimable":true}"#),
    ("workflow_list", "{}"),
    ("workflow_claim_next", r#"{"agent_id":"w"}"#),
    ("workflow_claim_next", r#"{"agent_id":"w","wait_seconds":0}"#),
    ("workflow_status", r#"{"run_id":"wf-none"}"#),
    ("lease_acquire", r#"{"resource_id":"r","holder_id":"a","ttl_seconds":60}"#),
    ("lease_list", "{}"),
    ("session_save", r#"{"session_id":"s","context":{"a":1}}"#),
    ("session_restore", r#"{"session_id":"s"}"#),
    ("history_log", r#"{"n":100}"#),
    ("history_log", r#"{"n":0}"#),
    ("sidecar_health", "{}"),
    ("sidecar_reset", r#"{"confirm":true}"#),
    ("no_such_tool", "{}"),
    ("state_get", "[]"),
    ("state_get", "\"key\""),
];

#[tokio::test]
async fn every_tool_answers_alike_for_every_revision() {
    let mut nodes = ComparedNodes::new();
    let versions = [
        None,
        Some("2024-11-05"),
        Some("2025-03-26"),
        Some("2025-06-18"),
        Some("2025-11-25"),
        Some(LATEST),
        Some("2099-01-01"),
        Some(""),
    ];
    for (tool, arguments) in CALLS {
        for version in versions {
            nodes.compare(&base(version), plain(tool, arguments).as_bytes()).await;
        }
        let (headers, body) = stateless(tool, arguments);
        nodes.compare(&headers, body.as_bytes()).await;
    }
    let share = (nodes.taken, nodes.sent);
    assert!(nodes.taken * 2 > nodes.sent, "most requests take the fast path: {share:?}");
}

/// Ids that a generated request may have instead of a plain one.
const IDS: &[&str] = &[
    "0",
    "-5",
    "\"a\"",
    "\"\\u0061\"",
    "\"\"",
    "1.0",
    "1e2",
    "-0",
    "9007199254740993",
    "null",
    "true",
    "[1]",
    "99999999999999999999",
    "{}",
];
const META: &[&str] = &[
    "{}",
    "null",
    r#"{"progressToken":1}"#,
    r#"{"progressToken":"a"}"#,
    r#"{"progressToken":[]}"#,
    r#"{"traceparent":5,"a/b":{"c":[null]}}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
    r#"{"io.modelcontextprotocol/clientCapabilities":{}}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{},"roots":{"listChanged":true}}}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":5}}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":5,"version":null}}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"traceparent":"00-x"}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"debug"}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
];
/// What real clients send along with a plain call, which stays a plain call.
const META_OF_CLIENTS: &[&str] = &[
    r#"{"progressToken":3}"#,
    r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","tracestate":"a=b"}"#,
    r#"{"claudecode/toolUseId":"toolu_1"}"#,
    r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}},"extensions":{"a/b":{}}},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1","title":"C","websiteUrl":"https://example.org","icons":[{"src":"https://example.org/i.png"}]},"progressToken":"p","traceparent":"00-x"}"#,
];

#[tokio::test]
async fn what_real_clients_send_along_slows_no_call_down() {
    let mut nodes = ComparedNodes::new();
    for meta in META_OF_CLIENTS {
        let version = meta.contains(LATEST).then_some(LATEST);
        let mut headers = base(version);
        if version.is_some() {
            headers.push(("Mcp-Method".into(), "tools/call".into()));
            headers.push(("Mcp-Name".into(), "state_get".into()));
        }
        let body = plain("state_get", r#"{"key":"k"}"#)
            .replace("}}}", &format!("}},\"_meta\":{meta}}}}}"));
        let taken = nodes.taken;
        nodes.compare(&headers, body.as_bytes()).await;
        assert_eq!(nodes.taken, taken + 1, "{body}");
    }
}

const HEADER_VALUES: &[(&str, &[&str])] = &[
    (
        "Accept",
        &[
            "text/event-stream, application/json",
            "application/json,text/event-stream",
            "application/json",
            "*/*",
            "application/json;q=0, text/event-stream",
            "application/json, text/event-stream;q=0.5",
            "APPLICATION/JSON, TEXT/EVENT-STREAM",
            "application/json,  text/event-stream, text/html",
            "",
        ],
    ),
    (
        "Content-Type",
        &[
            "application/json; charset=utf-8",
            "APPLICATION/JSON",
            "text/json",
            "",
            "text/plain",
            "application/json;",
            " application/json",
        ],
    ),
    ("MCP-Protocol-Version", &["2025-06-18", "2026-07-28", "2024-11-05", "1.0", "2030-01-01"]),
    ("Mcp-Method", &["tools/call", "tools/list", "TOOLS/CALL", "", "tools/call "]),
    ("Mcp-Name", &["state_get", "state_set", "=?base64?c3RhdGVfZ2V0?=", "", "state_get "]),
    ("Mcp-Session-Id", &["abc"]),
    ("Last-Event-ID", &["1"]),
    ("Origin", &["http://localhost:1", "https://evil.example"]),
    ("Host", &["127.0.0.1:9", "evil.example"]),
];

#[tokio::test]
async fn generated_requests_are_answered_alike() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut nodes = ComparedNodes::new();
    for _ in 0..GENERATED {
        let (headers, body) = request(&mut random);
        nodes.compare(&headers, &body).await;
    }
    let share = (nodes.taken, nodes.sent);
    assert!(nodes.taken * 10 > nodes.sent, "many requests take the fast path: {share:?}");
    assert!(nodes.taken * 10 < nodes.sent * 9, "many requests do not: {share:?}");
}

fn pick<'a, T: ?Sized>(random: &mut StdRng, list: &'a [&'a T]) -> &'a T {
    list[random.random_range(0..list.len())]
}

/// A valid request with up to three changes, each of which may make it invalid.
fn request(random: &mut StdRng) -> (Headers, Vec<u8>) {
    let (tool, arguments) = CALLS[random.random_range(0..CALLS.len())];
    let older = ["2025-03-26", "2025-06-18", "2025-11-25"];
    let (mut headers, mut body) = match random.random_bool(0.5) {
        true => stateless(tool, arguments),
        false => (base(Some(pick(random, &older))), plain(tool, arguments)),
    };
    for _ in 0..random.random_range(0..=3) {
        match random.random_range(0..10) {
            0 => body = body.replacen("\"id\":1", &format!("\"id\":{}", pick(random, IDS)), 1),
            1 => {
                let meta = pick(random, META);
                match body.find("\"_meta\":") {
                    Some(at) => body = format!("{}\"_meta\":{meta}}}}}", &body[..at]),
                    None => body.insert_str(body.len() - 2, &format!(",\"_meta\":{meta}")),
                }
            }
            2..=4 => change_header(random, &mut headers),
            5 => body = body.replacen("2.0", pick(random, &["1.0", "2", "2.00", ""]), 1),
            6 => {
                let extra = [
                    "\"extra\":1,",
                    "\"id\":2,",
                    "\"method\":\"ping\",",
                    "\"result\":{},",
                    "\"error\":null,",
                    " ",
                    "\n\t",
                    "\"params\":null,",
                ];
                body.insert_str(1, pick(random, &extra));
            }
            7 => {
                let extra = [
                    "\"task\":{},",
                    "\"inputResponses\":5,",
                    "\"requestState\":[],",
                    "\"name\":\"state_get\",",
                    "\"x\":[1],",
                    "\"_meta\":{},",
                ];
                body = body.replacen("\"name\"", &format!("{}\"name\"", pick(random, &extra)), 1);
            }
            8 => {
                body = body.replacen(
                    ",\"arguments\"",
                    pick(random, &[",\"Arguments\"", ",\"arguments\":{},\"arguments\""]),
                    1,
                )
            }
            _ => {
                let mut bytes = body.into_bytes();
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..4) {
                    0 => bytes.truncate(at),
                    1 => bytes[at] = random.next_u32() as u8,
                    2 => bytes.insert(at, b' '),
                    _ => drop(bytes.remove(at)),
                }
                return (headers, bytes);
            }
        }
    }
    (headers, body.into_bytes())
}

fn change_header(random: &mut StdRng, headers: &mut Headers) {
    let (name, values) = HEADER_VALUES[random.random_range(0..HEADER_VALUES.len())];
    let value = pick(random, values).to_string();
    match random.random_range(0..4) {
        0 => headers.retain(|(known, _)| known != name),
        1 => headers.push((name.into(), value)),
        _ => {
            headers.retain(|(known, _)| known != name);
            headers.push((name.into(), value));
        }
    }
}
