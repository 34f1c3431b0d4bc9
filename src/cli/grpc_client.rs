//! A gRPC client of a running node, with the token that it sends.

use std::time::Duration;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use super::http_client::root_cause;
use crate::access::Secret;
use crate::proto::sidecar::sidecar_client::SidecarClient;

/// A node that takes longer than this to reach counts as not answering.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(3);

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

/// A client of the node at `addr`, which is `host:port`.
///
/// # Errors
/// `addr` is not an address, or nobody answers there; the error is a line for the user.
pub async fn connect(addr: &str) -> Result<SidecarClient<Channel>, String> {
    let addr_only = without_scheme(addr);
    let endpoint = Endpoint::from_shared(format!("http://{addr_only}"))
        .map_err(|_| format!("{addr:?}: expected host:port"))?;
    let endpoint = endpoint
        .connect_timeout(NODE_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let channel = endpoint.connect().await;
    let channel =
        channel.map_err(|error| format!("cannot reach {addr_only}: {}", root_cause(&error)))?;
    Ok(SidecarClient::new(channel))
}

/// Removes `http://`, which people put before an address.
pub fn without_scheme(addr: &str) -> &str {
    addr.strip_prefix("http://").unwrap_or(addr)
}
