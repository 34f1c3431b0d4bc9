//! The processes under test: commands that run to completion, and nodes that serve.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::client::Client;

/// Long enough for a busy machine. Only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A command with only the settings of the test.
pub fn command(env: &[(String, String)], args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"));
    command.env_clear().envs(env.iter().cloned()).args(args).stdin(Stdio::null());
    command
}

/// Runs a command to completion.
pub fn run(env: &[(String, String)], args: &[&str]) -> Output {
    command(env, args).output().expect("the program starts")
}

/// The output of a command that must succeed.
pub fn done(env: &[(String, String)], args: &[&str]) -> String {
    let output = run(env, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

/// The exit code of a command that must fail, and the one line that it prints.
pub fn refused(env: &[(String, String)], args: &[&str]) -> (i32, String) {
    failed(args, &run(env, args))
}

/// See [`refused`].
pub fn failed(args: &[&str], output: &Output) -> (i32, String) {
    let line = text(&output.stderr);
    assert!(!output.status.success(), "{args:?} succeeded: {}", text(&output.stdout));
    assert_eq!(line.lines().count(), 1, "{args:?}: {line}");
    (output.status.code().expect("an exit code"), line)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A setting, as a pair for [`command`].
pub fn setting(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// A process that serves. It is killed when this is dropped.
pub struct Node {
    pub client: Client,
    process: Child,
    log: PathBuf,
}

impl Node {
    /// Starts `serve` and logs to `log`.
    pub fn start(env: &[(String, String)], port: u16, log: PathBuf) -> Node {
        let mut command = command(env, &["serve"]);
        command.env("SIDECAR_PORT", port.to_string()).stdout(Stdio::null());
        let file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let process = command.stderr(file).spawn().expect("the program starts");
        Node { client: Client::new(port), process, log }
    }

    /// Waits until it serves.
    pub async fn ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.client.is_ready().await {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(Instant::now() < deadline, "not ready; its log:\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the process with SIGKILL, so that nothing is flushed.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops the process with SIGTERM, and waits for it.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cluster of three nodes: their addresses and settings.
pub struct Plan {
    name: &'static str,
    dir: PathBuf,
    pub mcp_ports: Vec<u16>,
    pub raft_ports: Vec<u16>,
}

impl Plan {
    pub fn new(name: &'static str, dir: &Path) -> Plan {
        let (mcp_ports, raft_ports) = (free_ports(3), free_ports(3));
        Plan { name, dir: dir.to_owned(), mcp_ports, raft_ports }
    }

    /// The settings of the node at `at`.
    pub fn settings(&self, at: usize) -> Vec<(String, String)> {
        let numbered = (1..).zip(&self.raft_ports);
        let members: Vec<_> = numbered.map(|(id, port)| format!("{id}=127.0.0.1:{port}")).collect();
        vec![
            setting("STATE_BACKEND", "raft"),
            setting("SIDECAR_CLUSTER_NAME", self.name),
            setting("SIDECAR_NODE_ID", at + 1),
            setting("SIDECAR_RAFT_ADDR", format!("127.0.0.1:{}", self.raft_ports[at])),
            setting("SIDECAR_MEMBERS", members.join(",")),
            setting("SIDECAR_DATA_DIR", self.data_dir(at).display()),
            // Small, so that a short load leaves both a snapshot and a log.
            setting("SIDECAR_SNAPSHOT_ENTRIES", 100),
            setting("SIDECAR_KEEP_ENTRIES", 100),
        ]
    }

    pub fn data_dir(&self, at: usize) -> PathBuf {
        self.dir.join(format!("{}-{}", self.name, at + 1))
    }

    /// Starts all nodes, and waits until they serve.
    pub async fn start(&self) -> Vec<Node> {
        let log = |at| self.dir.join(format!("{}-{}.log", self.name, at + 1));
        let start = |at: usize| Node::start(&self.settings(at), self.mcp_ports[at], log(at));
        let nodes: Vec<Node> = (0..3).map(start).collect();
        for node in &nodes {
            node.ready().await;
        }
        nodes
    }
}

/// Ports that were free a moment ago.
pub fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
