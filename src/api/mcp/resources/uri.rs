//! The URIs of resources, such as `state://kv/team%2Fplan`. Names are
//! percent-encoded as in simple expansion of RFC 6570. Names that are not encoded are
//! accepted where only one meaning is possible.

use std::collections::BTreeMap;

use crate::api::mcp::tools::shortened;
use crate::machine::filter::HistoryFilter;
use crate::machine::{Revision, Text};
use crate::nearest::nearest;
use crate::service::waiting::SubscribedSubject;

const SCHEME: &str = "state://";
const HISTORY: &str = "history";

/// What may come after `?` in the URI of the history.
pub(super) const HISTORY_VARIABLES: [&str; 5] = ["key", "action", "agent_id", "n", "before_id"];

/// The URI of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::mcp) enum ResourceUri {
    Key(String),
    Run(String),
    Lease(String),
    Session(String),
    /// The entries that these variables admit.
    History(BTreeMap<&'static str, String>),
}

/// Makes the URI of what has a name.
type NamedResource = fn(String) -> ResourceUri;

/// The resources that have a name, by the word before it.
const NAMED: [(&str, NamedResource); 4] = [
    ("kv", ResourceUri::Key),
    ("run", ResourceUri::Run),
    ("lease", ResourceUri::Lease),
    ("session", ResourceUri::Session),
];

impl ResourceUri {
    /// Reads a URI; the error says what is wrong with it.
    pub(in crate::api::mcp) fn parse(text: &str) -> Result<ResourceUri, String> {
        let scheme = text.get(..SCHEME.len()).filter(|start| start.eq_ignore_ascii_case(SCHEME));
        if scheme.is_none() {
            return Err(malformed(text, "it must begin with state://"));
        }
        let rest = &text[SCHEME.len()..];
        if rest.contains('#') {
            return Err(malformed(text, "a '#' in a name is written %23"));
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let (noun, name) = path.split_once('/').unwrap_or((path, ""));
        if noun.eq_ignore_ascii_case(HISTORY) && name.is_empty() {
            return history(query.unwrap_or_default()).map_err(|why| malformed(text, &why));
        }
        let Some((_, made_of)) = NAMED.iter().find(|(word, _)| word.eq_ignore_ascii_case(noun))
        else {
            return Err(malformed(
                text,
                "after state:// comes kv/, run/, lease/, session/ or history",
            ));
        };
        if query.is_some() {
            return Err(malformed(text, "a '?' in a name is written %3F"));
        }
        if name.is_empty() {
            return Err(malformed(text, "the name is missing"));
        }
        decode(name).map(made_of).map_err(|why| malformed(text, &why))
    }

    /// The tool that gives the same.
    pub(in crate::api::mcp) fn tool(&self) -> &'static str {
        match self {
            ResourceUri::Key(_) => "state_get",
            ResourceUri::Run(_) => "workflow_status",
            ResourceUri::Lease(_) => "lease_list",
            ResourceUri::Session(_) => "session_restore",
            ResourceUri::History(_) => "history_log",
        }
    }

    /// What events say about the resource.
    pub(in crate::api::mcp) fn subject(&self) -> SubscribedSubject {
        match self {
            ResourceUri::Key(key) => SubscribedSubject::Key(key.as_str().into()),
            ResourceUri::Run(run_id) => SubscribedSubject::Run(run_id.as_str().into()),
            ResourceUri::Lease(id) => SubscribedSubject::Lease(id.as_str().into()),
            ResourceUri::Session(id) => SubscribedSubject::Session(id.as_str().into()),
            ResourceUri::History(variables) => {
                let text = |name| variables.get(name).map(|value| Text::from(value.as_str()));
                let action = variables.get("action").and_then(|name| name.parse().ok());
                let before = variables.get("before_id").and_then(|id| id.parse().ok());
                SubscribedSubject::History {
                    filter: HistoryFilter { subject: text("key"), action, actor: text("agent_id") },
                    before: before.map(Revision),
                }
            }
        }
    }
}

