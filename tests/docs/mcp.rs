//! An MCP client that opens what a client's configuration names, over a pipe
//! or over HTTP, and asks for the tools.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use mcp_state_sidecar::api::mcp::tools::{self, Tool, ToolAccess};
use serde_json::{Value, json};

use crate::scratch::Scratch;

/// The tools as the program lists them to its clients, but with all that is known
/// about their results.
pub fn tools() -> Vec<Value> {
    let described = |tool: &Tool| {
        let hints = match tool.access {
            ToolAccess::Read => json!({"readOnlyHint": true}),
            ToolAccess::Write { destructive, idempotent } => {
                json!({"destructiveHint": destructive, "idempotentHint": idempotent})
            }
        };
        json!({"name": tool.name, "description": tool.description, "annotations": hints,
            "inputSchema": tool.input_schema(), "outputSchema": tool.result_schema()})
    };
    tools::all().iter().map(described).collect()
}

/// Opens every server of a `mcpServers` configuration.
pub fn open_all(scratch: &Scratch, configuration: &str) -> Result<(), String> {
    let configuration: Value = serde_json::from_str(&scratch.to_real(configuration))
        .map_err(|error| format!("is no JSON: {error}"))?;
    let servers = configuration["mcpServers"].as_object().ok_or("has no mcpServers")?;
    for (name, server) in servers {
        let tools = match server["url"].as_str() {
            Some(url) => over_http(url),
            None => {
                let program = server["command"].as_str().ok_or("has no command and no url")?;
                let mut command = scratch.command(program);
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                command.args(server["args"].as_array().into_iter().flatten().map(text));
                let variables = server["env"].as_object().into_iter().flatten();
                command.envs(variables.map(|(name, value)| (name, text(value))));
                over_a_pipe(command)
            }
        };
        let tools = tools.map_err(|why| format!("{name}: {why}"))?;
        if tools["tools"].as_array().is_none_or(Vec::is_empty) {
            return Err(format!("{name}: lists no tools: {tools}"));
        }
    }
    Ok(())
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "docs", "version": "1"}}})
}

fn list_tools() -> Value {
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}})
}

/// The result of `tools/list`, asked of a program that speaks on its standard
/// streams.
fn over_a_pipe(mut command: std::process::Command) -> Result<Value, String> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Ending(piped.spawn().map_err(|error| error.to_string())?);
    let mut input = child.0.stdin.take().expect("piped");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    for message in [initialize(), initialized, list_tools()] {
        writeln!(input, "{message}").map_err(|error| error.to_string())?;
    }
    let output = child.0.stdout.take().expect("piped");
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| error.to_string())?;
        let message: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        if message["id"] == 2 {
            return Ok(message["result"].clone());
        }
    }
    Err("ended without an answer".to_owned())
}

/// A program that is ended with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn over_http(url: &str) -> Result<Value, String> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| format!("is no URL: {url}"))?;
    post(host, path, &initialize())?;
    Ok(post(host, path, &list_tools())?["result"].clone())
}

fn post(host: &str, path: &str, message: &Value) -> Result<Value, String> {
    let failed = |error: std::io::Error| format!("{host}: {error}");
    let body = message.to_string();
    let mut stream = TcpStream::connect(host).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let json = answer.find('{').map_or("", |start| &answer[start..]);
    let json = json.rfind('}').map_or("", |end| &json[..=end]);
    serde_json::from_str(json).map_err(|error| format!("{error} in {answer}"))
}
