//! An MCP client of a program's standard streams.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any answer takes; Python alone needs seconds to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program and its answers, line by line. Killed with its test.
pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    calls: u64,
}

/// Our own program, with these settings and no others.
pub fn ours(dir: &Path, settings: &[(&str, String)]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"));
    program.current_dir(dir).env_clear().env("HOME", dir).env("SIDECAR_TOOLS", "reference");
    program.envs(settings.iter().map(|(name, value)| (*name, value)));
    program
}

impl Client {
    /// Starts it and shakes hands.
    pub fn start(mut program: Command) -> Client {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (send, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The reference also tells people what it does, on the same stream.
                if line.starts_with('{') && send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut client = Client { child, input, answers, calls: 0 };
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        client.ask("initialize", hello);
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    /// What a tool answers: its structured content, or its error's text.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        match result["isError"].as_bool() {
            // After what the reference says, this program names the error's code.
            Some(true) => {
                let text = result["content"][0]["text"].as_str().unwrap_or_default();
                json!({"isError": true, "text": text.split(" (code: ").next()})
            }
            Some(false) | None => result["structuredContent"].clone(),
        }
    }

    /// Closes its input and waits for its end; gives what it still said.
    pub fn end(mut self) -> Value {
        self.input = None;
        let last = self.answers.recv_timeout(PATIENCE);
        let ended = self.child.wait().expect("it is ours");
        assert!(ended.success(), "{ended}");
        last.map_or(Value::Null, Value::from)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let line = self.answers.recv_timeout(PATIENCE).expect("an answer in time");
            let answer: Value = serde_json::from_str(&line).expect("an answer is JSON");
            if answer["id"] == id {
                return answer;
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("it is open");
        writeln!(input, "{message}").and_then(|()| input.flush()).expect("the program reads");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