impl std::fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (noun, name) = match self {
            ResourceUri::Key(name) => ("kv", name),
            ResourceUri::Run(name) => ("run", name),
            ResourceUri::Lease(name) => ("lease", name),
            ResourceUri::Session(name) => ("session", name),
            ResourceUri::History(variables) => {
                write!(f, "{SCHEME}{HISTORY}")?;
                return variables.iter().enumerate().try_for_each(|(at, (name, value))| {
                    write!(f, "{}{name}={}", if at == 0 { '?' } else { '&' }, encode(value))
                });
            }
        };
        write!(f, "{SCHEME}{noun}/{}", encode(name))
    }
}

fn malformed(text: &str, why: &str) -> String {
    format!("malformed URI '{}': {why}", shortened(text))
}

fn history(query: &str) -> Result<ResourceUri, String> {
    let mut variables = BTreeMap::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let Some(known) = HISTORY_VARIABLES.iter().find(|known| **known == name) else {
            let hint = match nearest(name, HISTORY_VARIABLES) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("it takes {}", HISTORY_VARIABLES.join(", ")),
            };
            return Err(format!("the history has no '{}'; {hint}", shortened(name)));
        };
        if value.is_empty() {
            continue;
        }
        if variables.insert(*known, decode(value)?).is_some() {
            return Err(format!("'{known}' is given twice"));
        }
    }
    Ok(ResourceUri::History(variables))
}

/// Encodes everything but the unreserved characters of RFC 3986.
fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or("two hexadecimal digits must follow a '%'")?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| "a name must be UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_survives_in_a_uri() {
        for name in ["k", "a/b", "team:x", "ü 漢", "50%", "a?b#c", "..", "%2F", "a+b&c=d", "\n"] {
            for (noun, made_of) in NAMED {
                let uri = made_of(name.into()).to_string();
                assert!(uri.starts_with(&format!("state://{noun}/")), "{uri}");
                assert!(uri.is_ascii() && !uri.contains(' '), "{uri}");
                assert_eq!(ResourceUri::parse(&uri), Ok(made_of(name.into())), "{uri}");
            }
            let history = ResourceUri::History(BTreeMap::from([("key", name.into())]));
            assert_eq!(ResourceUri::parse(&history.to_string()), Ok(history));
        }
    }

    #[test]
    fn what_clients_leave_unencoded_is_understood() {
        for (uri, key) in [
            ("state://kv/a/b:c", "a/b:c"),
            ("state://kv/ü x", "ü x"),
            ("STATE://KV/a%2fb", "a/b"),
            ("state://kv/a+b", "a+b"),
        ] {
            assert_eq!(ResourceUri::parse(uri), Ok(ResourceUri::Key(key.into())), "{uri}");
        }
        for uri in
            ["state://history", "state://history/", "state://history?", "state://history?key="]
        {
            assert_eq!(ResourceUri::parse(uri), Ok(ResourceUri::History(BTreeMap::new())), "{uri}");
        }
    }

    #[test]
    fn a_malformed_uri_is_told_what_is_wrong() {
        for (uri, why) in [
            ("", "begin with state://"),
            ("file:///etc/passwd", "begin with state://"),
            ("ü://kv/a", "begin with state://"),
            ("state://kv", "the name is missing"),
            ("state://kv/", "the name is missing"),
            ("state://keys/a", "after state:// comes kv/"),
            ("state://history/x", "after state:// comes kv/"),
            ("state://kv/a%2", "hexadecimal"),
            ("state://kv/%+1", "hexadecimal"),
            ("state://kv/%ff", "UTF-8"),
            ("state://kv/a?b", "%3F"),
            ("state://kv/a#b", "%23"),
            ("state://history?agent=x", "did you mean 'agent_id'"),
            ("state://history?zzzzzzzz=x", "it takes key, action"),
            ("state://history?n=1&n=2", "twice"),
        ] {
            let error = ResourceUri::parse(uri).expect_err(uri);
            assert!(error.contains(why) && error.contains("malformed URI"), "{uri}: {error}");
        }
    }
}
