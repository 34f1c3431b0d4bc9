//! `cluster add`, `remove`, `replace`, `transfer` and `snapshot`.

use std::process::ExitCode;
use std::time::Duration;

use super::leader::{LeaderCall, LeaderCallError, LeaderClient, LeaderOptions};
use crate::cli::failure::CommandFailure;
use crate::cli::grpc_client;
use crate::cli::progress::Progress;
use crate::config::{HostPort, peer_addr};
use crate::proto::sidecar::{
    AddMemberRequest, RemoveMemberRequest, TakeSnapshotRequest, TransferLeadershipRequest,
};

/// How long one call may take at the server. Longer work takes several calls, so that
/// progress is shown and a lost leader is noticed.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Add a node that runs and waits to be added
///
/// Start the node first, with a new number, an empty data directory, and a SIDECAR_MEMBERS
/// that lists the present members without the new node. It receives the state, and becomes
/// a voter once it has caught up.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The number of the node (SIDECAR_NODE_ID), which was never used before
    id: u64,
    /// The gRPC address at which its peers reach it, as HOST:PORT
    #[arg(value_name = "ADDRESS", value_parser = peer_addr)]
    addr: HostPort,
    #[command(flatten)]
    leader: LeaderOptions,
}

/// Remove a node for good; it stops, and its number cannot be used again
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// The number of the node
    id: u64,
    #[command(flatten)]
    leader: LeaderOptions,
}

/// Replace a node that is lost or leaves by a new one, in one step
#[derive(Debug, clap::Args)]
pub struct ReplaceArgs {
    /// The number of the node that leaves, which may be dead
    old: u64,
    /// The number of the new node; see `cluster add --help`
    new: u64,
    /// The gRPC address of the new node, as HOST:PORT
    #[arg(value_name = "ADDRESS", value_parser = peer_addr)]
    addr: HostPort,
    #[command(flatten)]
    leader: LeaderOptions,
}

/// Transfer leadership to another node
#[derive(Debug, clap::Args)]
pub struct TransferArgs {
    /// The number of the new leader [default: the node that has most of the log]
    id: Option<u64>,
    #[command(flatten)]
    leader: LeaderOptions,
}

/// Make one node take a snapshot and purge the log behind it
#[derive(Debug, clap::Args)]
pub struct SnapshotArgs {
    #[command(flatten)]
    node: LeaderOptions,
}

/// Runs `cluster add`.
pub async fn add(args: AddArgs) -> Result<ExitCode, CommandFailure> {
    let AddArgs { id, addr, leader } = args;
    add_voter(id, addr, None, leader).await?;
    println!("node {id} is a voter");
    Ok(ExitCode::SUCCESS)
}

/// Runs `cluster replace`.
pub async fn replace(args: ReplaceArgs) -> Result<ExitCode, CommandFailure> {
    let ReplaceArgs { old, new, addr, leader } = args;
    add_voter(new, addr, Some(old), leader).await?;
    println!("node {new} is a voter in place of node {old}");
    Ok(ExitCode::SUCCESS)
}

async fn add_voter(
    id: u64,
    addr: HostPort,
    replaces: Option<u64>,
    options: LeaderOptions,
) -> Result<(), CommandFailure> {
    let mut leader = LeaderClient::new(options)?;
    let progress = Progress::of_lag("the new node");
    loop {
        let timeout_ms = Some(millis(CALL_TIMEOUT));
        let request = AddMemberRequest { id, addr: addr.to_string(), replaces, timeout_ms };
        match leader.call(LeaderCall::Add(request)).await {
            Err(LeaderCallError::Unfinished(_)) if !leader.is_late() => {
                if let Some(lag) = leader.lag_of(id).await {
                    progress.set(lag);
                }
            }
            ended => return ended.map(drop).map_err(LeaderCallError::failure),
        }
    }
}

/// Runs `cluster remove`.
pub async fn remove(args: RemoveArgs) -> Result<ExitCode, CommandFailure> {
    let RemoveArgs { id, leader } = args;
    let mut leader = LeaderClient::new(leader)?;
    loop {
        let request = RemoveMemberRequest { id, timeout_ms: Some(millis(CALL_TIMEOUT)) };
        match leader.call(LeaderCall::Remove(request)).await {
            Err(LeaderCallError::Unfinished(_)) if !leader.is_late() => {}
            ended => {
                ended.map_err(LeaderCallError::failure)?;
                println!("node {id} is removed");
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

/// Runs `cluster transfer`.
pub async fn transfer(args: TransferArgs) -> Result<ExitCode, CommandFailure> {
    let TransferArgs { id, leader } = args;
    let mut leader = LeaderClient::new(leader)?;
    let request = TransferLeadershipRequest { to: id, timeout_ms: Some(millis(CALL_TIMEOUT)) };
    let call = leader.call(LeaderCall::Transfer(request));
    let to = call.await.map_err(LeaderCallError::failure)?;
    if id.is_some_and(|id| id != to) {
        let line = format!("node {to} leads: another election took place meanwhile");
        return Err(CommandFailure::run(line));
    }
    println!("node {to} leads");
    Ok(ExitCode::SUCCESS)
}

/// Runs `cluster snapshot`.
pub async fn snapshot(args: SnapshotArgs) -> Result<ExitCode, CommandFailure> {
    let token = args.node.token()?;
    let LeaderOptions { node, credentials, .. } = &args.node;
    let client = grpc_client::connect(node, &credentials.tls).await;
    let mut client = client.map_err(CommandFailure::run)?;
    let timeout_ms = Some(millis(Duration::from_secs(args.node.wait)));
    let reply = client.take_snapshot(token.request(TakeSnapshotRequest { timeout_ms })).await;
    let taken = match reply {
        Ok(taken) => taken.into_inner(),
        Err(status) => {
            let why = grpc_client::call_failure(node, &credentials.tls, &status).await;
            return Err(CommandFailure::run(why));
        }
    };
    println!("the snapshot covers the log up to index {}", taken.index);
    Ok(ExitCode::SUCCESS)
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
