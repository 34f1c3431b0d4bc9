//! `dev`: a whole cluster in one terminal, each node a process of its own.
//! Ends when told to; a node that dies is reported, not replaced in silence.

mod child;
mod layout;

use std::io::IsTerminal;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use futures::future::{FutureExt, select_all};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use super::target::Credentials;
use child::Node;
use layout::Layout;

/// Forming the group takes a second or two; a loaded machine much longer.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(100);

/// For handing over, draining and syncing; then the node is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Run a whole cluster on this machine, in this terminal
///
/// Nodes keep their state in the folder, so the next `dev` finds it again.
/// Ctrl-C stops all nodes in order. Ports are 8000, 8001, … for MCP and 9000,
/// 9001, … for gRPC. Settings of the environment that `dev` does not decide
/// itself (SIDECAR_LOG, SIDECAR_TOKEN, …) hold for each node.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Where the nodes keep their state [default: mcp-state-sidecar/dev in the user's state folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Node 1's MCP port; the others follow
    #[arg(long, value_name = "PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1..=65000))]
    base_port: u16,
    /// Node 1's gRPC port; the others follow
    #[arg(long, value_name = "PORT", default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1..=65000))]
    base_grpc_port: u16,
}

struct Cluster {
    layout: Layout,
    program: PathBuf,
    colour: bool,
    nodes: Vec<Node>,
}

struct DevSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What wakes `dev`.
enum Wake {
    Stop,
    Restart,
    Died(usize, ExitStatus),
}

/// Runs the cluster until Ctrl-C or SIGTERM.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut cluster = Cluster::prepare(args)?;
    let mut signals = DevSignals::listen()?;
    let ran = cluster.run(&mut signals).await;
    cluster.stop(&mut signals).await;
    ran.map(|()| ExitCode::SUCCESS)
}

impl Cluster {
    fn prepare(args: Args) -> Result<Cluster, Failure> {
        let dir = match args.dir {
            Some(dir) => dir,
            None => default_dir()?,
        };
        let dir = std::path::absolute(&dir)
            .map_err(|error| Failure::usage(format!("--dir: got {dir:?} ({error})")))?;
        let (nodes, base_port, base_grpc_port) = (args.nodes, args.base_port, args.base_grpc_port);
        if base_port.abs_diff(base_grpc_port) < nodes {
            let line = "--base-grpc-port: the nodes' MCP and gRPC ports overlap";
            return Err(Failure::usage(line));
        }
        let layout = Layout { nodes, base_port, base_grpc_port, dir };
        for id in layout.ids() {
            check_free(layout.port(id), "--base-port")?;
            check_free(layout.grpc_port(id), "--base-grpc-port")?;
        }
        layout.write().map_err(Failure::usage)?;
        // Left by one that was killed.
        let _ = std::fs::remove_file(layout.ready_file());
        let program = std::env::current_exe()
            .map_err(|error| Failure::run(format!("this program's path: {error}")))?;
        let colour = std::io::stderr().is_terminal();
        Ok(Cluster { layout, program, colour, nodes: Vec::new() })
    }

    async fn run(&mut self, signals: &mut DevSignals) -> Result<(), Failure> {
        for id in self.layout.ids() {
            self.start(id)?;
        }
        tokio::select! {
            ready = wait_until_ready(&self.layout) => ready?,
            wake = next_wake(&mut self.nodes, signals) => match wake {
                Wake::Stop => return Ok(()),
                Wake::Restart => {}
                Wake::Died(at, status) => {
                    let id = self.nodes[at].id;
                    return Err(Failure::run(format!("node {id} ended at its start: {status}")));
                }
            },
        }
        self.print_ready();
        std::fs::write(self.layout.ready_file(), format!("{}\n", std::process::id()))
            .map_err(|error| Failure::run(format!("the file that says ready: {error}")))?;
        loop {
            match next_wake(&mut self.nodes, signals).await {
                Wake::Stop => return Ok(()),
                Wake::Restart => self.restart_dead(),
                Wake::Died(at, status) => {
                    let node = self.nodes.remove(at);
                    self.report_death(&node, status);
                }
            }
        }
    }

