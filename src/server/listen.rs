//! Binds listeners early, so that a port that is taken stops the start at once.

use tokio::net::TcpListener;

use super::error::ServeError;

/// Listens on `host:port`. The error names the setting to change.
pub async fn bind(setting: &'static str, host: &str, port: u16) -> Result<TcpListener, ServeError> {
    TcpListener::bind((host, port)).await.map_err(|cause| ServeError::Listen {
        setting,
        address: format!("{host}:{port}"),
        cause,
    })
}
