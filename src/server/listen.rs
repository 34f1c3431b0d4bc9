//! Listeners, bound early so that a taken port stops the start at once.

use tokio::net::TcpListener;

use super::ServeError;

/// Listens on `host:port`; the error names the setting to change.
pub async fn bind(setting: &'static str, host: &str, port: u16) -> Result<TcpListener, ServeError> {
    TcpListener::bind((host, port)).await.map_err(|cause| ServeError::Listen {
        setting,
        address: format!("{host}:{port}"),
        cause,
    })
}
