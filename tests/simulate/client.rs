//! A client of all nodes, over gRPC, that tells apart what it can know: an
//! answer, that nothing was done, and not with_membership.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_state_sidecar::machine::{Answer, Command, Question, Reply};
use mcp_state_sidecar::proto::sidecar::sidecar_client::SidecarClient;
use mcp_state_sidecar::proto::sidecar::{
    AddMemberRequest, AskRequest, Consistency, RemoveMemberRequest, SubmitRequest,
    TakeSnapshotRequest, TransferLeadershipRequest, submit_reply,
};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::io;
use crate::node::{PORT, TOKEN};
use crate::record::Ended;

/// What the server may take, and how long the client waits at most.
const SERVER_MS: u32 = 3_000;
const PATIENCE: Duration = Duration::from_millis(4_000);

/// One change of the cluster.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Transfer(u64),
    Snapshot,
    Add(u64),
    Remove(u64),
}

pub struct Client {
    nodes: BTreeMap<u64, SidecarClient<Channel>>,
}

impl Client {
    pub fn new() -> Client {
        Client { nodes: BTreeMap::new() }
    }

    fn node(&mut self, id: u64) -> &mut SidecarClient<Channel> {
        self.nodes.entry(id).or_insert_with(|| {
            SidecarClient::new(io::channel(&format!("n{id}:{PORT}")))
                .max_decoding_message_size(64 << 20)
        })
    }

    /// Has node `id` carry out a command.
    pub async fn submit(
        &mut self,
        id: u64,
        command: &Command,
        idempotency_key: Option<String>,
    ) -> Result<Reply, Ended> {
        let request = SubmitRequest {
            id: 0,
            command: Some(command.into()),
            idempotency_key,
            agent_id: None,
            timeout_ms: Some(SERVER_MS),
            wait_ms: None,
        };
        let reply = timeout(PATIENCE, self.node(id).submit(shown(request))).await;
        match reply.map_err(|_| Ended::Unknown)?.map_err(ended)?.into_inner().outcome {
            Some(submit_reply::Outcome::Reply(reply)) => {
                Ok(Reply::try_from(reply).expect("a reply"))
            }
            Some(submit_reply::Outcome::Fault(_)) | None => panic!("no reply in a reply"),
        }
    }

    /// Has node `id` answer a question.
    pub async fn ask(
        &mut self,
        id: u64,
        question: &Question,
        consistency: Consistency,
    ) -> Result<Answer, Ended> {
        let request = AskRequest {
            question: Some(question.into()),
            consistency: consistency.into(),
            timeout_ms: Some(SERVER_MS),
        };
        let reply = timeout(PATIENCE, self.node(id).ask(shown(request))).await;
        let reply = reply.map_err(|_| Ended::Unknown)?.map_err(ended)?.into_inner();
        Ok(Answer::try_from(reply.answer.expect("an answer")).expect("an answer"))
    }

    /// Has node `id` change the cluster, if it leads.
    pub async fn change(&mut self, id: u64, change: Change) -> Result<(), String> {
        let timeout_ms = Some(SERVER_MS);
        let node = self.node(id);
        let asked = async {
            match change {
                Change::Transfer(to) => {
                    let request = TransferLeadershipRequest { to: Some(to), timeout_ms };
                    node.transfer_leadership(shown(request)).await.map(drop)
                }
                Change::Snapshot => {
                    node.take_snapshot(shown(TakeSnapshotRequest { timeout_ms })).await.map(drop)
                }
                Change::Add(id) => {
                    let addr = format!("n{id}:{PORT}");
                    let request = AddMemberRequest { id, addr, replaces: None, timeout_ms };
                    node.add_member(shown(request)).await.map(drop)
                }
                Change::Remove(id) => {
                    let request = RemoveMemberRequest { id, timeout_ms };
                    node.remove_member(shown(request)).await.map(drop)
                }
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(done) => done.map_err(|status| status.message().to_owned()),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

fn shown<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = format!("Bearer {TOKEN}").parse().expect("a header");
    request.metadata_mut().insert("authorization", token);
    request
}

/// Only the service's own word counts as "nothing was done".
fn ended(status: Status) -> Ended {
    let code = status.metadata().get("sidecar-code").and_then(|code| code.to_str().ok());
    match (code, status.code()) {
        (Some("unavailable"), _) => Ended::Unavailable,
        (Some("outcome_unknown"), _) | (None, Code::Unavailable | Code::Unknown) => Ended::Unknown,
        // The connection broke, in one of hyper's many words for it.
        (None, Code::Cancelled | Code::Internal | Code::DeadlineExceeded) => Ended::Unknown,
        other => panic!("{other:?}: {status}"),
    }
}
