//! MCP over a pipe: one client, by the lines of a pair of byte streams.

use std::io;
use std::time::Duration;

use rmcp::ServiceExt;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio_util::sync::CancellationToken;

use super::pipe_service::PipeServer;
use super::tools::Toolset;
use super::{Handler, stdio_filter};
use crate::service::Service;

/// How long writing the last answers may take.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serves one client on this process's standard input and output, until it
/// hangs up or `shutdown` is cancelled. Nothing else may write to the output.
///
/// # Errors
/// The client does not speak MCP.
pub async fn serve_stdio(
    service: Service,
    toolset: Toolset,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let (input, output) = rmcp::transport::stdio_pipes();
    serve_pipe(service, toolset, input, output, shutdown).await
}

/// Serves one client over any pair of byte streams.
pub async fn serve_pipe(
    service: Service,
    toolset: Toolset,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let hung_up = CancellationToken::new();
    let (filter, input, output) = stdio_filter::start(input, output, hung_up.clone());
    let handler = PipeServer(Handler::of_pipe(service, toolset, hung_up));
    let served = serve(handler, input, output, &shutdown).await;
    // A client that does not read its answers must not keep the process from
    // stopping.
    let _ = tokio::time::timeout(LAST_ANSWERS, filter.finish()).await;
    served
}

async fn serve(
    handler: PipeServer,
    input: DuplexStream,
    output: DuplexStream,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    let serving = match handler.serve_with_ct((input, output), shutdown.clone()).await {
        Ok(serving) => serving,
        Err(_) if shutdown.is_cancelled() => return Ok(()),
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(io::Error::other(error)),
    };
    serving.waiting().await.map_err(io::Error::other)?;
    Ok(())
}
