//! An MCP client that tells apart what a caller can know: an answer, a
//! refusal that nothing was written, and not with_membership.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Longer than any deadline of the service: beyond it the node is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node that takes no connection by then is cut off.
const CONNECT: Duration = Duration::from_secs(1);

/// What callers show where nodes ask for it.
pub const TOKEN: &str = "token-of-tests";

/// How a call ended for its caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The tool's structured result.
    Answer(Value),
    /// The service says that nothing was written, or cannot be reached.
    Unavailable,
    /// The service does not know, or the connection broke.
    Unknown,
}

/// A client of one node.
pub struct Client {
    host: String,
    port: u16,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    /// Of a node on this machine.
    pub fn new(port: u16) -> Client {
        Client::at("127.0.0.1", port)
    }

    pub fn at(host: &str, port: u16) -> Client {
        Client { host: host.to_owned(), port, connection: Mutex::new(None) }
    }

    /// Calls a tool. Panics on an answer that no client should ever see.
    pub async fn call(&self, tool: &str, arguments: Value) -> Outcome {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        });
        // Nothing is written where nobody could be told to.
        if !timeout(CONNECT, self.is_connected()).await.unwrap_or(false) {
            return Outcome::Unavailable;
        }
        let Ok(Ok((status, body))) = timeout(PATIENCE, self.post(body.to_string())).await else {
            return Outcome::Unknown;
        };
        assert_eq!(status, StatusCode::OK, "{tool}: {}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        let result = &answer["result"];
        let structured = result["structuredContent"].clone();
        if result["isError"] != json!(true) {
            assert!(structured.is_object(), "{tool}: {answer}");
            return Outcome::Answer(structured);
        }
        match structured["error"]["code"].as_str() {
            Some("unavailable") => Outcome::Unavailable,
            Some("outcome_unknown") => Outcome::Unknown,
            _ => panic!("{tool} {arguments}: {answer}"),
        }
    }

    /// Calls until the tool answers: for what is asked after the storm.
    pub async fn answer(&self, tool: &str, arguments: Value) -> Value {
        for _ in 0..100 {
            if let Outcome::Answer(value) = self.call(tool, arguments.clone()).await {
                return value;
            }
        }
        panic!("{tool} {arguments} never answered");
    }

    pub async fn health(&self) -> Result<Value, Failure> {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "sidecar_health", "arguments": {}},
        });
        let (_, body) = timeout(Duration::from_secs(2), self.post(body.to_string())).await??;
        let answer: Value = serde_json::from_slice(&body)?;
        Ok(answer["result"]["structuredContent"].clone())
    }

    pub async fn is_ready(&self) -> bool {
        let asked =
            timeout(Duration::from_secs(2), self.send(Method::GET, "/readyz", String::new()));
        matches!(asked.await, Ok(Ok((StatusCode::OK, _))))
    }

    /// Whether there is a connection, or one could be made: only then a call
    /// reaches the node.
    pub async fn is_connected(&self) -> bool {
        let mut kept = self.connection.lock().await;
        if kept.as_ref().is_none_or(SendRequest::is_closed) {
            *kept = self.connect().await.ok();
        }
        kept.is_some()
    }

    async fn post(&self, body: String) -> Result<(StatusCode, Bytes), Failure> {
        self.send(Method::POST, "/mcp", body).await
    }

    /// One request on the kept connection; a broken one is forgotten.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut kept = self.connection.lock().await;
        let mut connection = match kept.take() {
            Some(connection) if !connection.is_closed() => connection,
            Some(_) | None => self.connect().await?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("{}:{}", self.host, self.port))
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-06-18")
            .body(Full::new(Bytes::from(body)))?;
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        *kept = Some(connection);
        Ok((status, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }
}
