//! Why the configuration stops the start.

/// Why the start was stopped: one line with the name of the setting, the value that it
/// got and the values that it accepts. It never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(super) String);
