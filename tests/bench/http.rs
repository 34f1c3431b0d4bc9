//! An MCP client that does as little as a client can: one connection, one
//! call at a time, the body written by hand.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Result;

/// One connection to one node's `/mcp`.
pub struct McpClient {
    host: String,
    connection: SendRequest<Full<Bytes>>,
}

impl McpClient {
    /// Connects to `host:port`.
    pub async fn connect(host: String) -> Result<McpClient> {
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(McpClient { host, connection })
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
        let request = Request::post("/mcp")
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-06-18")
            .body(Full::new(Bytes::from(body)))?;
        self.connection.ready().await?;
        let response = self.connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let failed = status != StatusCode::OK || contains(&body, br#""isError":true"#);
        match failed {
            true => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
            false => Ok(body),
        }
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

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
