//! A node on a real listener, and a client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::sync::Arc;

use mcp_state_sidecar::access::{self, Access};
use mcp_state_sidecar::api;
use mcp_state_sidecar::api::mcp::tools::Toolset;
use mcp_state_sidecar::service::{Options, Service};
use mcp_state_sidecar::store::memory::MemoryStore;
use mcp_state_sidecar::store::{Store, clock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const LATEST: &str = "2026-07-28";
pub const OLDER: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// A store that is served over HTTP until this is dropped.
pub struct Node {
    pub addr: SocketAddr,
    pub service: Service,
    pub store: Arc<dyn Store>,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<std::io::Result<()>>,
    _stop: DropGuard,
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Node {
    pub async fn start() -> Node {
        Node::guarded(access::Options::default()).await
    }

    pub async fn guarded(access: access::Options) -> Node {
        let toolset = Some(Toolset::all());
        Node::with(access, api::mcp::endpoint::Options { toolset, ..Default::default() }).await
    }

    pub async fn with(access: access::Options, mcp: api::mcp::endpoint::Options) -> Node {
        let store = Arc::new(MemoryStore::new(clock::system()));
        Node::over(store, Options::default(), access, mcp).await
    }

    /// A node over this store. Its tools are those of `mcp`.
    pub async fn over(
        store: Arc<dyn Store>,
        options: Options,
        access: access::Options,
        mcp: api::mcp::endpoint::Options,
    ) -> Node {
        let shutdown = CancellationToken::new();
        let options = Options { stop: shutdown.clone(), ..options };
        let service = Service::new(store.clone(), options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let routes = api::routes(&service, Access::new(access), mcp);
        let options = api::http::Options::default();
        let served = tokio::spawn(api::http::serve(listener, routes, options, shutdown.clone()));
        Node::around(addr, service, store, shutdown, served)
    }

    /// Wraps a node that the test has started itself.
    pub fn around(
        addr: SocketAddr,
        service: Service,
        store: Arc<dyn Store>,
        shutdown: CancellationToken,
        served: JoinHandle<std::io::Result<()>>,
    ) -> Node {
        let stop = shutdown.clone().drop_guard();
        Node { addr, service, store, shutdown, served, _stop: stop }
    }

    /// Sends bytes and reads until the node closes the connection.
    pub async fn send_raw(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.addr).await.expect("the node listens");
        // The node may answer and close the connection before it has read everything.
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_lowercase(), body: body.into() }
    }

    /// Sends a request with these headers and those that HTTP needs.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.push_str(&format!("Host: {}\r\n", self.addr));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.send_raw(&[request.as_bytes(), body].concat()).await
    }

    /// A POST to `/mcp` as MCP clients send it, with more headers.
    pub async fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut all = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
        all.extend_from_slice(headers);
        self.send("POST", "/mcp", &all, body).await
    }

    /// A message from a client of an older revision.
    pub async fn older(&self, version: &str, message: Value) -> Reply {
        self.post(&[("MCP-Protocol-Version", version)], message.to_string().as_bytes()).await
    }

    /// A message from a client of the newest revision.
    pub async fn latest(&self, method: &str, params: Value) -> Reply {
        let (headers, body) = latest(method, params);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.post(&headers, body.as_bytes()).await
    }

    /// The result of `tool` for an older client.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        self.older(OLDER[2], message).await.json()["result"].clone()
    }

    /// Checks that the node still serves.
    pub async fn assert_serving(&self) {
        let result = self.call("state_get", json!({"key": "still there?"})).await;
        assert_eq!(result["structuredContent"]["found"], false, "{result}");
    }

    /// Checks that no change has been made.
    pub async fn assert_unchanged(&self) {
        let health = self.call("sidecar_health", json!({})).await;
        assert_eq!(health["structuredContent"]["revision"], 0, "{health}");
    }
}

/// Headers and body of a request of the newest revision.
pub fn latest(method: &str, mut params: Value) -> (Vec<(&'static str, String)>, String) {
    let mut headers =
        vec![("MCP-Protocol-Version", LATEST.to_string()), ("Mcp-Method", method.to_string())];
    let names = ["name", "uri", "taskId"];
    if let Some(name) = names.iter().find_map(|name| params[*name].as_str()) {
        headers.push(("Mcp-Name", name.to_string()));
    }
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": LATEST,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    (headers, message.to_string())
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body))
    }

    /// The message of a JSON-RPC error.
    pub fn error(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_string()
    }
}
