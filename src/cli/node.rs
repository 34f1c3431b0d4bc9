//! `stdio` and `serve`: this process is a node. Reads the configuration,
//! starts logging, and hands over to `server`.

use std::io::IsTerminal;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::Failure;
use super::flags::SettingFlags;
use crate::config::{Backend, Config, LogFormat};
use crate::server;

/// Speak MCP on standard input and output (the default)
#[derive(Debug, clap::Args)]
pub struct StdioArgs {
    #[command(flatten)]
    pub settings: SettingFlags,
}

/// Serve MCP over HTTP, with health and metrics beside it
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Stop once the process of this number, our parent, has died
    #[arg(long, value_name = "PID", hide = true)]
    die_with: Option<u32>,
}

/// How agents reach this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    Stdio,
    Http,
}

/// `serve`, with the settings that stood before the command.
pub fn serve(before: SettingFlags, args: ServeArgs) -> Result<ExitCode, Failure> {
    if let Some(parent) = args.die_with {
        die_with(parent)?;
    }
    run(before.then(args.settings), Interface::Http)
}

/// Runs a node until it is told to stop.
pub fn run(flags: SettingFlags, interface: Interface) -> Result<ExitCode, Failure> {
    let Some(config) = flags.settle()? else { return Ok(ExitCode::SUCCESS) };
    if interface == Interface::Stdio && config.state_backend == Backend::Raft {
        let text = "STATE_BACKEND: got \"raft\", which runs as `serve`; reach a cluster from \
                    standard input with `connect URL…`";
        return Err(Failure::usage(text));
    }
    start_logging(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::run(format!("no runtime: {error}")))?;
    let served = match interface {
        Interface::Stdio => runtime.block_on(server::stdio(config)),
        Interface::Http => runtime.block_on(server::serve(config)),
    };
    // A read of standard input may still stand; it must not hold up the exit.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS).map_err(Failure::run)
}

/// Logs go to standard error: standard output may be MCP's.
fn start_logging(config: &Config) {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(&config.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // Whoever read our standard error may have gone before us.
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

/// Asks the kernel for SIGTERM when our parent dies, and looks whether it
/// already has.
fn die_with(parent: u32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| Failure::run(format!("--die-with: {error}")))?;
    let present = getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get() as u32);
    if present == Some(parent) {
        return Ok(());
    }
    Err(Failure::run(format!("--die-with: process {parent} is not our parent")))
}