    fn start(&mut self, id: u16) -> Result<(), Failure> {
        let node = Node::start(&self.program, &self.layout, id, self.colour)
            .map_err(|error| Failure::run(format!("node {id} cannot be started: {error}")))?;
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
                Err(failure) => eprintln!("dev: {}", failure.line),
            }
        }
    }

    /// One node after the other, so that leadership finds somewhere to go; a
    /// second Ctrl-C ends it at once.
    async fn stop(&mut self, signals: &mut DevSignals) {
        // Absent where the cluster was never ready.
        let _ = std::fs::remove_file(self.layout.ready_file());
        while let Some(mut node) = self.nodes.pop() {
            let id = node.id;
            tokio::select! {
                status = node.stop(STOP_PATIENCE) => match status {
                    Ok(status) if status.success() => eprintln!("dev: node {id} has stopped"),
                    Ok(status) => eprintln!("dev: node {id} ended: {status}"),
                    Err(error) => eprintln!("dev: node {id}: {error}"),
                },
                _ = signals.interrupt.recv() => {
                    node.kill();
                    self.nodes.iter_mut().for_each(Node::kill);
                }
            }
            // Stale numbers would one day name another process.
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
            "\nPaste into an MCP client that speaks HTTP (any node answers for all):\n  {http}"
        );
        println!(
            "or into one that starts programs (asks the next node when one is down):\n  {stdio}"
        );
        if std::env::var_os("SIDECAR_TOKEN").is_some() {
            println!("over HTTP with the header Authorization: Bearer, and SIDECAR_TOKEN's value");
        }
        println!("\n{program} cluster status --node 127.0.0.1:{}", layout.grpc_port(1));
        println!("shows the nodes; Ctrl-C stops them.\n");
    }

    fn report_death(&self, node: &Node, status: ExitStatus) {
        let (id, pid) = (node.id, node.pid);
        let file = self.layout.file(id);
        eprintln!("dev: node {id} (process {pid}) has ended: {status}");
        eprintln!("dev: start it again with `kill -HUP {}`", std::process::id());
        let (program, file) = (self.program.display(), file.display());
        eprintln!("dev: or in a terminal of its own: {program} serve --config {file}");
    }
}

impl DevSignals {
    fn listen() -> Result<DevSignals, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::run(format!("signals cannot be caught: {error}")))
        };
        Ok(DevSignals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// The next signal, or the end of a node.
async fn next_wake(nodes: &mut [Node], signals: &mut DevSignals) -> Wake {
    let died = async {
        if nodes.is_empty() {
            return std::future::pending().await;
        }
        let ends = nodes.iter_mut().map(|node| node.ended().boxed_local());
        let (status, at, _) = select_all(ends).await;
        // Waiting for one's own child cannot fail; if it does, the node is lost to us.
        Wake::Died(at, status.unwrap_or_default())
    };
    tokio::select! {
        _ = signals.interrupt.recv() => Wake::Stop,
        _ = signals.terminate.recv() => Wake::Stop,
        _ = signals.hangup.recv() => Wake::Restart,
        wake = died => wake,
    }
}

/// Waits until every node knows a leader and has caught up.
async fn wait_until_ready(layout: &Layout) -> Result<(), Failure> {
    let client = Credentials::default().client().map_err(Failure::usage)?;
    let give_up = Instant::now() + READY_TIMEOUT;
    for id in layout.ids() {
        let url = format!("http://127.0.0.1:{}/readyz", layout.port(id));
        loop {
            match client.get(&url, READY_POLL * 10).await {
                Ok((status, _)) if status.is_success() => break,
                Ok(_) | Err(_) if Instant::now() < give_up => tokio::time::sleep(READY_POLL).await,
                Ok((status, _)) => {
                    return Err(Failure::run(format!("node {id} is not ready: {status}")));
                }
                Err(error) => return Err(Failure::run(format!("node {id} is not ready: {error}"))),
            }
        }
    }
    Ok(())
}

fn check_free(port: u16, flag: &str) -> Result<(), Failure> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => {
            let line = format!("port {port} cannot be used ({error}); choose others with {flag}");
            Err(Failure::run(line))
        }
    }
}

/// By the XDG base directory specification.
fn default_dir() -> Result<PathBuf, Failure> {
    let of =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = of("XDG_STATE_HOME").or_else(|| of("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| Failure::usage("--dir: not set, and there is no HOME"))?;
    Ok(state.join(Path::new("mcp-state-sidecar/dev")))
}
