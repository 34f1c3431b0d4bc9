//! The policy that admits or denies a call.

use std::net::IpAddr;

use subtle::ConstantTimeEq;

use super::host::{is_address_or_local, is_local, is_local_name, without_port};
use super::secret::{Secret, digest};
use crate::machine::Text;

/// What the operator has configured.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The token that callers must send as `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// A second token, which alone gives the right to administer. If there is none,
    /// `token` gives that right.
    pub admin_token: Option<Secret>,
    /// Serve callers on other machines without a token.
    pub insecure: bool,
    /// The host names under which clients reach this server, besides the names of this
    /// machine: `name` for any port, `name:port`, or `*` for any name.
    pub hosts: Vec<String>,
    /// The origins of web pages that may call, such as `https://app.example`, besides
    /// pages from this machine. `*` allows any origin.
    pub origins: Vec<String>,
}

/// A caller that was admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Who the history names, where a command itself names no agent.
    pub actor: Option<Text>,
    /// Whether the caller may administer, for instance call `sidecar_reset`.
    pub admin: bool,
}

/// Why a caller was not admitted. The text is written for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The token is missing or wrong. It becomes HTTP 401 and gRPC `UNAUTHENTICATED`.
    #[error("{0}")]
    Unauthenticated(String),
    /// Calls from this machine, host name or web page are not allowed. It becomes HTTP
    /// 403 and gRPC `PERMISSION_DENIED`.
    #[error("{0}")]
    Forbidden(String),
}

/// What a request reveals about where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestOrigin<'a> {
    /// The other end of the connection. `None` for pipes and Unix sockets, which only
    /// this machine can reach.
    pub peer: Option<IpAddr>,
    /// A proxy forwards the request, so the other end of the connection is not the
    /// caller.
    pub forwarded: bool,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `Host` header or `:authority`.
    pub host: Option<&'a str>,
    /// The `Origin` header, which browsers send.
    pub origin: Option<&'a str>,
}

/// The headers by which proxies name the caller whose request they forward. A request
/// with any of them counts as [`RequestOrigin::forwarded`].
pub const FORWARDED_HEADERS: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// The policy that admits or denies each call.
#[derive(Clone, Debug)]
pub struct Access {
    token: Option<[u8; 32]>,
    admin_token: Option<[u8; 32]>,
    insecure: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

const TOKEN_NEEDED: &str = "this server has no token configured and serves only callers on its own \
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

    /// Decides whether a request may call, and with which rights.
    ///
    /// # Errors
    /// The request is denied, for the reason that the caller is told.
    pub fn admit(&self, request: RequestOrigin<'_>) -> Result<Caller, Denied> {
        self.check_origin(request.origin)?;
        if self.token.is_none() && self.admin_token.is_none() {
            return self.admit_without_token(request);
        }
        // A web page that reached this server under a forged name cannot know the token,
        // so a caller that sends it may use any host name.
        self.admit_with_token(request.authorization)
    }

    fn admit_without_token(&self, request: RequestOrigin<'_>) -> Result<Caller, Denied> {
        let local = !request.forwarded && request.peer.is_none_or(is_local);
        match (local, self.insecure) {
            (true, _) => self.check_host(request.host, is_local_name)?,
            (false, true) => self.check_host(request.host, is_address_or_local)?,
            // The host name is not checked first: the caller must learn that a token is
            // missing, whatever name it uses.
            (false, false) => return Err(Denied::Forbidden(TOKEN_NEEDED.into())),
        }
        Ok(Caller { actor: None, admin: local })
    }

    fn admit_with_token(&self, authorization: Option<&str>) -> Result<Caller, Denied> {
        let unauthenticated = |text: &str| Denied::Unauthenticated(text.into());
        let header = authorization.ok_or_else(|| {
            unauthenticated("this server needs a token: send 'Authorization: Bearer <token>'")
        })?;
        let sent = bearer(header).ok_or_else(|| {
            unauthenticated("the Authorization header must have the form 'Bearer <token>'")
        })?;
        let sent = digest(sent);
        // Both tokens are always compared, so the time does not tell which one matched.
        let is_admin = self.admin_token.is_some_and(|token| token.ct_eq(&sent).into());
        let is_known = self.token.is_some_and(|token| token.ct_eq(&sent).into());
        if !is_admin && !is_known {
            return Err(unauthenticated("the token is not the one this server was given"));
        }
        Ok(Caller { actor: None, admin: is_admin || self.admin_token.is_none() })
    }

    /// Prevents DNS rebinding: if an attacker makes the name of its site point to this
    /// server, the browser still sends that name. `is_own` recognises the names of this
    /// server besides the listed ones.
    fn check_host(&self, host: Option<&str>, is_own: fn(&str) -> bool) -> Result<(), Denied> {
        let Some(host) = host else { return Ok(()) };
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        let known = |allowed: &String| allowed == "*" || *allowed == host || allowed == name;
        if is_own(name) || self.hosts.iter().any(known) {
            return Ok(());
        }
        Err(Denied::Forbidden(format!(
            "this server does not answer to the host name '{host}'; it answers to localhost, \
             127.0.0.1 and [::1], for callers on other machines also to any address, and to the \
             names in SIDECAR_ALLOWED_HOSTS"
        )))
    }

