//! Access: who may call, over HTTP and gRPC alike. Safe by default, as Redis's
//! protected mode: without a token only callers on this machine are served,
//! until an operator says otherwise. Once a token is configured everybody
//! shows it, callers on this machine too, as with Redis's `requirepass`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::machine::Text;

/// What the operator has set.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What callers must show as `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// A second token, which alone gives the right to administer. Where there
    /// is none, `token` gives it.
    pub admin_token: Option<Secret>,
    /// Serve callers from beyond this machine without a token.
    pub insecure: bool,
    /// Host names, besides this machine's own, under which clients reach us:
    /// `name` for any port or `name:port`; `*` for any.
    pub hosts: Vec<String>,
    /// Origins of web pages that may call, such as `https://app.example`,
    /// besides pages served from this machine; `*` for any.
    pub origins: Vec<String>,
}

/// Text that no log and no print-out may show.
#[derive(Clone)]
pub struct Secret(Arc<str>);

/// Somebody who was let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Recorded in the history where a command names no agent.
    pub actor: Option<Text>,
    /// May call `sidecar_reset`.
    pub admin: bool,
}

/// Why somebody was not let in. The text is for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token or a wrong one: 401, `UNAUTHENTICATED`.
    #[error("{0}")]
    Unauthenticated(String),
    /// Not from here, not under this name: 403, `PERMISSION_DENIED`.
    #[error("{0}")]
    Forbidden(String),
}

/// What a request shows of where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestOrigin<'a> {
    /// The other end of the connection; nothing for pipes and Unix sockets,
    /// which only this machine can reach.
    pub peer: Option<IpAddr>,
    /// A proxy says that it forwards for somebody else, so the connection's
    /// other end is not the caller.
    pub forwarded: bool,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `Host` header or `:authority`.
    pub host: Option<&'a str>,
    /// The `Origin` header, which browsers send.
    pub origin: Option<&'a str>,
}

/// Headers by which proxies say for whom they ask; with any of them a caller
/// counts as [`RequestOrigin::forwarded`].
pub const FORWARDED_HEADERS: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// The policy.
#[derive(Clone, Debug)]
pub struct Access {
    token: Option<[u8; 32]>,
    admin_token: Option<[u8; 32]>,
    insecure: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

const PROTECTED: &str = "this server has no token configured and serves only callers on its own \
     machine; set SIDECAR_TOKEN (or SIDECAR_TOKEN_FILE) and send it as 'Authorization: Bearer \
     <token>', or set SIDECAR_INSECURE=true to serve everybody who can reach it by its address or a \
     name that SIDECAR_ALLOWED_HOSTS lists";

impl Access {
    pub fn new(options: Options) -> Access {
        let lower = |list: Vec<String>| list.iter().map(|s| s.to_ascii_lowercase()).collect();
        Access {
            token: options.token.map(|secret| secret.digest()),
            admin_token: options.admin_token.map(|secret| secret.digest()),
            insecure: options.insecure,
            hosts: lower(options.hosts),
            origins: lower(options.origins),
        }
    }

    /// Whether `visitor` may call, and as whom.
    pub fn admit(&self, visitor: RequestOrigin<'_>) -> Result<Caller, Denied> {
        self.check_origin(visitor.origin)?;
        if self.token.is_none() && self.admin_token.is_none() {
            return self.admit_without_token(visitor);
        }
        // A web page that reached us under a forged name cannot know the
        // token, so whoever shows it may use any name for this server.
        self.admit_with_token(visitor.authorization)
    }

    fn admit_without_token(&self, visitor: RequestOrigin<'_>) -> Result<Caller, Denied> {
        let local = !visitor.forwarded && visitor.peer.is_none_or(is_local);
        match (local, self.insecure) {
            (true, _) => self.check_host(visitor.host, is_local_name)?,
            (false, true) => self.check_host(visitor.host, is_address_or_local)?,
            // Whatever name they use: they must learn what is missing.
            (false, false) => return Err(Denied::Forbidden(PROTECTED.into())),
        }
        Ok(Caller { actor: None, admin: local })
    }

