//! Calls the leader of a cluster. Any node that is asked says who leads, and the leader is
//! called then, even if another node becomes the leader meanwhile.

use std::time::{Duration, Instant};

use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::cli::failure::CommandFailure;
use crate::cli::grpc_client::{self, BearerToken, NODE_TIMEOUT};
use crate::cli::node_options::Credentials;
use crate::cli::tls::TlsOptions;
use crate::config::NodeAddress;
use crate::proto::sidecar::sidecar_client::SidecarClient;
use crate::proto::sidecar::{
    AddMemberRequest, RemoveMemberRequest, StatusRequest, TransferLeadershipRequest,
};

/// The metadata in which a node that does not lead names the address of the leader.
const LEADER: &str = "sidecar-leader";

/// The pause between two questions of who leads.
const PAUSE: Duration = Duration::from_millis(200);

/// Which node to ask first, and how long to go on.
#[derive(Debug, clap::Args)]
pub struct LeaderOptions {
    /// The gRPC address of any node (SIDECAR_RAFT_ADDR), as HOST:PORT or as a URL
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    pub node: NodeAddress,
    /// How long to keep trying
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub wait: u64,
    #[command(flatten)]
    pub credentials: Credentials,
}

impl LeaderOptions {
    /// The token that is configured.
    pub fn token(&self) -> Result<BearerToken, CommandFailure> {
        let token = self.credentials.token().map_err(CommandFailure::usage)?;
        BearerToken::new(token).map_err(CommandFailure::usage)
    }
}

/// A call that only the leader carries out.
pub enum LeaderCall {
    Add(AddMemberRequest),
    Remove(RemoveMemberRequest),
    Transfer(TransferLeadershipRequest),
}

/// Why a call has no result.
pub enum LeaderCallError {
    Refused(String),
    /// The change is still under way, or may have happened.
    Unfinished(String),
}

impl LeaderCallError {
    pub fn failure(self) -> CommandFailure {
        match self {
            LeaderCallError::Refused(why) | LeaderCallError::Unfinished(why) => {
                CommandFailure::run(why)
            }
        }
    }
}

/// A client that finds the leader.
pub struct LeaderClient {
    /// The node that the user named, which is asked again when the leader is lost.
    node: NodeAddress,
    /// The last known leader.
    addr: NodeAddress,
    token: BearerToken,
    tls: TlsOptions,
    until: Instant,
}

impl LeaderClient {
    pub fn new(options: LeaderOptions) -> Result<LeaderClient, CommandFailure> {
        let token = options.token()?;
        let until = Instant::now() + Duration::from_secs(options.wait);
        let (node, tls) = (options.node, options.credentials.tls);
        Ok(LeaderClient { addr: node.clone(), node, token, tls, until })
    }

    /// Whether the time that the user allows is over.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Calls until a leader has answered. A transfer returns the new leader, and other
    /// calls return 0.
    pub async fn call(&mut self, call: LeaderCall) -> Result<u64, LeaderCallError> {
        loop {
            let why = match grpc_client::connect(&self.addr, &self.tls).await {
                Err(why) => {
                    self.addr = self.node.clone();
                    why
                }
                Ok(client) => match self.call_once(client, &call).await {
                    Ok(result) => return Ok(result),
                    Err(status) => {
                        let why = grpc_client::call_failure(&self.addr, &self.tls, &status).await;
                        match status.code() {
                            Code::Unavailable => self.turn_to_leader(&status),
                            Code::DeadlineExceeded => return Err(LeaderCallError::Unfinished(why)),
                            _ => return Err(LeaderCallError::Refused(why)),
                        }
                        why
                    }
                },
            };
            if self.is_late() {
                return Err(LeaderCallError::Refused(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn call_once(
        &self,
        mut client: SidecarClient<Channel>,
        call: &LeaderCall,
    ) -> Result<u64, Status> {
        match call {
            LeaderCall::Add(request) => {
                client.add_member(self.token.request(request.clone())).await.map(|_| 0)
            }
            LeaderCall::Remove(request) => {
                client.remove_member(self.token.request(*request)).await.map(|_| 0)
            }
            LeaderCall::Transfer(request) => {
                let reply = client.transfer_leadership(self.token.request(*request)).await;
                reply.map(|reply| reply.into_inner().leader)
            }
        }
    }

    /// Chooses the node to call next.
    fn turn_to_leader(&mut self, refusal: &Status) {
        let leader = refusal.metadata().get(LEADER).and_then(|addr| addr.to_str().ok());
        let leader = leader.and_then(|addr| addr.parse().ok());
        self.addr = leader.unwrap_or_else(|| self.node.clone());
    }

    /// How many entries a learner is behind, if the leader knows.
    pub async fn lag_of(&self, id: u64) -> Option<u64> {
        let asking = async {
            let mut client = grpc_client::connect(&self.addr, &self.tls).await.ok()?;
            let reply = client.status(self.token.request(StatusRequest {})).await.ok()?;
            let members = reply.into_inner().cluster?.members;
            members.into_iter().find(|member| member.id == id)?.lag
        };
        tokio::time::timeout(NODE_TIMEOUT, asking).await.ok().flatten()
    }
}
