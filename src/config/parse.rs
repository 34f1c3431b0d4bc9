//! Parses the text of one setting into its value. This file judges each value alone;
//! `check` judges them together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::host_port::{self, HostPort};
use super::node_address::NodeAddress;
use super::types::{Backend, LogFormat};
use crate::access::Secret;
use crate::api::mcp::tools::{Toolset, UnknownTools};
use crate::store::redis::{self, MoveIn};

/// More voters make every write wait for more disks, and hardly add safety.
const MEMBERS_MAX: usize = 9;

/// A guess at a secret must take longer than the cluster lives.
const SECRET_CHARS_MIN: usize = 8;

/// What is wrong with a value, beyond that it is not what the setting expects. Often
/// empty.
pub type InvalidValue = String;

/// Parses a whole number within `range`.
pub fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, InvalidValue> {
    let number = text.parse().map_err(|_| InvalidValue::new())?;
    if range.contains(&number) { Ok(number) } else { Err(InvalidValue::new()) }
}

/// Parses a time in seconds, or with a unit, in milliseconds; `None` for no end.
pub fn duration_ms(text: &str) -> Result<Option<u64>, InvalidValue> {
    if text == "forever" {
        return Ok(None);
    }
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(InvalidValue::new()),
    };
    let number = number(digits, 1..=u64::MAX / 86_400_000)?;
    Ok(Some(number * seconds * 1_000))
}

/// Parses `true` or `false`, also written as 1 and 0, yes and no, on and off.
pub fn switch(text: &str) -> Result<bool, InvalidValue> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(InvalidValue::new()),
    }
}

/// Accepts any text but the empty one.
pub fn text(text: &str) -> Result<String, InvalidValue> {
    if text.is_empty() { Err(InvalidValue::new()) } else { Ok(text.to_owned()) }
}

/// Parses a host name or address, without a port.
pub fn host(text: &str) -> Result<String, InvalidValue> {
    host_port::parse_host(text)
}

/// Parses an address to listen on. Port 0 means any port that is free.
pub fn listen_addr(text: &str) -> Result<HostPort, InvalidValue> {
    HostPort::parse(text)
}

/// Parses the names of toolsets and tools. An empty text chooses nothing.
pub fn toolset(text: &str) -> Result<Option<Toolset>, InvalidValue> {
    Toolset::chosen(text).map_err(|error: UnknownTools| error.to_string())
}

/// Splits a text at its commas. An empty text gives an empty list.
pub fn list(text: &str) -> Result<Vec<String>, InvalidValue> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    Ok(entries.map(str::to_owned).collect())
}

/// Parses members such as `1=host:9000,2=host:9000`.
pub fn members(text: &str) -> Result<BTreeMap<u64, HostPort>, InvalidValue> {
    let mut members = BTreeMap::new();
    let mut addresses = BTreeSet::new();
    for entry in list(text)? {
        let (id, address) = entry.split_once('=').ok_or_else(|| format!("{entry:?} has no `=`"))?;
        let id = number(id.trim(), 1..=u64::MAX)
            .map_err(|_| format!("{id:?} is not the number of a node, 1 or more"))?;
        let address = peer_addr(address)
            .map_err(|reason| format!("{address:?} is not host:port{}", in_brackets(&reason)))?;
        if !addresses.insert(address.clone()) {
            return Err(format!("{address} is listed twice"));
        }
        if members.insert(id, address).is_some() {
            return Err(format!("node {id} is listed twice"));
        }
    }
    match members.len() {
        0 => Err(InvalidValue::new()),
        1..=MEMBERS_MAX => Ok(members),
        more => Err(format!("{more} members, and at most {MEMBERS_MAX} are possible")),
    }
}

/// Parses the address at which peers reach a node.
pub fn peer_addr(text: &str) -> Result<HostPort, InvalidValue> {
    let address: NodeAddress = text.parse()?;
    if address.is_tls() {
        return Err("peers do not use TLS".to_owned());
    }
    let address = address.grpc_addr()?;
    if address.port == 0 { Err("nobody listens on port 0".to_owned()) } else { Ok(address) }
}

/// Parses the address at which clients reach MCP on a node.
pub fn mcp_url(text: &str) -> Result<String, InvalidValue> {
    text.parse().map(|address: NodeAddress| address.mcp_url())
}

/// Parses the name of a store. Case does not matter, as in the Python reference.
pub fn backend(text: &str) -> Result<Backend, InvalidValue> {
    match text.to_ascii_lowercase().as_str() {
        "sqlite" => Ok(Backend::Sqlite),
        "memory" => Ok(Backend::Memory),
        "raft" => Ok(Backend::Raft),
        "redis" => Ok(Backend::Redis),
        _ => Err(InvalidValue::new()),
    }
}

/// Parses when to take over what the Python reference left in Redis.
pub fn move_in(text: &str) -> Result<MoveIn, InvalidValue> {
    match text {
        "auto" => Ok(MoveIn::Auto),
        "always" => Ok(MoveIn::Always),
        "never" => Ok(MoveIn::Never),
        _ => Err(InvalidValue::new()),
    }
}

/// Accepts a prefix of the keys in Redis.
pub fn redis_prefix(text: &str) -> Result<String, InvalidValue> {
    if redis::is_prefix(text) { Ok(text.to_owned()) } else { Err(InvalidValue::new()) }
}

/// Parses the format of log lines.
pub fn log_format(text: &str) -> Result<LogFormat, InvalidValue> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(InvalidValue::new()),
    }
}

/// Accepts directives of an `EnvFilter`. A single word must be a level, since the filter
/// itself would treat a misspelt level as the name of a module and log nothing.
pub fn log_filter(text: &str) -> Result<String, InvalidValue> {
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

/// Accepts a path.
pub fn path(value: &str) -> Result<PathBuf, InvalidValue> {
    text(value).map(PathBuf::from)
}

/// Accepts any secret.
pub fn secret(value: &str) -> Result<Option<Secret>, InvalidValue> {
    text(value).map(|text| Some(Secret::new(text)))
}

/// Accepts a secret that is sent in a header.
pub fn header_secret(value: &str) -> Result<Option<Secret>, InvalidValue> {
    let fits_a_header = value.chars().all(|c| c.is_ascii_graphic());
    if value.chars().count() < SECRET_CHARS_MIN || !fits_a_header {
        return Err(InvalidValue::new());
    }
    secret(value)
}

/// A reason in brackets, or nothing where there is none.
pub fn in_brackets(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}
