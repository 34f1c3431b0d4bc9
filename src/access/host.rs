//! The addresses and names by which a caller reaches this server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is that of this machine, `::ffff:127.0.0.1` included.
pub(super) fn is_local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

pub(super) fn is_local_name(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// An address is reached without resolving a name, so nobody can have forged one. Any
/// address is accepted, since a machine does not know its addresses as others see them.
pub(super) fn is_address_or_local(name: &str) -> bool {
    let v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_address = match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok(),
    };
    is_address || is_local_name(name)
}

/// Removes the port from `name:port` or `[v6]:port`, if there is one.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            if name.contains(':') && !name.ends_with(']') {
                host
            } else {
                name
            }
        }
        _ => host,
    }
}
