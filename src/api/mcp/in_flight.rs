//! What a message over HTTP has to do with cancelling: it begins a call, cancels one,
//! or introduces a client. A `notifications/cancelled` comes on another connection
//! than its call, so the client must be known by something else. Each client numbers
//! its requests by itself, so it gets a session id with the answer to `initialize`.
//! Nothing is stored under that id, and every node accepts every id. Clients of
//! revision 2026-07-28 need none: they cancel a call by closing its connection.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::service::{CancellableCall, Service};
use crate::store::cluster::CallId;

/// The header by which clients are told apart.
const SESSION: &str = "mcp-session-id";
/// From this revision of the protocol on there are no sessions.
const STATELESS_FROM: &str = "2026-07-28";

/// What a message is, as far as it matters for cancelling.
pub(super) enum MessageKind {
    /// The client introduces itself, and gets this session id.
    Initialize(HeaderValue),
    Call(Arc<CancellableCall>),
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

/// Begins the call that a message makes, or cancels the one that it names.
pub(super) fn track(service: &Service, headers: &HeaderMap, body: &[u8]) -> MessageKind {
    // Whether this is a valid message at all is decided later.
    let Ok(message) = serde_json::from_slice::<MessageHead<'_>>(body) else {
        return MessageKind::Other;
    };
    match message.method.as_deref() {
        Some("initialize") if is_older(message.params) => initialize(),
        Some("tools/call") => {
            let call = message.id.and_then(|id| begin(service, headers, id.get()));
            call.map_or(MessageKind::Other, MessageKind::Call)
        }
        Some("notifications/cancelled") => {
            let cancelled: Option<CancelParameters> = message.params.and_then(parse);
            if let Some(id) = cancelled.and_then(|it| call_id(headers, &it.request_id)) {
                service.cancel(id);
            }
            MessageKind::Other
        }
        Some(_) | None => MessageKind::Other,
    }
}

/// Begins a call of the client that sent these headers, if it can cancel one. `id` is
/// JSON text.
pub(super) fn begin(
    service: &Service,
    headers: &HeaderMap,
    id: &str,
) -> Option<Arc<CancellableCall>> {
    // Without a session the id is not worth reading.
    headers.get(SESSION)?;
    let id = call_id(headers, &serde_json::from_str(id).ok()?)?;
    Some(service.begin_cancellable(id))
}

fn call_id(headers: &HeaderMap, request_id: &Value) -> Option<CallId> {
    let session = headers.get(SESSION)?.to_str().ok()?;
    CallId::new(session, request_id.to_string())
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
    use crate::service::Options;
    use crate::store::clock;
    use crate::store::memory::MemoryStore;

    fn service() -> Service {
        Service::new(Arc::new(MemoryStore::new(clock::system())), Options::default())
    }

    fn headers(session: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        add_session(&mut headers, HeaderValue::from_str(session).unwrap());
        headers
    }

    #[test]
    fn a_call_is_cancelled_in_its_own_session_alone() {
        const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#;
        const CANCEL: &[u8] =
            br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
        let service = service();
        let MessageKind::Call(call) = track(&service, &headers("a"), CALL) else {
            panic!("the call was not noted")
        };
        track(&service, &HeaderMap::new(), CANCEL);
        track(&service, &headers("b"), CANCEL);
        assert!(!call.is_cancelled());
        track(&service, &headers("a"), CANCEL);
        assert!(call.is_cancelled());
        assert!(begin(&service, &HeaderMap::new(), "7").is_none(), "nobody could cancel it");
    }

    #[test]
    fn clients_of_older_revisions_get_a_session() {
        let service = service();
        let initialize = |version: &str| {
            let params = format!(r#"{{"protocolVersion":"{version}"}}"#);
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
            track(&service, &HeaderMap::new(), body.as_bytes())
        };
        assert!(matches!(initialize("2025-11-25"), MessageKind::Initialize(_)));
        assert!(matches!(initialize("2026-07-28"), MessageKind::Other));
    }
}
