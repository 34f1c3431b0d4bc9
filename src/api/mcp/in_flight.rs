//! Calls under way over HTTP, so that `notifications/cancelled` that comes on
//! another connection finds its call. Requests are numbered by each client for
//! itself, so clients get a session id when they introduce themselves. Nothing
//! is kept for it, and any node takes any id. Clients of revision 2026-07-28 need
//! none: they cancel a call by closing its connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

/// By this header a client says who it is.
const SESSION: &str = "mcp-session-id";
/// From this revision on there are no sessions.
const STATELESS_FROM: &str = "2026-07-28";

/// Calls of this node that are under way, by session and request.
#[derive(Clone, Default)]
pub(super) struct InFlightCalls(Arc<Mutex<BTreeMap<(String, String), CancellationToken>>>);

/// Goes with a request: cancelled when the client cancels it elsewhere.
#[derive(Clone)]
pub(super) struct CancelledByClient(pub(super) CancellationToken);

/// A call that is under way until this is dropped.
pub(super) struct InFlightCall {
    underway: InFlightCalls,
    name: (String, String),
    pub(super) cancelled: CancelledByClient,
}

/// What a message is, as far as it matters here.
pub(super) enum MessageKind {
    /// With the session that the client is given.
    Introduction(HeaderValue),
    Call(InFlightCall),
    Other,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Cancelled {
    #[serde(rename = "requestId")]
    request_id: Value,
}

#[derive(Deserialize)]
struct Introduction {
    #[serde(rename = "protocolVersion")]
    version: String,
}

impl InFlightCalls {
    /// Takes note of a message: registers a call, cancels one.
    pub(super) fn note(&self, headers: &HeaderMap, body: &[u8]) -> MessageKind {
        // What is no message at all is for others to say.
        let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
            return MessageKind::Other;
        };
        let session = headers.get(SESSION).and_then(|session| session.to_str().ok());
        match (message.method.as_deref(), session) {
            (Some("initialize"), _) if is_older(message.params) => introduce(),
            (Some("tools/call"), Some(session)) => match message.id.and_then(parse) {
                Some(id) => MessageKind::Call(self.register(session, id)),
                None => MessageKind::Other,
            },
            (Some("notifications/cancelled"), Some(session)) => {
                if let Some(Cancelled { request_id }) = message.params.and_then(parse) {
                    self.cancel(session, &request_id);
                }
                MessageKind::Other
            }
            (Some(_) | None, _) => MessageKind::Other,
        }
    }

    fn register(&self, session: &str, id: Value) -> InFlightCall {
        let name = (session.to_owned(), id.to_string());
        let token = CancellationToken::new();
        self.lock().insert(name.clone(), token.clone());
        InFlightCall { underway: self.clone(), name, cancelled: CancelledByClient(token) }
    }

    fn cancel(&self, session: &str, id: &Value) {
        let token = self.lock().remove(&(session.to_owned(), id.to_string()));
        if let Some(token) = token {
            token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), CancellationToken>> {
        // Each change is one call of the map's.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        self.underway.lock().remove(&self.name);
    }
}

/// Gives a response the session id.
pub(super) fn add_session(headers: &mut HeaderMap, session: HeaderValue) {
    headers.insert(SESSION, session);
}

fn introduce() -> MessageKind {
    let session = format!("{:032x}", rand::random::<u128>());
    match HeaderValue::from_str(&session) {
        Ok(session) => MessageKind::Introduction(session),
        Err(_) => MessageKind::Other,
    }
}

fn is_older(params: Option<&RawValue>) -> bool {
    let introduction: Option<Introduction> = params.and_then(parse);
    introduction.is_some_and(|introduction| *introduction.version < *STATELESS_FROM)
}

fn parse<T: for<'de> Deserialize<'de>>(raw: &RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(session: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        add_session(&mut headers, HeaderValue::from_str(session).unwrap());
        headers
    }

    #[test]
    fn a_call_is_cancelled_by_its_own_client_alone() {
        const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#;
        const CANCEL: &[u8] =
            br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
        let underway = InFlightCalls::default();
        let MessageKind::Call(mine) = underway.note(&headers("a"), CALL) else {
            panic!("not noted")
        };
        let MessageKind::Call(other) = underway.note(&headers("b"), CALL) else {
            panic!("not noted")
        };
        underway.note(&HeaderMap::new(), CANCEL);
        assert!(!mine.cancelled.0.is_cancelled() && !other.cancelled.0.is_cancelled());
        underway.note(&headers("a"), CANCEL);
        assert!(mine.cancelled.0.is_cancelled() && !other.cancelled.0.is_cancelled());
        drop((mine, other));
        assert!(underway.lock().is_empty(), "what is over is forgotten");
    }

    #[test]
    fn clients_of_older_revisions_get_a_session() {
        let introduction = |version: &str| {
            let params = format!(r#"{{"protocolVersion":"{version}"}}"#);
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
            InFlightCalls::default().note(&HeaderMap::new(), body.as_bytes())
        };
        assert!(matches!(introduction("2025-11-25"), MessageKind::Introduction(_)));
        assert!(matches!(introduction("2026-07-28"), MessageKind::Other));
    }
}
