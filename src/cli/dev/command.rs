//! The command `dev`, and the checks before the start.

use std::io::IsTerminal;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::cluster::DevCluster;
use super::events::DevSignals;
use super::layout::DevLayout;
use crate::cli::failure::CommandFailure;

/// Run a whole cluster on this machine, in this terminal
///
/// The nodes keep their state in a directory, where the next `dev` finds it again. Ctrl-C
/// stops all nodes in order. The ports are 8000, 8001, … for MCP and 9000, 9001, … for
/// gRPC. Settings in the environment apply to each node, except for those that `dev`
/// decides itself, such as ports and directories.
#[derive(Debug, clap::Args)]
pub struct DevArgs {
    /// The number of nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// The directory for the state [default: mcp-state-sidecar/dev in the user's state directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The MCP port of node 1; the other nodes use the next ports
    #[arg(long, value_name = "PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1..=65000))]
    base_port: u16,
    /// The gRPC port of node 1; the other nodes use the next ports
    #[arg(long, value_name = "PORT", default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1..=65000))]
    base_grpc_port: u16,
}

/// Runs the cluster until Ctrl-C or SIGTERM.
pub async fn run(args: DevArgs) -> Result<ExitCode, CommandFailure> {
    let mut cluster = prepare(args)?;
    let signals = DevSignals::listen();
    let mut signals = signals
        .map_err(|error| CommandFailure::run(format!("signals cannot be caught: {error}")))?;
    let ran = cluster.run(&mut signals).await;
    cluster.stop(&mut signals).await;
    ran.map(|()| ExitCode::SUCCESS)
}

/// Checks the ports, and writes the settings of each node.
fn prepare(args: DevArgs) -> Result<DevCluster, CommandFailure> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => default_dir()?,
    };
    let dir = std::path::absolute(&dir)
        .map_err(|error| CommandFailure::usage(format!("--dir: got {dir:?} ({error})")))?;
    let (nodes, base_port, base_grpc_port) = (args.nodes, args.base_port, args.base_grpc_port);
    if base_port.abs_diff(base_grpc_port) < nodes {
        let line = "--base-grpc-port: the MCP and gRPC ports of the nodes overlap";
        return Err(CommandFailure::usage(line));
    }
    let layout = DevLayout { nodes, base_port, base_grpc_port, dir };
    for id in layout.ids() {
        check_free(layout.port(id), "--base-port")?;
        check_free(layout.grpc_port(id), "--base-grpc-port")?;
    }
    layout.write().map_err(CommandFailure::usage)?;
    // A `dev` that was killed leaves this file behind.
    let _ = std::fs::remove_file(layout.ready_file());
    let program = std::env::current_exe()
        .map_err(|error| CommandFailure::run(format!("the path of this program: {error}")))?;
    Ok(DevCluster::new(layout, program, std::io::stderr().is_terminal()))
}

fn check_free(port: u16, flag: &str) -> Result<(), CommandFailure> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => {
            let line = format!("port {port} cannot be used ({error}); choose others with {flag}");
            Err(CommandFailure::run(line))
        }
    }
}

/// The default directory, by the XDG base directory specification.
fn default_dir() -> Result<PathBuf, CommandFailure> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let state =
        state.ok_or_else(|| CommandFailure::usage("--dir: not set, and HOME is not set either"))?;
    Ok(state.join(Path::new("mcp-state-sidecar/dev")))
}
