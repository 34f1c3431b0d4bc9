//! The calls in flight over HTTP, so that a `notifications/cancelled` on another
//! connection finds the call that it cancels. Each client numbers its requests by
//! itself, so a client gets a session id with the answer to `initialize`. Nothing
//! is stored under it, and every node accepts every id. Clients of revision
//! 2026-07-28 need none: they cancel a call by closing its connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

/// The header by which clients are told apart.
const SESSION: &str = "mcp-session-id";
/// From this revision of the protocol on there are no sessions.
const STATELESS_FROM: &str = "2026-07-28";

/// The calls in flight on this node, by session and request id.
#[derive(Clone, Default)]
pub(super) struct InFlightCalls(Arc<Mutex<BTreeMap<(String, String), CancellationToken>>>);

/// An extension of a request. It is cancelled when the client cancels the
/// request by another one.
#[derive(Clone)]
pub(super) struct CancelledByClient(pub(super) CancellationToken);

/// A call that counts as in flight until this is dropped.
pub(super) struct InFlightCall {
    calls: InFlightCalls,
    id: (String, String),
    pub(super) cancelled: CancelledByClient,
}

/// What a message is, as far as it matters for cancelling.
pub(super) enum MessageKind {
    /// The client introduces itself, and gets this session id.
    Initialize(HeaderValue),
    Call(InFlightCall),
    Other,
}

#[derive(Deserialize)]
struct MessageHead<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CancelParameters {
    #[serde(rename = "requestId")]
    request_id: Value,
}

#[derive(Deserialize)]
struct InitializeParameters {
    #[serde(rename = "protocolVersion")]
    version: String,
}

impl InFlightCalls {
    /// Registers the call that a message makes, or cancels the one that it names.
    pub(super) fn track(&self, headers: &HeaderMap, body: &[u8]) -> MessageKind {
        // Whether this is a valid message at all is decided later.
        let Ok(message) = serde_json::from_slice::<MessageHead<'_>>(body) else {
            return MessageKind::Other;
        };
        let session = headers.get(SESSION).and_then(|session| session.to_str().ok());
        match (message.method.as_deref(), session) {
            (Some("initialize"), _) if is_older(message.params) => initialize(),
            (Some("tools/call"), Some(session)) => match message.id.and_then(parse) {
                Some(id) => MessageKind::Call(self.register(session, id)),
                None => MessageKind::Other,
            },
            (Some("notifications/cancelled"), Some(session)) => {
                if let Some(CancelParameters { request_id }) = message.params.and_then(parse) {
                    self.cancel(session, &request_id);
                }
                MessageKind::Other
            }
            (Some(_) | None, _) => MessageKind::Other,
        }
    }

    /// Registers a call of the client that sent these headers, if it can cancel one.
    /// `id` is JSON text.
    pub(super) fn begin(&self, headers: &HeaderMap, id: &str) -> Option<InFlightCall> {
        let session = headers.get(SESSION)?.to_str().ok()?;
        Some(self.register(session, serde_json::from_str(id).ok()?))
    }

    fn register(&self, session: &str, id: Value) -> InFlightCall {
        let id = (session.to_owned(), id.to_string());
        let token = CancellationToken::new();
        self.lock().insert(id.clone(), token.clone());
        InFlightCall { calls: self.clone(), id, cancelled: CancelledByClient(token) }
    }

    fn cancel(&self, session: &str, id: &Value) {
        let token = self.lock().remove(&(session.to_owned(), id.to_string()));
        if let Some(token) = token {
            token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), CancellationToken>> {
        // Every change is a single call of the map, so a panic elsewhere cannot have
        // left it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}

/// Adds the session id to a response.
pub(super) fn add_session(headers: &mut HeaderMap, session: HeaderValue) {
    headers.insert(SESSION, session);
}

fn initialize() -> MessageKind {
    let session = format!("{:032x}", rand::random::<u128>());
    match HeaderValue::from_str(&session) {
        Ok(session) => MessageKind::Initialize(session),
        Err(_) => MessageKind::Other,
    }
}

fn is_older(params: Option<&RawValue>) -> bool {
    let params: Option<InitializeParameters> = params.and_then(parse);
    params.is_some_and(|params| *params.version < *STATELESS_FROM)
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
        let calls = InFlightCalls::default();
        let MessageKind::Call(mine) = calls.track(&headers("a"), CALL) else {
            panic!("the first call was not registered")
        };
        let MessageKind::Call(other) = calls.track(&headers("b"), CALL) else {
            panic!("the second call was not registered")
        };
        calls.track(&HeaderMap::new(), CANCEL);
        assert!(!mine.cancelled.0.is_cancelled() && !other.cancelled.0.is_cancelled());
        calls.track(&headers("a"), CANCEL);
        assert!(mine.cancelled.0.is_cancelled() && !other.cancelled.0.is_cancelled());
        drop((mine, other));
        assert!(calls.lock().is_empty(), "calls that are over are removed");
    }

    #[test]
    fn clients_of_older_revisions_get_a_session() {
        let initialize = |version: &str| {
            let params = format!(r#"{{"protocolVersion":"{version}"}}"#);
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
            InFlightCalls::default().track(&HeaderMap::new(), body.as_bytes())
        };
        assert!(matches!(initialize("2025-11-25"), MessageKind::Initialize(_)));
        assert!(matches!(initialize("2026-07-28"), MessageKind::Other));
    }
}
