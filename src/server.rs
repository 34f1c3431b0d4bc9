//! Composition root.

use crate::config::Config;

/// Why.
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ServeError;

/// x
pub async fn serve(_config: Config) -> Result<(), ServeError> {
    Ok(())
}

/// x
pub async fn stdio(_config: Config) -> Result<(), ServeError> {
    Ok(())
}
