//! The variables by which Kubernetes tells each container of the Services in its namespace
//! (and Docker of linked containers). For a Service named `sidecar` or `sidecar-…` they
//! begin like the variables of our settings, and one of them is `SIDECAR_PORT`.

use std::net::IpAddr;

const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether the variable has a name and a value that Kubernetes gives for a Service. It
/// always names an IP address, so `SIDECAR_PORT=tcp://example` stays a mistake.
pub fn is_service_variable(name: &str, value: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    match words.as_slice() {
        [_, .., "SERVICE", "HOST"] => is_ip(value),
        [_, .., "PORT", port, protocol] if is_of_port(port, protocol) => is_address(value),
        [_, .., "PORT", port, protocol, "PROTO"] if is_of_port(port, protocol) => {
            is_protocol(value)
        }
        [_, .., "PORT", port, protocol, "PORT"] if is_of_port(port, protocol) => is_port(value),
        [_, .., "PORT", port, protocol, "ADDR"] if is_of_port(port, protocol) => is_ip(value),
        [_, .., "PORT"] if is_address(value) => true,
        // The name of a port may follow.
        [_, rest @ ..] => rest.windows(2).any(|pair| pair == ["SERVICE", "PORT"]) && is_port(value),
        [] => false,
    }
}

/// Whether the value is in the form `tcp://10.0.0.1:8000`.
fn is_address(value: &str) -> bool {
    let Some((protocol, address)) = value.split_once("://") else { return false };
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    is_protocol(protocol) && is_ip(bare) && is_port(port)
}

fn is_of_port(port: &str, protocol: &str) -> bool {
    is_port(port) && is_protocol(protocol)
}

fn is_protocol(text: &str) -> bool {
    PROTOCOLS.iter().any(|protocol| text.eq_ignore_ascii_case(protocol))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_a_service_are_recognised() {
        for service in ["SIDECAR", "SIDECAR_RAFT", "SIDECAR_NODE_0", "SIDECAR_SERVICE"] {
            for (ending, value) in [
                ("SERVICE_HOST", "10.0.0.1"),
                ("SERVICE_HOST", "fd00::1"),
                ("SERVICE_PORT", "8000"),
                ("SERVICE_PORT_HTTP", "8000"),
                ("SERVICE_PORT_HTTP_ALT", "8000"),
                ("PORT", "tcp://10.0.0.1:8000"),
                ("PORT", "udp://10.0.0.1:8000"),
                ("PORT", "sctp://10.0.0.1:8000"),
                ("PORT", "tcp://[fd00::1]:8000"),
                ("PORT", "tcp://fd00::1:8000"),
                ("PORT_8000_TCP", "tcp://10.0.0.1:8000"),
                ("PORT_8000_TCP_PROTO", "tcp"),
                ("PORT_8000_TCP_PORT", "8000"),
                ("PORT_8000_TCP_ADDR", "10.0.0.1"),
                ("PORT_53_UDP_ADDR", "fd00::1"),
            ] {
                let name = format!("{service}_{ending}");
                assert!(is_service_variable(&name, value), "{name}={value}");
            }
        }
    }

    #[test]
    fn settings_and_mistakes_are_not_taken_for_them() {
        for (name, value) in [
            ("SIDECAR_PORT", "8000"),
            ("SIDECAR_PORT", ""),
            ("SIDECAR_PORT", "tcp://example:8000"),
            ("SIDECAR_PORT", "tcp://10.0.0.1"),
            ("SIDECAR_PORT", "http://10.0.0.1:8000"),
            ("SIDECAR_HOST", "10.0.0.1"),
            ("SIDECAR_SERVICE_HOST", "example"),
            ("SIDECAR_SERVICE_PORT", "http"),
            ("SIDECAR_PORT_8000_TCP_ADDR", "example"),
            ("SIDECAR_PORT_HTTP_TCP", "tcp://10.0.0.1:8000"),
            ("SIDECAR_MEMBER", "1=10.0.0.1:9000"),
            ("REDIS_URL", "tcp://10.0.0.1:6379"),
        ] {
            assert!(!is_service_variable(name, value), "{name}={value}");
        }
    }
}
