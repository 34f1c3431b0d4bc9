//! The programs: from their arguments to a command, and from its result to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::failure::CommandFailure;
use super::flags::SettingFlags;
use super::runtime::{block_on, refuse_huge_pages};
use super::{call, cluster, connect, dev, export, import, node, prune, recover};

/// State that agents share over MCP: keys, workflows, leases, sessions and their history,
/// on one machine or replicated over several
///
/// Without a command it speaks MCP on standard input and output.
#[derive(Debug, Parser)]
#[command(name = "mcp-state-sidecar", version)]
struct Cli {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Option<CliCommand>,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Stdio(node::StdioArgs),
    Serve(node::ServeArgs),
    Dev(dev::DevArgs),
    Cluster(cluster::ClusterArgs),
    Connect(connect::ConnectArgs),
    Call(call::CallArgs),
    Prune(prune::PruneArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Recover(recover::RecoverArgs),
}

/// The second program, which does what `serve` does.
#[derive(Debug, Parser)]
#[command(name = "mcp-state-sidecar-http", version)]
struct HttpCli {
    #[command(flatten)]
    serve: node::ServeArgs,
}

/// Runs `mcp-state-sidecar`, from its arguments to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    refuse_huge_pages();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return clap_exit(&error),
    };
    finish(run(cli))
}

/// Runs `mcp-state-sidecar-http`, from its arguments to its exit code.
pub fn http_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    refuse_huge_pages();
    let cli = match HttpCli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return clap_exit(&error),
    };
    finish(node::serve(SettingFlags::default(), cli.serve))
}

/// Settings may be given before the command as well as after it.
fn run(cli: Cli) -> Result<ExitCode, CommandFailure> {
    let before = cli.settings;
    match cli.command {
        None => node::stdio(before),
        Some(CliCommand::Stdio(args)) => node::stdio(before.then(args.settings)),
        Some(CliCommand::Serve(args)) => node::serve(before, args),
        Some(CliCommand::Dev(args)) => without_settings(&before, "dev", dev::run(args)),
        Some(CliCommand::Cluster(args)) => without_settings(&before, "cluster", cluster::run(args)),
        Some(CliCommand::Connect(args)) => without_settings(&before, "connect", connect::run(args)),
        Some(CliCommand::Call(args)) => without_settings(&before, "call", call::run(args)),
        Some(CliCommand::Prune(args)) => without_settings(&before, "prune", prune::run(args)),
        Some(CliCommand::Export(args)) => export::run(before, args),
        Some(CliCommand::Import(args)) => import::run(before, args),
        Some(CliCommand::Recover(args)) => without_settings(&before, "recover", recover::run(args)),
    }
}

/// Runs a command that accepts no settings.
fn without_settings(
    before: &SettingFlags,
    name: &str,
    command: impl Future<Output = Result<ExitCode, CommandFailure>>,
) -> Result<ExitCode, CommandFailure> {
    if !before.is_empty() {
        return Err(CommandFailure::usage(format!(
            "{name}: accepts no settings of a node; see {name} --help"
        )));
    }
    block_on(command)
}

fn finish(result: Result<ExitCode, CommandFailure>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("mcp-state-sidecar: {}", failure.line());
            failure.exit_code()
        }
    }
}

/// Prints what clap has to say. Help and version go to standard output with exit code 0,
/// and errors to standard error with exit code 2.
fn clap_exit(error: &clap::Error) -> ExitCode {
    // Printing fails only if nobody reads the output any longer.
    let _ = error.print();
    ExitCode::from(error.exit_code() as u8)
}
