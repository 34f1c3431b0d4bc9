//! A gRPC client of a running node, with the token that it sends.

use std::error::Error;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::http_client::{NodeClient, root_cause};
use super::tls::{TlsOptions, tls_failure};
use crate::access::Secret;
use crate::config::NodeAddress;
use crate::proto::sidecar::sidecar_client::SidecarClient;

/// A node that takes longer than this to reach counts as not answering.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait for an answer whose only purpose is a better message.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a long call may be silent before the node is pinged, and how long the answer to
/// that may take. After both, the node counts as gone.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The token that every call sends, if one is set.
#[derive(Clone, Debug, Default)]
pub struct BearerToken(Option<MetadataValue<Ascii>>);

impl BearerToken {
    /// Puts the token into the form of a header.
    ///
    /// # Errors
    /// It contains characters that no header may contain; the error is a line for the user.
    pub fn new(token: Option<Secret>) -> Result<BearerToken, String> {
        let token = token.map(|token| format!("Bearer {}", token.expose()).parse());
        token.transpose().map(BearerToken).map_err(|_| "the token is not ASCII".to_owned())
    }

    /// A request that carries the token.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }
}

/// A client of `node`.
///
/// # Errors
/// It has no gRPC address, or nobody answers there; the error is a line for the user.
pub async fn connect(
    node: &NodeAddress,
    tls: &TlsOptions,
) -> Result<SidecarClient<Channel>, String> {
    let wrong = |why: String| format!("{node}: {why}");
    let addr = node.grpc_addr().map_err(wrong)?;
    let scheme = if node.is_tls() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{addr}"))
        .map_err(|error| wrong(root_cause(&error)))?;
    let endpoint = endpoint
        .connect_timeout(NODE_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let channel = endpoint.connect_with_connector(tls.http2(node)?).await;
    let channel = channel.map_err(|error| format!("cannot reach {node}: {}", cause(&error)))?;
    Ok(SidecarClient::new(channel))
}

/// Why a call of `node` failed. If there was no answer, this finds out whether the address
/// is that of MCP, which is the most common mistake.
pub async fn call_failure(node: &NodeAddress, tls: &TlsOptions, status: &Status) -> String {
    if status.source().is_some() && speaks_http1(node, tls).await {
        return format!(
            "{node} is not a gRPC address: it serves HTTP, as the MCP address of a node does; use \
             that of SIDECAR_RAFT_ADDR or SIDECAR_GRPC_ADDR"
        );
    }
    status_line(node, status)
}

/// What a status means. One that the node sent says so itself. One that was made here,
/// since there was no answer, only has a cause.
pub fn status_line(node: &NodeAddress, status: &Status) -> String {
    match status.source() {
        Some(error) => format!("no answer from {node}: {}", cause(error)),
        None => format!("{node} refuses: {}", status.message()),
    }
}

async fn speaks_http1(node: &NodeAddress, tls: &TlsOptions) -> bool {
    let Ok(connector) = tls.http1(std::slice::from_ref(node)) else { return false };
    let client = NodeClient::new(connector, None);
    client.get(&node.mcp_url(), PROBE_TIMEOUT).await.is_ok()
}

fn cause(error: &(dyn Error + 'static)) -> String {
    tls_failure(error).unwrap_or_else(|| root_cause(error))
}
