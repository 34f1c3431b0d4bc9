//! A gRPC client of the public API: one connection, one call at a time.

use mcp_state_sidecar::proto::sidecar::sidecar_client::SidecarClient;
use mcp_state_sidecar::proto::sidecar::submit_reply::Outcome;
use mcp_state_sidecar::proto::sidecar::{AskRequest, SubmitRequest};
use mcp_state_sidecar::proto::state;
use tonic::transport::{Channel, Endpoint};

use crate::Result;

/// One connection to one node.
pub struct GrpcClient(SidecarClient<Channel>);

impl GrpcClient {
    /// Connects to `host:port`.
    pub async fn connect(host: String) -> Result<GrpcClient> {
        let channel = Endpoint::from_shared(format!("http://{host}"))?.connect().await?;
        Ok(GrpcClient(SidecarClient::new(channel)))
    }

    pub async fn write(&mut self, key: &str, value: &str) -> Result<()> {
        let value = format!("\"{value}\"");
        let set = state::Set { key: key.into(), value, ..state::Set::default() };
        let command = state::Command { command: Some(state::command::Command::Set(set)) };
        let request = SubmitRequest { command: Some(command), ..SubmitRequest::default() };
        match self.0.submit(request).await?.into_inner().outcome {
            Some(Outcome::Reply(_)) => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    }

    pub async fn read(&mut self, key: &str) -> Result<()> {
        let question = state::question::Question::Key(state::KeyQuestion { key: key.into() });
        let question = Some(state::Question { question: Some(question) });
        self.0.ask(AskRequest { question, ..AskRequest::default() }).await?;
        Ok(())
    }
}
