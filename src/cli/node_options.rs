//! Which running node a command calls, and with which token.

use std::path::PathBuf;
use std::time::Duration;

use super::http_client::NodeClient;
use super::tls::TlsOptions;
use crate::access::Secret;
use crate::config::NodeAddress;

/// The options of commands that call a running node over MCP.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeOptions {
    /// The node's MCP address (SIDECAR_PORT), as HOST:PORT or as a URL with http:// or https://
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub node: NodeAddress,
    #[command(flatten)]
    pub credentials: Credentials,
    /// How long to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

/// How a command proves to a node that it may call, and the node to the command that it is
/// the right one.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Credentials {
    /// A file that contains the token [env: SIDECAR_TOKEN_FILE, or the token itself: SIDECAR_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub tls: TlsOptions,
}

impl NodeOptions {
    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

impl Credentials {
    /// An HTTP client of `nodes` that sends the token, if one is set.
    ///
    /// # Errors
    /// A file cannot be read; the error is a line for the user.
    pub fn client(&self, nodes: &[NodeAddress]) -> Result<NodeClient, String> {
        Ok(NodeClient::new(self.tls.http1(nodes)?, self.token()?))
    }

    /// The token, if one is set. The option wins over the environment.
    ///
    /// # Errors
    /// The file of the token cannot be read, or the environment contains two tokens; the
    /// error is a line for the user.
    pub fn token(&self) -> Result<Option<Secret>, String> {
        let read = |name: &str, file: &PathBuf| {
            let text = std::fs::read_to_string(file);
            text.map_err(|error| format!("{name}: got {file:?} ({error})"))
        };
        // A variable that is empty counts as not set, as everywhere.
        let token = std::env::var("SIDECAR_TOKEN").ok().filter(|token| !token.is_empty());
        let file = std::env::var_os("SIDECAR_TOKEN_FILE").filter(|file| !file.is_empty());
        let token = match (&self.token_file, file, token) {
            (Some(file), ..) => Some(read("--token-file", file)?),
            (None, Some(_), Some(_)) => {
                return Err("SIDECAR_TOKEN_FILE: set beside SIDECAR_TOKEN, which has the same \
                            meaning, expected only one of them"
                    .to_owned());
            }
            (None, Some(file), None) => Some(read("SIDECAR_TOKEN_FILE", &PathBuf::from(file))?),
            (None, None, token) => token,
        };
        let token = token.map(|token| token.trim().to_owned());
        Ok(token.filter(|token| !token.is_empty()).map(Secret::new))
    }
}

/// Parses a list of tools, which is sent as a header.
pub fn tool_list(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-, ".contains(c);
    if text.trim().is_empty() || !text.chars().all(fits) {
        return Err("expected a profile such as worker, or names of tools with commas".to_owned());
    }
    Ok(text.trim().to_owned())
}