    fn admit_with_token(&self, authorization: Option<&str>) -> Result<Caller, Denied> {
        let unauthenticated = |text: &str| Denied::Unauthenticated(text.into());
        let header = authorization.ok_or_else(|| {
            unauthenticated("this server needs a token: send 'Authorization: Bearer <token>'")
        })?;
        let shown = bearer(header).ok_or_else(|| {
            unauthenticated("the Authorization header must have the form 'Bearer <token>'")
        })?;
        let shown = digest(shown);
        // Both are compared in full, whichever fits.
        let is_admin = self.admin_token.is_some_and(|token| token.ct_eq(&shown).into());
        let is_known = self.token.is_some_and(|token| token.ct_eq(&shown).into());
        if !is_admin && !is_known {
            return Err(unauthenticated("the token is not the one this server was given"));
        }
        Ok(Caller { actor: None, admin: is_admin || self.admin_token.is_none() })
    }

    /// Against DNS rebinding: a page of some site whose name was made to point
    /// here still sends that site's name. `is_own` knows this server's names
    /// besides the listed ones.
    fn check_host(&self, host: Option<&str>, is_own: fn(&str) -> bool) -> Result<(), Denied> {
        let Some(host) = host else { return Ok(()) };
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        let known = |allowed: &String| allowed == "*" || *allowed == host || allowed == name;
        if is_own(name) || self.hosts.iter().any(known) {
            return Ok(());
        }
        Err(Denied::Forbidden(format!(
            "this server does not answer to the host name '{host}'; it takes localhost, 127.0.0.1, \
             [::1], from other machines any address, and what SIDECAR_ALLOWED_HOSTS lists"
        )))
    }

