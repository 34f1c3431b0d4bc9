//! `cluster add`, `remove`, `replace`, `transfer` and `snapshot`. A change is
//! the leader's to make: whichever node is asked says who leads, and the leader
//! is asked then, also when that changes on the way.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tonic::{Code, Status};

use crate::cli::Failure;
use crate::cli::progress::Progress;
use crate::cli::remote::{self, NODE_TIMEOUT, Token};
use crate::cli::target::Credentials;
use crate::proto::sidecar::{
    AddMemberRequest, RemoveMemberRequest, StatusRequest, TakeSnapshotRequest,
    TransferLeadershipRequest,
};

/// Where a node that does not lead says that the leader is.
const LEADER: &str = "sidecar-leader";

/// How long one call may take at the server. Longer work is asked for again,
/// so that progress shows and a lost leader is noticed.
const ROUND: Duration = Duration::from_secs(5);

/// Between two questions of who leads.
const PAUSE: Duration = Duration::from_millis(200);

/// Whom to ask, and how long.
#[derive(Debug, clap::Args)]
struct At {
    /// Any node's gRPC address (SIDECAR_RAFT_ADDR)
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    node: String,
    /// How long to go on trying
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
    #[command(flatten)]
    credentials: Credentials,
}

/// Add a node that runs and waits to be added
///
/// Start it first, with a new number, an empty data directory and a
/// SIDECAR_MEMBERS that names the members there are and not itself. It is given
/// the state, and votes once it has it.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Its number (SIDECAR_NODE_ID); one that was never used
    id: u64,
    /// Its gRPC address, as its peers reach it
    #[arg(value_name = "HOST:PORT")]
    addr: String,
    #[command(flatten)]
    at: At,
}

/// Remove a node for good; it stops, and its number is never given out again
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// Its number
    id: u64,
    #[command(flatten)]
    at: At,
}

/// Put a new node in the place of one that is lost or leaves, in one step
#[derive(Debug, clap::Args)]
pub struct ReplaceArgs {
    /// The number of the node that leaves; it may be dead
    old: u64,
    /// The number of the node that comes; see `cluster add --help`
    new: u64,
    /// The gRPC address of the node that comes
    #[arg(value_name = "HOST:PORT")]
    addr: String,
    #[command(flatten)]
    at: At,
}

/// Hand leadership to another node
#[derive(Debug, clap::Args)]
pub struct TransferArgs {
    /// Its number [default: whoever has most of the log]
    id: Option<u64>,
    #[command(flatten)]
    at: At,
}

/// Have one node take a snapshot and let go of the log behind it
#[derive(Debug, clap::Args)]
pub struct SnapshotArgs {
    #[command(flatten)]
    at: At,
}

/// Runs `cluster add`.
pub async fn add(args: AddArgs) -> Result<ExitCode, Failure> {
    let AddArgs { id, addr, at } = args;
    bring_in(id, addr, None, at).await?;
    println!("node {id} is a voter");
    Ok(ExitCode::SUCCESS)
}

/// Runs `cluster replace`.
pub async fn replace(args: ReplaceArgs) -> Result<ExitCode, Failure> {
    let ReplaceArgs { old, new, addr, at } = args;
    bring_in(new, addr, Some(old), at).await?;
    println!("node {new} is a voter in place of node {old}");
    Ok(ExitCode::SUCCESS)
}

async fn bring_in(id: u64, addr: String, replaces: Option<u64>, at: At) -> Result<(), Failure> {
    let mut leader = Leader::at(at)?;
    let progress = Progress::of_lag("the new node");
    loop {
        let request =
            AddMemberRequest { id, addr: addr.clone(), replaces, timeout_ms: Some(millis(ROUND)) };
        match leader.ask(Call::Add(request)).await {
            Err(Ended::Unfinished(_)) if !leader.is_late() => {
                if let Some(lag) = leader.lag_of(id).await {
                    progress.at(lag);
                }
            }
            ended => return ended.map(drop).map_err(Ended::failure),
        }
    }
}

