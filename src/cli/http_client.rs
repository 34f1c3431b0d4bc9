//! An HTTP client of a running node, and MCP tool calls over it. Only the command line uses
//! it; the node decides what a tool does.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::event_stream;
use super::tls::{find, tls_failure};
use crate::access::Secret;

/// The longest answer that is read. The longest page of a tool is far shorter.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The newest revision of MCP whose requests need no further headers.
const PROTOCOL: &str = "2025-11-25";

/// The header that names the tools from which a caller chooses.
const TOOLS: &str = "x-mcp-toolsets";

/// Calls nodes. It is cheap to clone, and keeps connections open.
#[derive(Clone)]
pub struct NodeClient {
    http: Http<HttpsConnector<HttpConnector>, Body>,
    token: Option<Secret>,
    tools: Option<String>,
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
    /// TLS fails with whoever answers there, and would fail again.
    #[error("{url}: {cause}")]
    Tls { url: String, cause: String },
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
    pub fn new(connector: HttpsConnector<HttpConnector>, token: Option<Secret>) -> NodeClient {
        let http = Http::builder(TokioExecutor::new()).build(connector);
        NodeClient { http, token, tools: None }
    }

    /// Chooses from these tools. Without a list the node decides which it offers.
    pub fn with_tools(self, tools: Option<String>) -> NodeClient {
        NodeClient { tools, ..self }
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
        self.send(Method::GET, url, &[], Body::empty(), timeout, None).await
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
        self.send(Method::POST, url, headers, Body::from(message), timeout, None).await
    }

    /// Does what [`NodeClient::post`] does. If the answer is a stream of events, the
    /// notifications before it are sent on as they come, and the node must send something
    /// within each `timeout`.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn post_with_notifications(
        &self,
        url: &str,
        headers: &[(&str, String)],
        message: String,
        timeout: Duration,
        notifications: &mpsc::Sender<String>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let (body, to) = (Body::from(message), Some(notifications));
        self.send(Method::POST, url, headers, body, timeout, to).await
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
        let content = structured.cloned().or_else(|| text_content(result.get("content")?));
        Ok(ToolAnswer { is_error, content: content.ok_or_else(not_mcp)? })
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
        body: Body,
        timeout: Duration,
        notifications: Option<&mpsc::Sender<String>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
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
        if let Some(tools) = &self.tools {
            request = request.header(TOOLS, tools);
        }
        let request =
            request.body(body).map_err(|error| ClientError::Invalid(format!("{url}: {error}")))?;
        let broken = |cause: String| ClientError::Broken { url: url.to_owned(), cause };
        let late = |_| broken(format!("nothing within {} s", timeout.as_secs_f32()));
        let until = tokio::time::Instant::now() + timeout;
        let response = tokio::time::timeout_at(until, self.http.request(request)).await;
        let response = response.map_err(late)?.map_err(|error| no_answer(url, &error))?;
        let (head, body) = response.into_parts();
        let (status, body) = (head.status, Body::new(body));
        let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if let Some(notifications) = notifications
            && kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
        {
            let answer = event_stream::answer(body.into_data_stream(), notifications, timeout);
            return Ok((status, answer.await.map_err(broken)?));
        }
        let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX);
        let body = tokio::time::timeout_at(until, body).await.map_err(late)?;
        Ok((status, body.map_err(|error| broken(root_cause(&error)))?))
    }
}

/// The text of an answer that is not structured, as JSON where it is that.
fn text_content(content: &Value) -> Option<Value> {
    let parts = content.as_array()?.iter().filter_map(|part| part["text"].as_str());
    let text = parts.collect::<Vec<_>>().join("\n");
    Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Why a request has no answer.
fn no_answer(url: &str, error: &hyper_util::client::legacy::Error) -> ClientError {
    let url = url.to_owned();
    if let Some(cause) = tls_failure(error) {
        return ClientError::Tls { url, cause };
    }
    if error.is_connect() {
        return ClientError::Unreachable { url, cause: root_cause(error) };
    }
    if find::<hyper::Error>(error).is_some_and(is_foreign) {
        let text = "it answers in another protocol; this may be its gRPC address, or it may need \
                    https://"
            .to_owned();
        return ClientError::NotMcp { url, text };
    }
    ClientError::Broken { url, cause: root_cause(error) }
}

/// Whether the server does not speak HTTP/1.1: what it sent is something else, or it sent
/// something before it was asked. The latter has no name in hyper, and unlike all others
/// it has neither a predicate nor a cause. A request that was still to be sent is cancelled
/// because of it.
fn is_foreign(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    if error.is_canceled() {
        return cause.and_then(|cause| cause.downcast_ref()).is_some_and(is_foreign);
    }
    let has_name = error.is_closed()
        || error.is_incomplete_message()
        || error.is_user()
        || error.is_timeout()
        || error.is_shutdown();
    error.is_parse() || (!has_name && cause.is_none())
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt;

    use super::is_foreign;

    /// The first bytes of a server of HTTP/2.
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

    #[tokio::test]
    async fn a_server_that_speaks_first_is_foreign() {
        let (near, mut far) = tokio::io::duplex(64);
        let (mut requests, connection) =
            http1::handshake::<_, Body>(TokioIo::new(near)).await.unwrap();
        far.write_all(SETTINGS).await.unwrap();
        let answer = requests.send_request(Request::new(Body::empty()));
        // The connection reads before it sends, so it never sends the request.
        let _ = connection.await;
        let error = answer.await.unwrap_err();
        assert!(error.is_canceled() && is_foreign(&error), "{error:?}");
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_is_not_foreign() {
        let (near, far) = tokio::io::duplex(64);
        let (mut requests, connection) =
            http1::handshake::<_, Body>(TokioIo::new(near)).await.unwrap();
        let answer = requests.send_request(Request::new(Body::empty()));
        drop(far);
        let _ = connection.await;
        let error = answer.await.unwrap_err();
        assert!(!is_foreign(&error), "{error:?}");
    }
}
