//! The cluster of `dev`: starts the nodes, reports those that die, and stops all in order. A
//! node that has died is started again only when the user asks for it.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::json;

use super::events::{DevEvent, DevSignals};
use super::layout::DevLayout;
use super::node::DevNode;
use crate::cli::failure::CommandFailure;
use crate::cli::node_options::Credentials;

/// How long the cluster may take to become ready. That takes a second or two, and much
/// longer on a loaded machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(100);

/// How long a node may take to transfer leadership, to finish its calls and to sync. After
/// that it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// The nodes of one `dev`.
pub(super) struct DevCluster {
    layout: DevLayout,
    program: PathBuf,
    colour: bool,
    nodes: Vec<DevNode>,
}

impl DevCluster {
    pub(super) fn new(layout: DevLayout, program: PathBuf, colour: bool) -> DevCluster {
        DevCluster { layout, program, colour, nodes: Vec::new() }
    }

    /// Runs the cluster until it is told to stop.
    pub(super) async fn run(&mut self, signals: &mut DevSignals) -> Result<(), CommandFailure> {
        for id in self.layout.ids() {
            self.start(id)?;
        }
        if !self.become_ready(signals).await? {
            return Ok(());
        }
        self.print_ready();
        std::fs::write(self.layout.ready_file(), format!("{}\n", std::process::id())).map_err(
            |error| {
                CommandFailure::run(format!("the file that marks the cluster as ready: {error}"))
            },
        )?;
        loop {
            match signals.next_event(&mut self.nodes).await {
                DevEvent::Stop => return Ok(()),
                DevEvent::Restart => self.restart_dead(),
                DevEvent::NodeEnded(at, status) => {
                    let node = self.nodes.remove(at);
                    self.report_death(&node, status);
                }
            }
        }
    }

    /// Waits until the nodes that run are ready: like later, a cluster can do without one of
    /// them. Returns false if it is told to stop before.
    async fn become_ready(&mut self, signals: &mut DevSignals) -> Result<bool, CommandFailure> {
        let give_up = Instant::now() + READY_TIMEOUT;
        loop {
            let ids: Vec<u16> = self.nodes.iter().map(|node| node.id).collect();
            let event = tokio::select! {
                ready = wait_until_ready(&self.layout, &ids, give_up) => {
                    return ready.map(|()| true);
                }
                event = signals.next_event(&mut self.nodes) => event,
            };
            match event {
                DevEvent::Stop => return Ok(false),
                DevEvent::Restart => self.restart_dead(),
                DevEvent::NodeEnded(at, status) => {
                    let node = self.nodes.remove(at);
                    if self.nodes.is_empty() {
                        let line = format!("node {} ended while it started: {status}", node.id);
                        return Err(CommandFailure::run(line));
                    }
                    self.report_death(&node, status);
                }
            }
        }
    }

    fn start(&mut self, id: u16) -> Result<(), CommandFailure> {
        let node =
            DevNode::start(&self.program, &self.layout, id, self.colour).map_err(|error| {
                CommandFailure::run(format!("node {id} cannot be started: {error}"))
            })?;
        self.nodes.push(node);
        Ok(())
    }

    fn restart_dead(&mut self) {
        for id in self.layout.ids() {
            if self.nodes.iter().any(|node| node.id == id) {
                continue;
            }
            match self.start(id) {
                Ok(()) => eprintln!("dev: node {id} is started again"),
                Err(failure) => eprintln!("dev: {}", failure.line()),
            }
        }
    }

    /// Stops one node after another, so that a leader can transfer its leadership. A second
    /// Ctrl-C kills all nodes at once.
    pub(super) async fn stop(&mut self, signals: &mut DevSignals) {
        // The file does not exist if the cluster was never ready.
        let _ = std::fs::remove_file(self.layout.ready_file());
        while let Some(mut node) = self.nodes.pop() {
            let id = node.id;
            tokio::select! {
                status = node.stop(STOP_TIMEOUT) => match status {
                    Ok(status) if status.success() => eprintln!("dev: node {id} has stopped"),
                    Ok(status) => eprintln!("dev: node {id} ended: {status}"),
                    Err(error) => eprintln!("dev: node {id}: {error}"),
                },
                () = signals.interrupted() => {
                    node.kill();
                    self.nodes.iter_mut().for_each(DevNode::kill);
                }
            }
            // Another process may have this process id one day.
            let _ = std::fs::remove_file(self.layout.pid_file(id));
        }
    }

    fn print_ready(&self) {
        let (layout, program) = (&self.layout, self.program.display());
        println!("\nThe cluster is ready. Its state is in {}\n", layout.dir.display());
        for node in &self.nodes {
            let (url, grpc_port) = (layout.url(node.id), layout.grpc_port(node.id));
            println!("  node {}   MCP {url}   gRPC 127.0.0.1:{grpc_port}", node.id);
        }
        let urls: Vec<String> = layout.ids().map(|id| layout.url(id)).collect();
        let http = json!({"mcpServers": {"state-sidecar": {"type": "http", "url": urls[0]}}});
        let args: Vec<&str> =
            ["connect"].into_iter().chain(urls.iter().map(String::as_str)).collect();
        let stdio = json!({"mcpServers": {"state-sidecar": {
            "command": program.to_string(), "args": args}}});
        println!(
            "\nPaste this into an MCP client that uses HTTP (all nodes answer alike):\n  {http}"
        );
        println!(
            "or this into one that starts programs (it calls the next node if one is down):\n  {stdio}"
        );
        if std::env::var_os("SIDECAR_TOKEN").is_some_and(|token| !token.is_empty()) {
            println!(
                "HTTP clients also send `Authorization: Bearer` with the value of SIDECAR_TOKEN"
            );
        }
        println!("\n{program} cluster status --node 127.0.0.1:{}", layout.grpc_port(1));
        println!("shows the nodes; Ctrl-C stops them.\n");
    }

    fn report_death(&self, node: &DevNode, status: ExitStatus) {
        let (id, pid) = (node.id, node.pid);
        let file = self.layout.file(id);
        eprintln!("dev: node {id} (process {pid}) has ended: {status}");
        eprintln!("dev: start it again with `kill -HUP {}`", std::process::id());
        let (program, file) = (self.program.display(), file.display());
        eprintln!("dev: or in another terminal: {program} serve --config {file}");
    }
}

/// Waits until each of these nodes knows a leader and has caught up.
async fn wait_until_ready(
    layout: &DevLayout,
    ids: &[u16],
    give_up: Instant,
) -> Result<(), CommandFailure> {
    let client = Credentials::default().client(&[]).map_err(CommandFailure::usage)?;
    for id in ids {
        let url = format!("http://127.0.0.1:{}/readyz", layout.port(*id));
        loop {
            match client.get(&url, READY_POLL * 10).await {
                Ok((status, _)) if status.is_success() => break,
                Ok(_) | Err(_) if Instant::now() < give_up => tokio::time::sleep(READY_POLL).await,
                Ok((status, _)) => {
                    return Err(CommandFailure::run(format!("node {id} is not ready: {status}")));
                }
                Err(error) => {
                    return Err(CommandFailure::run(format!("node {id} is not ready: {error}")));
                }
            }
        }
    }
    Ok(())
}
