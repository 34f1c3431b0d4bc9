//! A gRPC client of the public API. Clones share the connection.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use mcp_state_sidecar::proto::sidecar::sidecar_client::SidecarClient;
use mcp_state_sidecar::proto::sidecar::submit_reply::Outcome;
use mcp_state_sidecar::proto::sidecar::{
    AskReply, AskRequest, Fault, StatusReply, StatusRequest, SubmitRequest,
};
use mcp_state_sidecar::proto::state;
use mcp_state_sidecar::proto::state::command::Command;
use mcp_state_sidecar::proto::state::reply::Reply;
use tonic::transport::{Channel, Endpoint};

use crate::Result;

/// One connection to one node.
#[derive(Clone)]
pub struct GrpcClient(SidecarClient<Channel>);

/// What became of a command in a pipeline.
pub enum Ended {
    Replied(Reply),
    Faulted(Fault),
}

impl GrpcClient {
    /// Connects to `host:port`.
    pub async fn connect(host: String) -> Result<GrpcClient> {
        let channel = Endpoint::from_shared(format!("http://{host}"))?.connect().await?;
        Ok(GrpcClient(SidecarClient::new(channel)))
    }

    pub async fn write(&mut self, key: &str, value: &str) -> Result<()> {
        let value = format!("\"{value}\"");
        let set = state::Set { key: key.into(), value, ..state::Set::default() };
        self.submit(Command::Set(set)).await?;
        Ok(())
    }

    pub async fn read(&mut self, key: &str) -> Result<()> {
        self.get(key).await?;
        Ok(())
    }

    /// As [`GrpcClient::read`], with the answer.
    pub async fn get(&mut self, key: &str) -> Result<AskReply> {
        let question = state::question::Question::Key(state::KeyQuestion { key: key.into() });
        let question = Some(state::Question { question: Some(question) });
        Ok(self.0.ask(AskRequest { question, ..AskRequest::default() }).await?.into_inner())
    }

    pub async fn submit(&mut self, command: Command) -> Result<Reply> {
        self.request(request(0, command)).await
    }

    /// As [`GrpcClient::submit`], for what can wait.
    pub async fn wait(&mut self, command: Command, wait: Duration) -> Result<Reply> {
        let wait_ms = Some(u32::try_from(wait.as_millis())?);
        self.request(SubmitRequest { wait_ms, ..request(0, command) }).await
    }

    async fn request(&mut self, request: SubmitRequest) -> Result<Reply> {
        match self.0.submit(request).await?.into_inner().outcome {
            Some(Outcome::Reply(state::Reply { reply: Some(reply) })) => Ok(reply),
            other => Err(format!("{other:?}").into()),
        }
    }

    /// Carries out many commands at once, and gives their numbers and what became
    /// of them as that is known, in any order.
    pub async fn pipeline(
        &mut self,
        commands: impl Stream<Item = (u64, Command)> + Send + 'static,
    ) -> Result<BoxStream<'static, Result<(u64, Ended)>>> {
        let requests = commands.map(|(id, command)| request(id, command));
        let replies = self.0.pipeline(requests).await?.into_inner();
        let ended = replies.map(|reply| {
            let reply = reply?;
            match reply.outcome {
                Some(Outcome::Reply(state::Reply { reply: Some(ended) })) => {
                    Ok((reply.id, Ended::Replied(ended)))
                }
                Some(Outcome::Fault(fault)) => Ok((reply.id, Ended::Faulted(fault))),
                other => Err(format!("{other:?}").into()),
            }
        });
        Ok(ended.boxed())
    }

    pub async fn status(&mut self) -> Result<StatusReply> {
        Ok(self.0.status(StatusRequest {}).await?.into_inner())
    }
}

fn request(id: u64, command: Command) -> SubmitRequest {
    let command = Some(state::Command { command: Some(command) });
    SubmitRequest { id, command, ..SubmitRequest::default() }
}
