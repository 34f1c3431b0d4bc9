//! The subcommands of `cluster`.

use std::process::ExitCode;

use super::{change, status};
use crate::cli::failure::CommandFailure;

/// Show the status of a cluster, or change it while it runs
#[derive(Debug, clap::Args)]
pub struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ClusterCommand {
    Status(status::StatusArgs),
    Add(change::AddArgs),
    Remove(change::RemoveArgs),
    Replace(change::ReplaceArgs),
    Transfer(change::TransferArgs),
    Snapshot(change::SnapshotArgs),
}

/// Runs the command.
pub async fn run(args: ClusterArgs) -> Result<ExitCode, CommandFailure> {
    match args.command {
        ClusterCommand::Status(args) => status::run(args).await,
        ClusterCommand::Add(args) => change::add(args).await,
        ClusterCommand::Remove(args) => change::remove(args).await,
        ClusterCommand::Replace(args) => change::replace(args).await,
        ClusterCommand::Transfer(args) => change::transfer(args).await,
        ClusterCommand::Snapshot(args) => change::snapshot(args).await,
    }
}
