//! The command line: what was asked for, carried out, as an exit code. One
//! file a group of commands.
//!
//! Exit codes: 0 done, 1 failed, 2 asked wrongly (an argument or a setting).

mod bytes;
mod call;
mod client;
mod cluster;
mod connect;
mod dev;
mod export;
mod flags;
mod import;
mod node;
mod progress;
mod recover;
mod remote;
mod target;

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::export::{ExportCounts, Header};
use flags::SettingFlags;
use node::Interface;

/// State that agents share, over MCP: keys, workflows, leases, sessions and
/// their history, on one machine or replicated over several
///
/// Without a command it speaks MCP on standard input and output.
#[derive(Debug, Parser)]
#[command(name = "mcp-state-sidecar", version)]
struct Cli {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Stdio(node::StdioArgs),
    Serve(node::ServeArgs),
    Dev(dev::Args),
    Cluster(cluster::Args),
    Connect(connect::Args),
    Call(call::Args),
    Export(export::Args),
    Import(import::Args),
    Recover(recover::Args),
}

/// The program under its second name: `serve`.
#[derive(Debug, Parser)]
#[command(name = "mcp-state-sidecar-http", version)]
struct HttpCli {
    #[command(flatten)]
    serve: node::ServeArgs,
}

/// Why a command failed: one line for people, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    code: u8,
}

impl Failure {
    /// Asked wrongly: exit code 2.
    pub(crate) fn usage(line: impl Display) -> Failure {
        Failure { line: line.to_string(), code: 2 }
    }

    /// Tried and failed: exit code 1.
    pub(crate) fn run(line: impl Display) -> Failure {
        Failure { line: line.to_string(), code: 1 }
    }
}

/// `mcp-state-sidecar`, from its arguments to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return clap_exit(&error),
    };
    finish(run(cli))
}

/// `mcp-state-sidecar-http`, likewise.
pub fn http_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match HttpCli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return clap_exit(&error),
    };
    finish(node::serve(SettingFlags::default(), cli.serve))
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let before = cli.settings;
    match cli.command {
        None => node::run(before, Interface::Stdio),
        Some(Command::Stdio(args)) => node::run(before.then(args.settings), Interface::Stdio),
        Some(Command::Serve(args)) => node::serve(before, args),
        Some(Command::Dev(args)) => alone(&before, "dev", dev::run(args)),
        Some(Command::Cluster(args)) => alone(&before, "cluster", cluster::run(args)),
        Some(Command::Connect(args)) => alone(&before, "connect", connect::run(args)),
        Some(Command::Call(args)) => alone(&before, "call", call::run(args)),
        Some(Command::Export(args)) => export::run(before, args),
        Some(Command::Import(args)) => import::run(before, args),
        Some(Command::Recover(args)) => alone(&before, "recover", recover::run(args)),
    }
}

/// Runs a command that is no node and takes no settings.
fn alone(
    before: &SettingFlags,
    name: &str,
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    if !before.is_empty() {
        return Err(Failure::usage(format!(
            "{name}: takes no settings of a node; see {name} --help"
        )));
    }
    block_on(command)
}

/// Runs a command for which one thread is enough.
fn block_on(command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::run(format!("no runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A read of standard input may still stand; it must not hold up the exit.
    runtime.shutdown_background();
    result
}

fn finish(result: Result<ExitCode, Failure>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("mcp-state-sidecar: {}", failure.line);
            ExitCode::from(failure.code)
        }
    }
}

/// Help and version go to standard output with 0, the rest to standard error.
fn clap_exit(error: &clap::Error) -> ExitCode {
    // Fails only where nobody reads it any longer.
    let _ = error.print();
    ExitCode::from(error.exit_code() as u8)
}

/// A state that was moved, in one line.
fn moved(header: &Header, tally: &ExportCounts) -> String {
    let Header { origin, meta } = header;
    format!(
        "revision {}, chain {}, from {} {}: {tally}",
        meta.revision, meta.chain, origin.backend, origin.release
    )
}

/// JSON for people.
fn print_json(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
