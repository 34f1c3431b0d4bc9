//! A client on a program's standard input and output, and a node on a free port.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use support::command_line::{PROGRAM, Running, command};

/// A client at the other end of a program's standard input and output.
pub struct Pipe {
    pub running: Running,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Pipe {
    pub fn start(dir: &Path, args: &[&str]) -> Pipe {
        Pipe::start_with(dir, &[], args)
    }

    pub fn start_with(dir: &Path, env: &[(&str, &str)], args: &[&str]) -> Pipe {
        let mut command = command(&PROGRAM, dir);
        command.envs(env.iter().copied()).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(command);
        let input = running.child.stdin.take();
        let output = BufReader::new(running.child.stdout.take().unwrap());
        Pipe { running, input, output }
    }

    pub fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    pub fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// The next message.
    pub fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    /// Sends a request and waits for the answer to it.
    pub fn answer(&mut self, method: &str, params: Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}));
        let answer = self.receive();
        assert_eq!(answer["id"], 7, "{answer}");
        answer
    }

    /// The result of a request.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.answer(method, params)["result"].clone()
    }

    pub fn initialize(&mut self) {
        let client = json!({"name": "test", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let result = self.ask("initialize", params);
        assert_eq!(result["serverInfo"]["name"], "mcp-state-sidecar", "{result}");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_ne!(result["isError"], true, "{result}");
        result["structuredContent"].clone()
    }

    /// The client hangs up.
    pub fn hang_up(&mut self) -> Option<i32> {
        self.input = None;
        self.running.ended()
    }
}

/// Runs `serve` on a free port.
pub fn serve(program: &str, dir: &Path, env: &[(&str, &str)], args: &[&str]) -> (Running, u16) {
    let mut command = command(program, dir);
    command.envs(env.iter().copied()).args(args).stdout(Stdio::null());
    command.env("SIDECAR_PORT", "0").env("SIDECAR_HOST", "127.0.0.1");
    let mut running = Running::start(command);
    let port = running.port();
    (running, port)
}
