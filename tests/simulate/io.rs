//! Simulated connections in the form that tonic takes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures::{Stream, stream};
use hyper_util::rt::TokioIo;
use mcp_state_sidecar::store::raft::host::{Dial, Duplex};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;
use turmoil::net::{TcpListener, TcpStream};

/// A connection that a server has accepted.
pub struct Accepted(TcpStream);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Connections as they come in.
pub fn incoming(listener: TcpListener) -> impl Stream<Item = io::Result<Accepted>> {
    stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| Accepted(stream));
        Some((accepted, listener))
    })
}

/// How nodes connect to one another.
#[derive(Debug)]
pub struct SimulatedTcp;

#[async_trait]
impl Dial for SimulatedTcp {
    async fn dial(&self, addr: &str) -> io::Result<Box<dyn Duplex>> {
        Ok(Box::new(TcpStream::connect(addr).await?))
    }
}

/// Connects to `addr`, a `host:port`, when first used and again when broken.
pub fn channel(addr: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address");
    let endpoint = endpoint
        .connect_timeout(std::time::Duration::from_secs(1))
        .http2_keep_alive_interval(std::time::Duration::from_millis(500))
        .keep_alive_timeout(std::time::Duration::from_millis(500))
        .keep_alive_while_idle(true);
    let addr = addr.to_owned();
    endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
        let addr = addr.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(TcpStream::connect(addr).await?)) }
    }))
}
