//! Load generators: `h2load` (nghttp2) and `wrk`, as processes of their own, one for
//! each node.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use mcp_state_sidecar::proto::sidecar::{AskRequest, SubmitRequest};
use mcp_state_sidecar::proto::state;
use prost::Message;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::{KEY, value};
use crate::Result;
use crate::etcd::{PutRequest, RangeRequest};
use crate::load::{Operation, Protocol};
use crate::servers::{NODES, Servers};

/// How long past its time a generator may take.
const GRACE: Duration = Duration::from_secs(20);

/// The least that an answer over gRPC has: its frame. An error has none.
const FRAME_BYTES: u64 = 5;

/// Sends one call again and again to the nodes of one system.
pub struct Generator {
    protocol: Protocol,
    hosts: Vec<String>,
    path: &'static str,
    dir: TempDir,
}

/// What one or more generators have counted.
#[derive(Default)]
pub struct Burst {
    pub calls: u64,
    /// For how long they were made.
    pub time: Duration,
    /// Of each call, where the generator tells it.
    pub took: Vec<Duration>,
    /// Of each generator that tells no more than these: p50 and p99.
    pub percentiles: Vec<[Duration; 2]>,
}

impl Burst {
    /// Adds what happened at the same time.
    pub fn join(&mut self, other: Burst) {
        self.time = self.time.max(other.time);
        self.calls += other.calls;
        self.took.extend(other.took);
        self.percentiles.extend(other.percentiles);
    }

    /// Adds what happened afterwards.
    pub fn append(&mut self, other: Burst) {
        let time = self.time + other.time;
        self.join(other);
        self.time = time;
    }
}

/// The Debian package of a generator that is not installed.
pub fn missing() -> Option<String> {
    let packages = [("h2load", "nghttp2-client"), ("wrk", "wrk")];
    let runs = |program: &str| {
        let found = std::process::Command::new(program).arg("--version").output();
        found.is_ok()
    };
    let (program, package) = packages.into_iter().find(|(program, _)| !runs(program))?;
    Some(format!("there is no {program} on this machine; Debian's package {package} has it"))
}

impl Generator {
    /// For calls of this kind to all nodes of `servers`.
    pub fn new(servers: &Servers, protocol: Protocol, operation: Operation) -> Result<Generator> {
        let dir = tempfile::tempdir()?;
        let (path, body) = match (protocol, operation) {
            (Protocol::Mcp, operation) => ("/mcp", mcp_script(operation).into_bytes()),
            (Protocol::Grpc, Operation::Write) => ("/sidecar.v1.Sidecar/Submit", frame(&submit())),
            (Protocol::Grpc, _) => ("/sidecar.v1.Sidecar/Ask", frame(&ask())),
            (Protocol::Etcd, Operation::Write) => {
                let put = PutRequest { key: KEY.into(), value: value().into() };
                ("/etcdserverpb.KV/Put", frame(&put))
            }
            (Protocol::Etcd, _) => {
                ("/etcdserverpb.KV/Range", frame(&RangeRequest { key: KEY.into() }))
            }
        };
        std::fs::write(dir.path().join("call"), body)?;
        let host = |node| match protocol {
            Protocol::Mcp => servers.mcp(node),
            Protocol::Grpc | Protocol::Etcd => servers.grpc(node),
        };
        Ok(Generator { protocol, hosts: (0..NODES).map(host).collect(), path, dir })
    }

    /// Calls all nodes at once, with `clients` in all.
    pub async fn run(&self, clients: usize, time: Duration) -> Result<Burst> {
        let of_node = |node| clients / NODES + usize::from(node < clients % NODES);
        let runs = (0..NODES).map(|node| self.run_one(node, of_node(node), time));
        let mut all = Burst::default();
        for burst in futures::future::join_all(runs).await {
            all.join(burst?);
        }
        Ok(all)
    }