/// Runs `cluster remove`.
pub async fn remove(args: RemoveArgs) -> Result<ExitCode, Failure> {
    let RemoveArgs { id, at } = args;
    let mut leader = Leader::at(at)?;
    loop {
        let request = RemoveMemberRequest { id, timeout_ms: Some(millis(ROUND)) };
        match leader.ask(Call::Remove(request)).await {
            Err(Ended::Unfinished(_)) if !leader.is_late() => {}
            ended => {
                ended.map_err(Ended::failure)?;
                println!("node {id} is removed");
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

/// Runs `cluster transfer`.
pub async fn transfer(args: TransferArgs) -> Result<ExitCode, Failure> {
    let TransferArgs { id, at } = args;
    let mut leader = Leader::at(at)?;
    let request = TransferLeadershipRequest { to: id, timeout_ms: Some(millis(ROUND)) };
    let to = leader.ask(Call::Transfer(request)).await.map_err(Ended::failure)?;
    if id.is_some_and(|id| id != to) {
        return Err(Failure::run(format!("node {to} leads: another election came between")));
    }
    println!("node {to} leads");
    Ok(ExitCode::SUCCESS)
}

/// Runs `cluster snapshot`.
pub async fn snapshot(args: SnapshotArgs) -> Result<ExitCode, Failure> {
    let At { node, wait, credentials } = args.at;
    let token = Token::new(credentials.token().map_err(Failure::usage)?).map_err(Failure::usage)?;
    let mut client = remote::connect(&node).await.map_err(Failure::run)?;
    let timeout_ms = Some(millis(Duration::from_secs(wait)));
    let asked = client.take_snapshot(token.on(TakeSnapshotRequest { timeout_ms })).await;
    let taken = asked.map_err(|status| Failure::run(status.message()))?.into_inner();
    println!("the snapshot covers the log up to index {}", taken.index);
    Ok(ExitCode::SUCCESS)
}

enum Call {
    Add(AddMemberRequest),
    Remove(RemoveMemberRequest),
    Transfer(TransferLeadershipRequest),
}

/// Why a call brought no result.
enum Ended {
    Refused(String),
    /// It goes on, or may have happened.
    Unfinished(String),
}

impl Ended {
    fn failure(self) -> Failure {
        match self {
            Ended::Refused(why) | Ended::Unfinished(why) => Failure::run(why),
        }
    }
}

/// The way to whoever leads.
struct Leader {
    /// Whom the user named: asked again when a leader is lost.
    node: String,
    /// Who led last.
    addr: String,
    token: Token,
    until: Instant,
}

impl Leader {
    fn at(at: At) -> Result<Leader, Failure> {
        let token = at.credentials.token().map_err(Failure::usage)?;
        let token = Token::new(token).map_err(Failure::usage)?;
        let until = Instant::now() + Duration::from_secs(at.wait);
        Ok(Leader { addr: at.node.clone(), node: at.node, token, until })
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Asks until somebody leads and has answered; for a transfer, who leads.
    async fn ask(&mut self, call: Call) -> Result<u64, Ended> {
        loop {
            let why = match self.ask_once(&call).await {
                Ok(result) => return Ok(result),
                Err(status) => match status.code() {
                    Code::Unavailable => self.turn_to(&status),
                    Code::DeadlineExceeded => {
                        return Err(Ended::Unfinished(status.message().to_owned()));
                    }
                    _ => return Err(Ended::Refused(status.message().to_owned())),
                },
            };
            if self.is_late() {
                return Err(Ended::Refused(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_once(&self, call: &Call) -> Result<u64, Status> {
        let mut client = remote::connect(&self.addr).await.map_err(Status::unavailable)?;
        match call {
            Call::Add(request) => {
                client.add_member(self.token.on(request.clone())).await.map(|_| 0)
            }
            Call::Remove(request) => client.remove_member(self.token.on(*request)).await.map(|_| 0),
            Call::Transfer(request) => {
                let asked = client.transfer_leadership(self.token.on(*request)).await;
                asked.map(|reply| reply.into_inner().leader)
            }
        }
    }

    /// Whom to ask next, and why not this one.
    fn turn_to(&mut self, refusal: &Status) -> String {
        let leader = refusal.metadata().get(LEADER).and_then(|addr| addr.to_str().ok());
        self.addr = leader.unwrap_or(&self.node).to_owned();
        refusal.message().to_owned()
    }

    /// How many entries a learner is behind, where that can be told.
    async fn lag_of(&self, id: u64) -> Option<u64> {
        let asking = async {
            let mut client = remote::connect(&self.addr).await.ok()?;
            let status = client.status(self.token.on(StatusRequest {})).await.ok()?.into_inner();
            status.cluster?.members.into_iter().find(|member| member.id == id)?.lag
        };
        tokio::time::timeout(NODE_TIMEOUT, asking).await.ok().flatten()
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
