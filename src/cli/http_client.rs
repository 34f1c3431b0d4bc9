//! An HTTP client of a running node, and MCP tool calls over it. Only the command line uses
//! it; the node decides what a tool does.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};

use crate::access::Secret;

/// The longest answer that is read. The longest page of a tool is far shorter.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The newest revision of MCP whose requests need no further headers.
const PROTOCOL: &str = "2025-11-25";

/// How long a connection may take. Nodes are near, so a slower one is most likely down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls nodes. It is cheap to clone, and keeps connections open.
#[derive(Clone)]
pub struct NodeClient {
    http: Http<HttpConnector, Body>,
    token: Option<Secret>,
}

/// The answer of a tool.
#[derive(Clone, Debug)]
pub struct ToolAnswer {
    /// The tool refused the call or failed, and `content` says why.
    pub is_error: bool,
    /// The structured result, or the text if there is none.
    pub content: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request never reached a node, so it is safe to call another.
    #[error("cannot reach {url}: {cause}")]
    Unreachable { url: String, cause: String },
    /// The connection broke, or the answer took too long, after the request was sent.
    #[error("no answer from {url}: {cause}")]
    Broken { url: String, cause: String },
    /// The node refused the request as a whole.
    #[error("{url} answered {status}: {text}")]
    Refused { url: String, status: StatusCode, text: String },
    /// The answer is not in the form of MCP.
    #[error("{url} does not answer as an MCP server: {text}")]
    NotMcp { url: String, text: String },
    /// The request cannot be sent.
    #[error("{0}")]
    Invalid(String),
}

impl NodeClient {
    /// A client that sends `token`, if there is one.
    pub fn new(token: Option<Secret>) -> NodeClient {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        NodeClient { http: Http::builder(TokioExecutor::new()).build(connector), token }
    }

    /// Sends `GET url`, and returns the answer whatever its status is.
    ///
    /// # Errors
    /// There is no answer within `timeout`.
    pub async fn get(
        &self,
        url: &str,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        self.send(Method::GET, url, &[], Body::empty(), timeout).await
    }

    /// Posts one JSON-RPC message with `headers` besides the usual ones.
    ///
    /// # Errors
    /// There is no answer within `timeout`.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, String)],
        message: String,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        self.send(Method::POST, url, headers, Body::from(message), timeout).await
    }

    /// Calls a tool of the node at `url`.
    ///
    /// # Errors
    /// There is no answer of the tool. An error that the tool itself reports is a
    /// [`ToolAnswer`].
    pub async fn call(
        &self,
        url: &str,
        tool: &str,
        arguments: Map<String, Value>,
        timeout: Duration,
    ) -> Result<ToolAnswer, ClientError> {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let headers = [("mcp-protocol-version", PROTOCOL.to_owned())];
        let (status, body) = self.post(url, &headers, message.to_string(), timeout).await?;
        let text = || String::from_utf8_lossy(&body).trim().to_owned();
        if status != StatusCode::OK {
            return Err(ClientError::Refused { url: url.to_owned(), status, text: text() });
        }
        let not_mcp = || ClientError::NotMcp { url: url.to_owned(), text: text() };
        let answer: Value = serde_json::from_slice(&body).map_err(|_| not_mcp())?;
        if let Some(error) = answer.get("error") {
            let content = json!({"error": error});
            return Ok(ToolAnswer { is_error: true, content });
        }
        let result = answer.get("result").ok_or_else(not_mcp)?;
        let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
        let structured = result.get("structuredContent").filter(|content| !content.is_null());
        let content = structured.or_else(|| result.get("content")).cloned();
        Ok(ToolAnswer { is_error, content: content.ok_or_else(not_mcp)? })
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
        body: Body,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        if !url.starts_with("http://") {
            return Err(ClientError::Invalid(format!("{url:?}: expected a URL with http://")));
        }
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let request =
            request.body(body).map_err(|error| ClientError::Invalid(format!("{url}: {error}")))?;
        let broken = |cause: String| ClientError::Broken { url: url.to_owned(), cause };
        let answer = async {
            let response = self.http.request(request).await.map_err(|error| {
                let cause = root_cause(&error);
                if error.is_connect() {
                    ClientError::Unreachable { url: url.to_owned(), cause }
                } else {
                    broken(cause)
                }
            })?;
            let status = response.status();
            let body = axum::body::to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX)
                .await
                .map_err(|error| broken(root_cause(&error)))?;
            Ok((status, body))
        };
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(broken(format!("nothing within {} s", timeout.as_secs_f32()))),
        }
    }
}

/// The deepest cause of an error, which says what happened. The ones above it only say
/// where.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
