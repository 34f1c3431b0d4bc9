//! An MCP client that does as little as a client can: one connection, one
//! call at a time, the body written by hand.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Result;

/// The header that names a session, where a server has them.
pub const SESSION: &str = "mcp-session-id";

/// One connection to one node's `/mcp`.
pub struct McpClient {
    host: String,
    connection: SendRequest<Full<Bytes>>,
    session: Option<HeaderValue>,
    head_bytes: usize,
}

impl McpClient {
    /// Connects to `host:port`.
    pub async fn connect(host: String) -> Result<McpClient> {
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(McpClient { host, connection, session: None, head_bytes: 0 })
    }

    /// Shakes hands, which our own servers do not ask for, and gives the session.
    pub async fn initialize(&mut self) -> Result<String> {
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
        self.post(hello.to_owned()).await?;
        let done = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.post(done.to_owned()).await?;
        let session = self.session.as_ref().ok_or("the server has begun no session")?;
        Ok(session.to_str()?.to_owned())
    }

    /// How long the status and the headers of the last response were.
    pub fn head_bytes(&self) -> usize {
        self.head_bytes
    }

    pub async fn write(&mut self, key: &str, value: &str) -> Result<()> {
        self.call("state_set", &format!(r#"{{"key":"{key}","value":"{value}"}}"#)).await?;
        Ok(())
    }

    pub async fn read(&mut self, key: &str) -> Result<()> {
        self.call("state_get", &format!(r#"{{"key":"{key}"}}"#)).await?;
        Ok(())
    }

    /// Writes the key and gives its revision.
    pub async fn change(&mut self, key: &str) -> Result<u64> {
        let body = self.call("state_set", &format!(r#"{{"key":"{key}","value":0}}"#)).await?;
        revision(&body)
    }

    /// Waits until the key has changed after `revision`.
    pub async fn wait(&mut self, key: &str, after: u64) -> Result<()> {
        let arguments = format!(r#"{{"key":"{key}","after_revision":{after}}}"#);
        match revision(&self.call("state_wait", &arguments).await?)? > after {
            true => Ok(()),
            false => Err("a change was not noticed".into()),
        }
    }

    /// Calls a tool and gives what it answers.
    pub async fn answer(&mut self, tool: &str, arguments: &str) -> Result<Value> {
        content(&self.call(tool, arguments).await?)
    }

    /// Calls a tool with arguments as JSON, and gives the whole response.
    pub async fn call(&mut self, tool: &str, arguments: &str) -> Result<Bytes> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let (status, body) = self.post(body).await?;
        let failed = status != StatusCode::OK || contains(&body, br#""isError":true"#);
        match failed {
            true => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
            false => Ok(body),
        }
    }

    async fn post(&mut self, body: String) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::post("/mcp")
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-06-18");
        if let Some(session) = &self.session {
            request = request.header(SESSION, session);
        }
        self.connection.ready().await?;
        let response =
            self.connection.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let (status, headers) = (response.status(), response.headers());
        self.session = headers.get(SESSION).cloned().or(self.session.take());
        let head = headers.iter().map(|(name, value)| format!("{name}: \r\n").len() + value.len());
        self.head_bytes = format!("HTTP/1.1 {status}\r\n\r\n").len() + head.sum::<usize>();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

fn content(body: &[u8]) -> Result<Value> {
    let mut response: Value = serde_json::from_slice(body)?;
    Ok(response["result"]["structuredContent"].take())
}

fn revision(body: &[u8]) -> Result<u64> {
    let answer = content(body)?;
    let revision = answer["revision"].as_u64();
    revision.ok_or_else(|| format!("no revision in {answer}").into())
}

/// Whether `part` is in it somewhere.
pub fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
