//! From a setting's text to its value. What is refused here is refused for
//! its form alone; `check` judges values together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::{Backend, LogFormat};
use crate::store::redis::{self, MoveIn};

/// More voters make every write wait for more disks and add no safety that
/// seven do not give.
const MEMBERS_MAX: usize = 9;

/// What was wrong beyond "takes …"; often empty.
pub type Why = String;

/// A host or address with a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
}

impl HostPort {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether `host` names this machine to itself alone.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A whole number within `range`.
pub fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, Why> {
    let number = text.parse().map_err(|_| Why::new())?;
    if range.contains(&number) { Ok(number) } else { Err(Why::new()) }
}

/// `true` or `false`, also as 1 and 0, yes and no, on and off.
pub fn switch(text: &str) -> Result<bool, Why> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Why::new()),
    }
}

/// Any text but the empty one.
pub fn text(text: &str) -> Result<String, Why> {
    if text.is_empty() { Err(Why::new()) } else { Ok(text.to_owned()) }
}

/// A host's name or address, without a port.
pub fn host(text: &str) -> Result<String, Why> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if bare.contains(':') && bare.parse::<IpAddr>().is_err() {
        return Err("the port has a setting of its own".to_owned());
    }
    if bare.is_empty() || bare.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(Why::new());
    }
    Ok(bare.to_owned())
}

/// `host:port`, an IPv6 address in brackets; port 0 where `any_port`.
pub fn host_port(text: &str, any_port: bool) -> Result<HostPort, Why> {
    let (name, port) = text.rsplit_once(':').ok_or_else(|| "the port is missing".to_owned())?;
    let ipv6_needs_brackets = name.contains(':') && !name.starts_with('[');
    if ipv6_needs_brackets {
        return Err("an IPv6 address needs brackets".to_owned());
    }
    let lowest = if any_port { 0 } else { 1 };
    let port = number(port, lowest..=u64::from(u16::MAX))?;
    Ok(HostPort { host: host(name)?, port: port as u16 })
}

/// Texts separated by commas; none where the text is empty.
pub fn list(text: &str) -> Result<Vec<String>, Why> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    Ok(entries.map(str::to_owned).collect())
}

/// `1=host:9000,2=host:9000`.
pub fn members(text: &str) -> Result<BTreeMap<u64, HostPort>, Why> {
    let mut members = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for entry in list(text)? {
        let (id, address) = entry.split_once('=').ok_or_else(|| format!("{entry:?} has no `=`"))?;
        let id = number(id.trim(), 1..=u64::MAX)
            .map_err(|_| format!("{id:?} is not a node's number, 1 or more"))?;
        let address = host_port(address.trim(), false)
            .map_err(|why| format!("{address:?} is not host:port{}", detail(&why)))?;
        if !addresses.insert(address.clone()) {
            return Err(format!("{address} stands there twice"));
        }
        if members.insert(id, address).is_some() {
            return Err(format!("node {id} stands there twice"));
        }
    }
    match members.len() {
        0 => Err(Why::new()),
        1..=MEMBERS_MAX => Ok(members),
        more => Err(format!("{more} members; at most {MEMBERS_MAX}")),
    }
}

/// An `http://` or `https://` URL.
pub fn url(text: &str) -> Result<String, Why> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(Why::new()),
    }
}

/// The store's name, in any case, as the reference takes it.
pub fn backend(text: &str) -> Result<Backend, Why> {
    match text.to_ascii_lowercase().as_str() {
        "sqlite" => Ok(Backend::Sqlite),
        "memory" => Ok(Backend::Memory),
        "raft" => Ok(Backend::Raft),
        "redis" => Ok(Backend::Redis),
        _ => Err(Why::new()),
    }
}

/// What becomes of what the reference left in Redis.
pub fn move_in(text: &str) -> Result<MoveIn, Why> {
    match text {
        "auto" => Ok(MoveIn::Auto),
        "always" => Ok(MoveIn::Always),
        "never" => Ok(MoveIn::Never),
        _ => Err(Why::new()),
    }
}

/// What the keys in Redis begin with.
pub fn redis_prefix(text: &str) -> Result<String, Why> {
    if redis::is_prefix(text) { Ok(text.to_owned()) } else { Err(Why::new()) }
}

/// The form of log lines.
pub fn log_format(text: &str) -> Result<LogFormat, Why> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Why::new()),
    }
}

/// Directives of an `EnvFilter`. A bare word must be a level: the filter
/// itself would take a misspelt one for the name of a module.
pub fn log_filter(text: &str) -> Result<String, Why> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in text.split(',').map(str::trim) {
        let bare_word = !directive.contains(['=', '[']);
        if bare_word && !LEVELS.contains(&directive.to_ascii_lowercase().as_str()) {
            return Err(format!("{directive:?} is not a level"));
        }
    }
    tracing_subscriber::EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// A reason in brackets, where there is one.
pub fn detail(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}
