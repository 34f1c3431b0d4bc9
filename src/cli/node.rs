//! `stdio` and `serve`: this process is a node. This file reads the configuration, starts
//! logging, and leaves the rest to `server`.

use std::io::IsTerminal;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::failure::CommandFailure;
use super::flags::SettingFlags;
use super::runtime::block_on_threads;
use crate::config::{Backend, Config, ConfigNote, LogFormat, ResolvedConfig};
use crate::server::{self, ServeError};

/// Speak MCP on standard input and output (the default)
#[derive(Debug, clap::Args)]
pub struct StdioArgs {
    #[command(flatten)]
    pub settings: SettingFlags,
}

/// Serve MCP over HTTP, with health and metrics
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Stop when the parent process with this number has died
    #[arg(long, value_name = "PID", hide = true)]
    die_with: Option<u32>,
}

/// Speaks MCP on standard input and output until the client hangs up.
pub fn stdio(flags: SettingFlags) -> Result<ExitCode, CommandFailure> {
    let Some(resolved) = flags.resolve()? else { return Ok(ExitCode::SUCCESS) };
    if resolved.config.state_backend == Backend::Raft {
        let text = "STATE_BACKEND: got \"raft\", which runs as `serve`; to reach a cluster from \
                    standard input, use `connect ADDRESS…`";
        return Err(CommandFailure::usage(text));
    }
    run(resolved, server::stdio)
}

/// Runs `serve`, with the settings that were given before the command.
pub fn serve(before: SettingFlags, args: ServeArgs) -> Result<ExitCode, CommandFailure> {
    if let Some(parent) = args.die_with {
        die_with(parent)?;
    }
    let resolved = before.then(args.settings).resolve()?;
    let Some(resolved) = resolved else { return Ok(ExitCode::SUCCESS) };
    run(resolved, server::serve)
}

/// Runs a node until it is told to stop.
fn run<F>(
    resolved: ResolvedConfig,
    node: impl FnOnce(Config) -> F,
) -> Result<ExitCode, CommandFailure>
where
    F: Future<Output = Result<(), ServeError>>,
{
    let ResolvedConfig { config, notes, .. } = resolved;
    start_logging(&config);
    log_notes(&notes);
    block_on_threads(async {
        node(config).await.map(|()| ExitCode::SUCCESS).map_err(CommandFailure::run)
    })
}

/// Starts logging to standard error, because MCP may use standard output.
fn start_logging(config: &Config) {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(&config.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // The reader of standard error may be gone, and reporting that there would fail too.
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

fn log_notes(notes: &[ConfigNote]) {
    for note in notes {
        match note {
            ConfigNote::Unknown { name, nearest } => {
                tracing::warn!(variable = name, did_you_mean = nearest, "no such setting; ignored");
            }
            ConfigNote::Service { name, value } => {
                tracing::info!(variable = name, value, "describes a Kubernetes Service; ignored");
            }
        }
    }
}

/// Asks the kernel to send SIGTERM when the parent process dies, and checks that it has
/// not died already.
fn die_with(parent: u32) -> Result<(), CommandFailure> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| CommandFailure::run(format!("--die-with: {error}")))?;
    let present = getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get() as u32);
    if present == Some(parent) {
        return Ok(());
    }
    Err(CommandFailure::run(format!("--die-with: process {parent} is not the parent of this one")))
}
