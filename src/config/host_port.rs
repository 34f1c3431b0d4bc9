//! Addresses: a host with a port.

use std::fmt;
use std::net::IpAddr;

/// A host name or address with a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
}

impl HostPort {
    /// Parses `host:port`, where an IPv6 address is in brackets.
    ///
    /// # Errors
    /// It is something else; the text says what is wrong, or is empty.
    pub fn parse(text: &str) -> Result<HostPort, String> {
        match split_port(text)? {
            (host, Some(port)) => Ok(HostPort { host: parse_host(host)?, port }),
            (_, None) => Err("the port is missing".to_owned()),
        }
    }

    /// Whether only this machine can reach the address.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// Separates a host from the port behind it, if there is one.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let after_brackets = text.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = text[after_brackets..].rfind(':').map(|at| after_brackets + at) else {
        return Ok((text, None));
    };
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    if host.contains(':') && !host.starts_with('[') {
        return Err("an IPv6 address needs brackets".to_owned());
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits => Ok((host, Some(port))),
        Ok(_) | Err(_) => Err(format!("{port:?} is not a port")),
    }
}

/// Parses a host name or address, without a port.
pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if bare.contains(':') && bare.parse::<IpAddr>().is_err() {
        return Err(if bare == text {
            "the port is a setting of its own".to_owned()
        } else {
            "there is no IPv6 address in the brackets".to_owned()
        });
    }
    if bare.is_empty() || bare.contains(|c: char| c.is_whitespace() || "/[]?#@\\".contains(c)) {
        return Err(String::new());
    }
    Ok(bare.to_owned())
}

/// The host as it stands before a colon.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Whether `host` is the loopback interface, which only this machine can reach.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
