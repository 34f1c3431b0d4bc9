//! Running nodes over gRPC: how a command reaches one and shows its token.

use std::time::Duration;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use super::client::causes;
use crate::access::Secret;
use crate::proto::sidecar::sidecar_client::SidecarClient;

/// A node that takes longer to be reached counts as not answering.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(3);

/// In a long call a node that gives no sign of life for this long, and as long
/// again, is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What every call shows, where a token is set.
#[derive(Clone, Debug, Default)]
pub struct Token(Option<MetadataValue<Ascii>>);

impl Token {
    /// The token in the form of a header.
    ///
    /// # Errors
    /// A line for the user: it cannot be one.
    pub fn new(token: Option<Secret>) -> Result<Token, String> {
        let token = token.map(|token| format!("Bearer {}", token.expose()).parse());
        token.transpose().map(Token).map_err(|_| "the token is not ASCII".to_owned())
    }

    /// A request that shows it.
    pub fn on<T>(&self, message: T) -> Request<T> {
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
/// A line for the user: it is no address, or nobody answers there.
pub async fn connect(addr: &str) -> Result<SidecarClient<Channel>, String> {
    let plain = plain(addr);
    let endpoint = Endpoint::from_shared(format!("http://{plain}"))
        .map_err(|_| format!("{addr:?}: takes host:port"))?;
    let endpoint = endpoint
        .connect_timeout(NODE_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|error| format!("cannot reach {plain}: {}", causes(&error)))?;
    Ok(SidecarClient::new(channel))
}

/// An address without what people put before it.
pub fn plain(addr: &str) -> &str {
    addr.strip_prefix("http://").unwrap_or(addr)
}