    /// MCP's Streamable HTTP transport requires this check (section "Security Warning").
    /// Only browsers send an origin.
    fn check_origin(&self, origin: Option<&str>) -> Result<(), Denied> {
        match origin {
            Some(origin) if !self.allows_origin(origin) => Err(Denied::Forbidden(format!(
                "pages from '{}' may not call this server; only pages from this machine and \
                 from the origins in SIDECAR_ALLOWED_ORIGINS may",
                origin.to_ascii_lowercase()
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether web pages from this origin may call.
    pub fn allows_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let local = host.is_some_and(|host| is_local_name(without_port(host)));
        local || self.origins.iter().any(|allowed| allowed == "*" || *allowed == origin)
    }
}

impl Caller {
    /// The program that started this process and talks to it over a pipe.
    pub fn local() -> Caller {
        Caller { actor: None, admin: true }
    }
}

/// The scheme's name is case-insensitive (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOCAL: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const REMOTE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

    fn with_token() -> Access {
        Access::new(Options { token: Some(Secret::new("s3cret")), ..Options::default() })
    }

    #[test]
    fn without_a_token_only_this_machine_is_served() {
        let access = Access::new(Options::default());
        assert!(access.admit(RequestOrigin { peer: LOCAL, ..Default::default() }).unwrap().admin);
        let denied =
            access.admit(RequestOrigin { peer: REMOTE, ..Default::default() }).unwrap_err();
        assert!(matches!(&denied, Denied::Forbidden(text) if text.contains("SIDECAR_TOKEN")));
        let mapped = "::ffff:127.0.0.1".parse().ok();
        assert!(access.admit(RequestOrigin { peer: mapped, ..Default::default() }).is_ok());
        let proxied = RequestOrigin { peer: LOCAL, forwarded: true, ..Default::default() };
        assert!(access.admit(proxied).is_err(), "the caller behind a proxy is not local");
    }

    #[test]
    fn insecure_serves_everybody_but_lets_no_remote_caller_administer() {
        let access = Access::new(Options { insecure: true, ..Options::default() });
        assert!(!access.admit(RequestOrigin { peer: REMOTE, ..Default::default() }).unwrap().admin);
        assert!(access.admit(RequestOrigin { peer: LOCAL, ..Default::default() }).unwrap().admin);
    }

    #[test]
    fn with_a_token_every_caller_must_send_it() {
        for peer in [LOCAL, REMOTE] {
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
    fn a_remote_caller_is_told_of_the_token_whatever_name_it_uses() {
        let names = ["10.0.0.5:8000", "[2001:db8::5]:8000", "state.example:8000", "localhost"];
        for host in names.map(Some) {
            let request = RequestOrigin { peer: REMOTE, host, ..Default::default() };
            let denied = Access::new(Options::default()).admit(request).unwrap_err();
            assert_eq!(denied, Denied::Forbidden(TOKEN_NEEDED.into()), "{host:?}");
            let show =
                |authorization| with_token().admit(RequestOrigin { authorization, ..request });
            assert!(show(Some("Bearer s3cret")).is_ok(), "{host:?}");
            for wrong in [None, Some("Bearer s3cre")] {
                assert!(matches!(show(wrong), Err(Denied::Unauthenticated(_))), "{host:?}");
            }
        }
    }

    #[test]
    fn insecure_serves_remote_callers_under_addresses_and_listed_names() {
        let hosts = vec!["state.example".into()];
        let access = Access::new(Options { insecure: true, hosts, ..Options::default() });
        let ask = |peer, host| {
            access.admit(RequestOrigin { peer, host: Some(host), ..Default::default() }).is_ok()
        };
        for good in ["10.0.0.5:8000", "10.0.0.5", "[2001:db8::5]:8000", "state.example:8000"] {
            assert!(ask(REMOTE, good), "{good}");
        }
        for forged in ["evil.example", "10.0.0.5.evil.example:8000", "[evil.example]", ""] {
            assert!(!ask(REMOTE, forged), "{forged}");
        }
        assert!(ask(LOCAL, "localhost:8000"));
        assert!(!ask(LOCAL, "evil.example"), "an attacker made this name point to the server");
    }

    #[test]
    fn a_second_token_keeps_administration_apart() {
        let access = Access::new(Options {
            token: Some(Secret::new("user")),
            admin_token: Some(Secret::new("root")),
            ..Options::default()
        });
        let show = |authorization| {
            let request = RequestOrigin { peer: REMOTE, authorization, ..Default::default() };
            access.admit(request).unwrap().admin
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
}