    /// Demanded by MCP's Streamable HTTP transport (section "Security
    /// Warning"). Programs that are no browsers send no origin.
    fn check_origin(&self, origin: Option<&str>) -> Result<(), Denied> {
        let Some(origin) = origin else { return Ok(()) };
        let origin = origin.to_ascii_lowercase();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let local = host.is_some_and(|host| is_local_name(without_port(host)));
        if local || self.origins.iter().any(|allowed| allowed == "*" || *allowed == origin) {
            return Ok(());
        }
        Err(Denied::Forbidden(format!(
            "pages from '{origin}' may not call this server; it takes pages from this machine and \
             what SIDECAR_ALLOWED_ORIGINS lists"
        )))
    }
}

impl Caller {
    /// The program that started us over a pipe, and tests.
    pub fn local() -> Caller {
        Caller { actor: None, admin: true }
    }
}

impl Secret {
    pub fn new(text: impl Into<Arc<str>>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for those who must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether two secrets are equal, in a time that tells nothing about either.
pub fn same_secret(one: &str, other: &str) -> bool {
    digest(one).ct_eq(&digest(other)).into()
}

/// Digests have one length, so comparing them does not tell the secret's.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The scheme's name is case-insensitive (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// `::ffff:127.0.0.1` is this machine too.
fn is_local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn is_local_name(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// An address needs no name to be resolved, so nobody can have forged one; and
/// this machine's addresses, as seen from others, are not known to it.
fn is_address_or_local(name: &str) -> bool {
    let v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_address = match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok(),
    };
    is_address || is_local_name(name)
}

/// `name:port`, `[v6]:port` or either without the port.
fn without_port(host: &str) -> &str {
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

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const AWAY: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

    fn with_token() -> Access {
        Access::new(Options { token: Some(Secret::new("s3cret")), ..Options::default() })
    }

    #[test]
    fn without_a_token_only_this_machine_is_served() {
        let access = Access::new(Options::default());
        assert!(access.admit(RequestOrigin { peer: HERE, ..Default::default() }).unwrap().admin);
        let denied = access.admit(RequestOrigin { peer: AWAY, ..Default::default() }).unwrap_err();
        assert!(matches!(&denied, Denied::Forbidden(text) if text.contains("SIDECAR_TOKEN")));
        let mapped = "::ffff:127.0.0.1".parse().ok();
        assert!(access.admit(RequestOrigin { peer: mapped, ..Default::default() }).is_ok());
        let proxied = RequestOrigin { peer: HERE, forwarded: true, ..Default::default() };
        assert!(access.admit(proxied).is_err(), "a proxy's caller is not local");
    }

    #[test]
    fn insecure_serves_everybody_but_lets_nobody_from_afar_administer() {
        let access = Access::new(Options { insecure: true, ..Options::default() });
        assert!(!access.admit(RequestOrigin { peer: AWAY, ..Default::default() }).unwrap().admin);
        assert!(access.admit(RequestOrigin { peer: HERE, ..Default::default() }).unwrap().admin);
    }

    #[test]
    fn with_a_token_everybody_must_show_it() {
        for peer in [HERE, AWAY] {
            let show = |authorization| {
                with_token().admit(RequestOrigin { peer, authorization, ..Default::default() })
            };
            assert!(show(Some("Bearer s3cret")).unwrap().admin);
            assert!(show(Some("bearer  s3cret ")).is_ok());
            for wrong in [None, Some("Bearer s3cre"), Some("Basic s3cret"), Some("Bearer ")] {
                assert!(matches!(show(wrong), Err(Denied::Unauthenticated(_))), "{wrong:?}");
            }
        }
    }

    #[test]
    fn a_caller_from_afar_is_told_of_the_token_whatever_name_it_uses() {
        let names = ["10.0.0.5:8000", "[2001:db8::5]:8000", "state.example:8000", "localhost"];
        for host in names.map(Some) {
            let visitor = RequestOrigin { peer: AWAY, host, ..Default::default() };
            let denied = Access::new(Options::default()).admit(visitor).unwrap_err();
            assert_eq!(denied, Denied::Forbidden(PROTECTED.into()), "{host:?}");
            let show =
                |authorization| with_token().admit(RequestOrigin { authorization, ..visitor });
            assert!(show(Some("Bearer s3cret")).is_ok(), "{host:?}");
            for wrong in [None, Some("Bearer s3cre")] {
                assert!(matches!(show(wrong), Err(Denied::Unauthenticated(_))), "{host:?}");
            }
        }
    }

    #[test]
    fn insecure_answers_from_afar_to_addresses_and_listed_names() {
        let hosts = vec!["state.example".into()];
        let access = Access::new(Options { insecure: true, hosts, ..Options::default() });
        let ask = |peer, host| {
            access.admit(RequestOrigin { peer, host: Some(host), ..Default::default() }).is_ok()
        };
        for good in ["10.0.0.5:8000", "10.0.0.5", "[2001:db8::5]:8000", "state.example:8000"] {
            assert!(ask(AWAY, good), "{good}");
        }
        for forged in ["evil.example", "10.0.0.5.evil.example:8000", "[evil.example]", ""] {
            assert!(!ask(AWAY, forged), "{forged}");
        }
        assert!(ask(HERE, "localhost:8000"));
        assert!(!ask(HERE, "evil.example"), "a page whose name was made to point here");
    }

    #[test]
    fn a_second_token_keeps_administration_apart() {
        let access = Access::new(Options {
            token: Some(Secret::new("user")),
            admin_token: Some(Secret::new("root")),
            ..Options::default()
        });
        let show = |authorization| {
            let visitor = RequestOrigin { peer: AWAY, authorization, ..Default::default() };
            access.admit(visitor).unwrap().admin
        };
        assert!(!show(Some("Bearer user")));
        assert!(show(Some("Bearer root")));
    }

    #[test]
    fn forged_names_and_strange_pages_are_refused() {
        let access = Access::new(Options {
            hosts: vec!["node1.example".into(), "node2.example:8000".into()],
            origins: vec!["https://app.example".into()],
            ..Options::default()
        });
        let host =
            |host| access.admit(RequestOrigin { host: Some(host), ..Default::default() }).is_ok();
        for good in ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"] {
            assert!(host(good), "{good}");
        }
        assert!(host("node1.example:99") && host("node2.example:8000"));
        for bad in ["evil.example", "localhost.evil.example", "node2.example:1", "", "127.0.0.1.x"]
        {
            assert!(!host(bad), "{bad}");
        }
        let origin = |origin| {
            access.admit(RequestOrigin { origin: Some(origin), ..Default::default() }).is_ok()
        };
        assert!(origin("http://localhost:3000") && origin("https://app.example"));
        for bad in ["https://evil.example", "null", "http://localhost.evil.example", ""] {
            assert!(!origin(bad), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let options = Options { token: Some(Secret::new("s3cret")), ..Options::default() };
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
