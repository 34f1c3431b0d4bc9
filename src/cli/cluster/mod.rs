//! `cluster`: how the nodes are, and changes of a running cluster.

mod change;
mod status;

use std::process::ExitCode;

use super::Failure;

/// Look at a cluster, and change it while it runs
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Status(status::Args),
    Add(change::AddArgs),
    Remove(change::RemoveArgs),
    Replace(change::ReplaceArgs),
    Transfer(change::TransferArgs),
    Snapshot(change::SnapshotArgs),
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Status(args) => status::run(args).await,
        Command::Add(args) => change::add(args).await,
        Command::Remove(args) => change::remove(args).await,
        Command::Replace(args) => change::replace(args).await,
        Command::Transfer(args) => change::transfer(args).await,
        Command::Snapshot(args) => change::snapshot(args).await,
    }
}
