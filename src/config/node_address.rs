//! The address of a running node, in every form in which people write it. Whether it is
//! the address of MCP or of gRPC depends on the command that it is given to.

use std::fmt;
use std::str::FromStr;

use super::host_port::{HostPort, bracketed, parse_host, split_port};

/// Where MCP is served at a node.
const MCP_PATH: &str = "/mcp";

/// The address of a node: `host:port`, or a URL with `http://` or `https://`, with or
/// without a path. An IPv6 address is in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    tls: bool,
    host: String,
    /// `None` only in a URL, and means the scheme's usual port.
    port: Option<u16>,
    /// Without a slash at its end; often empty.
    path: String,
}

impl NodeAddress {
    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The URL of MCP. An address without a path means the usual one.
    pub fn mcp_url(&self) -> String {
        let path = if self.path.is_empty() { MCP_PATH } else { &self.path };
        format!("{}{path}", self.origin())
    }

    /// The address of the gRPC service. People may copy it from an MCP URL and change only
    /// the port, so the path of MCP does no harm.
    ///
    /// # Errors
    /// It has another path, and gRPC has none.
    pub fn grpc_addr(&self) -> Result<HostPort, String> {
        if !self.path.is_empty() && self.path != MCP_PATH {
            return Err(format!("a gRPC address has no path, and this one has {:?}", self.path));
        }
        let usual = if self.tls { 443 } else { 80 };
        Ok(HostPort { host: self.host.clone(), port: self.port.unwrap_or(usual) })
    }

    /// The scheme, the host and the port.
    fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{port}", bracketed(&self.host))
    }
}

impl FromStr for NodeAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<NodeAddress, String> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "" | "http" => false,
            "https" => true,
            _ => return Err(format!("{scheme}:// is neither http:// nor https://")),
        };
        let path_at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        if authority.contains('@') {
            return Err("a token is not part of the address; use SIDECAR_TOKEN".to_owned());
        }
        if authority.is_empty() {
            return Err("the host is missing".to_owned());
        }
        if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{path:?} is not the path of a URL"));
        }
        let (host, port) = split_port(authority)?;
        if port.is_none() && scheme.is_empty() {
            return Err("the port is missing".to_owned());
        }
        let host = parse_host(host).ok().filter(|host| host.is_ascii());
        let host = host.ok_or_else(|| format!("{authority:?} is not a host with a port"))?;
        Ok(NodeAddress { tls, host, port, path: path.trim_end_matches('/').to_owned() })
    }
}

/// Without the scheme and the path where they go without saying.
impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin();
        f.write_str(origin.strip_prefix("http://").unwrap_or(&origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> NodeAddress {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_form_means_the_same_node() {
        for text in
            ["h:8000", "http://h:8000", "HTTP://h:8000/", "h:8000/mcp", " http://h:8000/mcp/"]
        {
            assert_eq!(address(text).mcp_url(), "http://h:8000/mcp", "{text}");
            assert_eq!(address(text).grpc_addr().unwrap().to_string(), "h:8000", "{text}");
            assert_eq!(address(text).to_string(), "h:8000", "{text}");
        }
        for text in ["[::1]:8000", "http://[::1]:8000", "http://[::1]:8000/mcp"] {
            assert_eq!(address(text).mcp_url(), "http://[::1]:8000/mcp", "{text}");
            assert_eq!(address(text).grpc_addr().unwrap().host, "::1", "{text}");
            assert_eq!(address(text).to_string(), "[::1]:8000", "{text}");
        }
        let proxy = address("https://agents.example.org");
        assert_eq!(proxy.mcp_url(), "https://agents.example.org/mcp");
        assert_eq!(proxy.to_string(), "https://agents.example.org");
        assert_eq!(proxy.grpc_addr().unwrap().port, 443);
        assert!(proxy.is_tls() && !address("h:1").is_tls());
    }

    #[test]
    fn another_path_is_kept_for_mcp_and_refused_for_grpc() {
        let proxied = address("http://h/team/mcp?x=1");
        assert_eq!(proxied.mcp_url(), "http://h/team/mcp?x=1");
        assert!(proxied.grpc_addr().unwrap_err().contains("no path"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, reason) in [
            ("h", "the port is missing"),
            ("[::1]", "the port is missing"),
            ("::1:8000", "an IPv6 address needs brackets"),
            ("[x:y]:8000", "is not a host with a port"),
            ("h:http", "\"http\" is not a port"),
            ("h:65536", "is not a port"),
            ("h:+80", "is not a port"),
            ("ftp://h:21", "neither http:// nor https://"),
            ("http://", "the host is missing"),
            ("", "the host is missing"),
            ("me:secret@h:8000", "use SIDECAR_TOKEN"),
            ("http://a b:8000", "is not a host with a port"),
            ("http://h:8000/a b", "is not the path of a URL"),
            ("http://ä:8000", "is not a host with a port"),
        ] {
            let error = text.parse::<NodeAddress>().expect_err(text);
            assert!(error.contains(reason), "{text:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
