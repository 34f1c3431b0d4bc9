//! Which running node a command calls, and with which token.

use std::path::PathBuf;
use std::time::Duration;

use crate::access::Secret;
use crate::cli::http_client::NodeClient;

/// The options of commands that call a running node.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeOptions {
    /// The node's MCP URL, or its start, such as http://host:8000
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub node: String,
    #[command(flatten)]
    pub credentials: Credentials,
    /// How long to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

/// How a command proves to a node that it may call.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Credentials {
    /// A file that contains the token [env: SIDECAR_TOKEN_FILE, or the token itself: SIDECAR_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl NodeOptions {
    /// The URL of the node's MCP endpoint.
    pub fn url(&self) -> String {
        mcp_url(&self.node)
    }

    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

impl Credentials {
    /// An HTTP client that sends the token, if one is set.
    ///
    /// # Errors
    /// The file of the token cannot be read; the error is a line for the user.
    pub fn client(&self) -> Result<NodeClient, String> {
        self.token().map(NodeClient::new)
    }

    /// The token, if one is set.
    ///
    /// # Errors
    /// The file of the token cannot be read; the error is a line for the user.
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

/// The MCP endpoint at `host:8000` or `http://host:8000`. A URL with a path is complete.
pub fn mcp_url(node: &str) -> String {
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
            assert_eq!(mcp_url(node), "http://h:8000/mcp", "{node}");
        }
        assert_eq!(mcp_url("http://h/other"), "http://h/other");
    }
}
