//! How a connection to a peer is made. What is said on it is tonic's.

use std::fmt;
use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A two-way stream of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Makes connections.
#[async_trait]
pub trait Dial: fmt::Debug + Send + Sync + 'static {
    /// Connects to `addr`, a `host:port` as the membership spells it. Called
    /// anew for each connection, so that a name may have moved.
    ///
    /// # Errors
    /// When the peer cannot be reached. Callers bound the time.
    async fn dial(&self, addr: &str) -> io::Result<Box<dyn Duplex>>;
}

/// Plain TCP; names are resolved at each connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

#[async_trait]
impl Dial for Tcp {
    async fn dial(&self, addr: &str) -> io::Result<Box<dyn Duplex>> {
        let stream = TcpStream::connect(addr).await?;
        // Appends and votes are small and each waits for its answer.
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
