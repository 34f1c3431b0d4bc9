//! Which node a command asks, and with what token: shared by the commands
//! that talk to running nodes.

use std::path::PathBuf;
use std::time::Duration;

use crate::access::Secret;
use crate::cli::client::Client;

/// Options of the commands that talk to a running node.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// A node's MCP URL, or the start of it: http://host:8000
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub node: String,
    #[command(flatten)]
    pub credentials: Credentials,
    /// How long to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

/// What shows a node that we may call.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Credentials {
    /// File that holds the token [env: SIDECAR_TOKEN_FILE, or the token itself: SIDECAR_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl Target {
    /// The node's MCP endpoint.
    pub fn url(&self) -> String {
        endpoint(&self.node)
    }

    /// Bound of one call.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

impl Credentials {
    /// A client that shows the token, where one is set.
    ///
    /// # Errors
    /// A line for the user, where the token's file cannot be read.
    pub fn client(&self) -> Result<Client, String> {
        self.token().map(Client::new)
    }

    /// The token, where one is set.
    ///
    /// # Errors
    /// A line for the user, where the token's file cannot be read.
    pub fn token(&self) -> Result<Option<Secret>, String> {
        let file = self.token_file.clone();
        let file = file.or_else(|| std::env::var_os("SIDECAR_TOKEN_FILE").map(PathBuf::from));
        let token = match &file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("--token-file: got {file:?} ({error})"))?;
                Some(text.trim().to_owned())
            }
            None => std::env::var("SIDECAR_TOKEN").ok(),
        };
        Ok(token.filter(|token| !token.is_empty()).map(Secret::new))
    }
}

/// `host:8000` and `http://host:8000` mean the MCP endpoint there.
pub fn endpoint(node: &str) -> String {
    let node = node.trim_end_matches('/');
    let url = if node.contains("://") { node.to_owned() } else { format!("http://{node}") };
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { url } else { format!("{url}/mcp") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_means_its_mcp_endpoint() {
        for node in ["h:8000", "http://h:8000", "http://h:8000/", "http://h:8000/mcp"] {
            assert_eq!(endpoint(node), "http://h:8000/mcp", "{node}");
        }
        assert_eq!(endpoint("http://h/other"), "http://h/other");
    }
}