    /// Calls one node, for whole seconds, which is all that the generators know.
    pub async fn run_one(&self, node: usize, clients: usize, time: Duration) -> Result<Burst> {
        let time = Duration::from_secs(time.as_secs().max(1));
        let log = self.dir.path().join(format!("log-{node}"));
        let url = format!("http://{}{}", self.hosts[node], self.path);
        let mut command = match self.protocol {
            Protocol::Mcp => self.wrk(clients, time),
            Protocol::Grpc | Protocol::Etcd => self.h2load(clients, time, &log),
        };
        command.arg(url).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(time + GRACE, command.output()).await??;
        let text = String::from_utf8_lossy(&output.stdout);
        let burst = match self.protocol {
            Protocol::Mcp => read_wrk(&text),
            Protocol::Grpc | Protocol::Etcd => read_h2load(&text, &std::fs::read_to_string(log)?),
        };
        let burst = burst.ok_or_else(|| format!("a load generator says: {text}"))?;
        Ok(Burst { time, ..burst })
    }

    fn h2load(&self, clients: usize, time: Duration, log: &PathBuf) -> Command {
        let mut command = Command::new("h2load");
        command.args(["--threads", "1", "--max-concurrent-streams", "1"]);
        command.args(["--clients", &clients.to_string()]);
        command.args(["--duration", &time.as_secs().to_string()]);
        command.args(["--header", "content-type: application/grpc", "--header", "te: trailers"]);
        command.arg("--data").arg(self.dir.path().join("call")).arg("--log-file").arg(log);
        command
    }

    fn wrk(&self, clients: usize, time: Duration) -> Command {
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--connections", &clients.to_string(), "--latency"]);
        command.args(["--duration", &format!("{}s", time.as_secs())]);
        command.arg("--script").arg(self.dir.path().join("call"));
        command
    }
}

/// The body of a call over gRPC: not compressed, its length, the message.
fn frame(message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.encoded_len() as u32).to_be_bytes());
    frame.extend(message.encode_to_vec());
    frame
}

fn submit() -> SubmitRequest {
    let set =
        state::Set { key: KEY.into(), value: format!("\"{}\"", value()), ..Default::default() };
    let command = Some(state::Command { command: Some(state::command::Command::Set(set)) });
    SubmitRequest { command, ..Default::default() }
}

fn ask() -> AskRequest {
    let question = state::question::Question::Key(state::KeyQuestion { key: KEY.into() });
    let question = Some(state::Question { question: Some(question) });
    AskRequest { question, ..Default::default() }
}

/// What `wrk` is to send, as a script in Lua.
fn mcp_script(operation: Operation) -> String {
    let call = match operation {
        Operation::Write => {
            format!(r#""name":"state_set","arguments":{{"key":"{KEY}","value":"{}"}}"#, value())
        }
        _ => format!(r#""name":"state_get","arguments":{{"key":"{KEY}"}}"#),
    };
    format!(
        r#"wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/json, text/event-stream"
wrk.headers["mcp-protocol-version"] = "2025-06-18"
wrk.body = '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{call}}}}}'
"#
    )
}

/// What `h2load` has counted; nothing where a call has failed.
fn read_h2load(text: &str, log: &str) -> Option<Burst> {
    let line = |prefix| text.lines().find_map(|line: &str| line.strip_prefix(prefix));
    let numbers = |line: &str| -> Vec<u64> {
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let [_, _, calls, succeeded, failed, errored, timed_out] = numbers(line("requests: ")?)[..]
    else {
        return None;
    };
    let data = line("traffic: ")?.rsplit_once('(')?.1.split(')').next()?.parse::<u64>().ok()?;
    let is_good = failed + errored + timed_out == 0 && succeeded == calls && calls > 0;
    let took = log.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok());
    let took = took.map(Duration::from_micros).collect();
    (is_good && data >= calls * FRAME_BYTES).then_some(Burst { calls, took, ..Burst::default() })
}

/// What `wrk` has counted; nothing where a call has failed.
fn read_wrk(text: &str) -> Option<Burst> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let calls = text.lines().find(|line| line.contains(" requests in "))?;
    let calls = calls.split_whitespace().next()?.parse().ok().filter(|calls| *calls > 0)?;
    let percentile = |name| {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name))?;
        time(line.trim())
    };
    let percentiles = vec![[percentile("50%")?, percentile("99%")?]];
    Some(Burst { calls, percentiles, ..Burst::default() })
}

/// A time as `wrk` writes it.
fn time(text: &str) -> Option<Duration> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs_f64(number * seconds))
    })
}
