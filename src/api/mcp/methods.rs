//! The methods of the protocol, as data: what each takes, and why it may not be there.
//! Errors about unknown methods and about parameters that cannot be read come from here,
//! whichever way a message came.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientJsonRpcMessage, ClientRequest, CustomRequest,
    ErrorCode, Implementation, PaginatedRequestParams,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::tools::shortened;
use crate::nearest::nearest;

/// One method of the protocol.
struct KnownMethod {
    name: &'static str,
    /// The parameters, besides `_meta`.
    takes: &'static str,
    /// Why a client may be told that there is no such method.
    absent: Option<&'static str>,
}

const PAGE: &str = "nothing, or {\"cursor\": a string}";
const URI: &str = "{\"uri\": a string}";
/// Why something that sends messages by itself may be absent.
const NEEDS_STREAM: &str = "over HTTP there is no stream for it: subscribe with \
    subscriptions/listen of revision 2026-07-28";
/// Why there are no tasks for some clients.
const NEEDS_TASKS: &str = "tasks are for clients of revision 2026-07-28 that declare the \
    extension io.modelcontextprotocol/tasks";

const METHODS: &[KnownMethod] = &[
    method(
        "initialize",
        "{\"protocolVersion\": a string, \"capabilities\": an object, \"clientInfo\": {\"name\": a \
         string, \"version\": a string}}",
    ),
    method("ping", "nothing").absent("revision 2026-07-28 has no ping"),
    method("server/discover", "nothing"),
    method("tools/list", PAGE),
    method("tools/call", "{\"name\": a string, \"arguments\": an object}"),
    method("resources/list", PAGE),
    method("resources/templates/list", PAGE),
    method("resources/read", URI),
    method("resources/subscribe", URI).absent(NEEDS_STREAM),
    method("resources/unsubscribe", URI).absent(NEEDS_STREAM),
    method(
        "subscriptions/listen",
        "{\"notifications\": {\"resourceSubscriptions\": a list of URIs, \"resourcesListChanged\": \
         true or false}}",
    )
    .absent("it belongs to revision 2026-07-28; older clients use resources/subscribe over a pipe"),
    method("prompts/list", PAGE),
    method("prompts/get", "{\"name\": a string, \"arguments\": an object of strings}"),
    method(
        "completion/complete",
        "{\"ref\": {\"type\": \"ref/resource\", \"uri\": a string} or {\"type\": \"ref/prompt\", \
         \"name\": a string}, \"argument\": {\"name\": a string, \"value\": a string}}",
    ),
    method("logging/setLevel", "{\"level\": a string}").absent("this server sends no log messages"),
    method("tasks/get", "{\"taskId\": a string}").absent(NEEDS_TASKS),
    method("tasks/update", "{\"taskId\": a string}").absent(NEEDS_TASKS),
    method("tasks/cancel", "{\"taskId\": a string}").absent(NEEDS_TASKS),
];

/// The methods of older revisions that 2026-07-28 has no more. A client of it is told that
/// they are not there, whatever their parameters are.
const REMOVED: [&str; 5] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

const fn method(name: &'static str, takes: &'static str) -> KnownMethod {
    KnownMethod { name, takes, absent: None }
}

impl KnownMethod {
    const fn absent(self, why: &'static str) -> KnownMethod {
        KnownMethod { absent: Some(why), ..self }
    }
}

/// The call that a request makes which rmcp could not recognise because its arguments are
/// text. Several clients send all arguments as one JSON string.
pub(super) fn call_with_text(request: &CustomRequest) -> Option<CallToolRequestParams> {
    let params = request.params.as_ref().filter(|_| request.method == "tools/call")?;
    let arguments = serde_json::from_str(params.get("arguments")?.as_str()?).ok()?;
    let mut params = params.clone();
    params["arguments"] = Value::Object(arguments);
    serde_json::from_value(params).ok()
}

/// The error for a request that rmcp could not recognise: its method is unknown, or is
/// known and has parameters that cannot be read.
pub(super) fn unrecognised(request: &CustomRequest) -> ErrorData {
    let method = &request.method;
    let Some(known) = METHODS.iter().find(|known| known.name == method) else {
        return absent(method);
    };
    let problem = match request.params.as_ref() {
        Some(Value::Object(params)) if method == "initialize" => problem_of_initialize(params),
        Some(_) | None => None,
    };
    let problem = problem.map_or_else(String::new, |problem| format!("; {problem}"));
    ErrorData::invalid_params(format!("{method} takes {}{problem}", known.takes), None)
}

/// The same for a client of revision 2026-07-28.
pub(super) fn unrecognised_by_latest(request: &CustomRequest) -> ErrorData {
    let is_removed = REMOVED.contains(&request.method.as_str());
    if is_removed { absent(&request.method) } else { unrecognised(request) }
}

/// Which member of a client's introduction cannot be read. Clients put much into it, and
/// rmcp only says that something is wrong.
fn problem_of_initialize(params: &Map<String, Value>) -> Option<String> {
    fn problem<T: DeserializeOwned>(name: &str, value: Value) -> Option<String> {
        serde_json::from_value::<T>(value).err().map(|error| format!("{name}: {error}"))
    }
    if let Some(Value::Object(capabilities)) = params.get("capabilities") {
        for (name, value) in capabilities {
            let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            let name = format!("capabilities.{}", shortened(name));
            if let Some(problem) = problem::<ClientCapabilities>(&name, alone) {
                return Some(problem);
            }
        }
    }
    let member = |name: &str| params.get(name).cloned().unwrap_or_default();
    problem::<String>("protocolVersion", member("protocolVersion"))
        .or_else(|| problem::<ClientCapabilities>("capabilities", member("capabilities")))
        .or_else(|| problem::<Implementation>("clientInfo", member("clientInfo")))
}

/// The error for a known method that is not there for this client.
pub(super) fn absent(method: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, not_found(method), None)
}

/// Refuses to go on in a list that has one page: no cursor leads there.
pub(super) fn refuse_cursor(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        Some(_) => Err(ErrorData::invalid_params("cursor: this list has one page only", None)),
        None => Ok(()),
    }
}

/// The error for a line that rmcp would not recognise as a request.
pub(super) fn refuse(message: &ClientJsonRpcMessage) -> Option<ErrorData> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    match &request.request {
        ClientRequest::CustomRequest(custom) if call_with_text(custom).is_none() => {
            Some(unrecognised(custom))
        }
        _ => None,
    }
}

/// What rmcp says about a method that is not there is its bare name. This says more.
pub(super) fn explain(mut error: ErrorData) -> ErrorData {
    if error.code == ErrorCode::METHOD_NOT_FOUND && is_bare(&error.message) {
        error.message = not_found(&error.message).into();
    }
    error
}

fn is_bare(message: &str) -> bool {
    !message.contains(' ')
}

fn not_found(method: &str) -> String {
    let shown = shortened(method);
    let known = METHODS.iter().find(|known| known.name == method);
    if let Some(why) = known.and_then(|known| known.absent) {
        return format!("Method not found: '{shown}'; {why}");
    }
    match nearest(method, METHODS.iter().map(|known| known.name)) {
        Some(near) => format!("Method not found: '{shown}'; did you mean '{near}'?"),
        None => format!("Method not found: '{shown}'"),
    }
}

/// The same for an answer that is JSON text already.
pub(super) fn explain_answer(answer: &[u8]) -> Option<String> {
    let code = format!("\"code\":{}", ErrorCode::METHOD_NOT_FOUND.0);
    answer.windows(code.len()).find(|window| *window == code.as_bytes())?;
    let mut answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let message = answer.get_mut("error")?.get_mut("message")?;
    let method = message.as_str().filter(|message| is_bare(message))?;
    *message = not_found(method).into();
    Some(answer.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_method_is_named_with_the_nearest_one() {
        for (method, said) in [
            ("foo/bar", "Method not found: 'foo/bar'"),
            ("resource/list", "Method not found: 'resource/list'; did you mean 'resources/list'?"),
            ("ping", "Method not found: 'ping'; revision 2026-07-28 has no ping"),
        ] {
            let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method.to_owned(), None);
            assert_eq!(explain(error).message, said);
            let answer = format!(
                r#"{{"jsonrpc":"2.0","id":9007199254740993,"error":{{"code":-32601,"message":"{method}"}}}}"#
            );
            let explained = explain_answer(answer.as_bytes()).expect(method);
            let expected = answer.replace(&format!(":\"{method}\""), &format!(":\"{said}\""));
            assert_eq!(explained, expected);
        }
        let own = r#"{"error":{"code":-32601,"message":"Method not found: 'x'"}}"#;
        assert_eq!(explain_answer(own.as_bytes()), None);
        assert_eq!(explain_answer(br#"{"result":{"a":"x"}}"#), None);
    }

    #[test]
    fn a_known_method_is_told_what_it_takes() {
        let unrecognised = |method: &str| super::unrecognised(&CustomRequest::new(method, None));
        let unrecognised_by_latest =
            |method: &str| super::unrecognised_by_latest(&CustomRequest::new(method, None));
        for known in METHODS {
            let error = unrecognised(known.name);
            assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{}", known.name);
            assert!(error.message.starts_with(known.name), "{}", error.message);
        }
        assert_eq!(unrecognised("tools/cal").code, ErrorCode::METHOD_NOT_FOUND);
        for removed in REMOVED {
            let code = unrecognised_by_latest(removed).code;
            assert_eq!(code, ErrorCode::METHOD_NOT_FOUND, "{removed}");
        }
        assert_eq!(unrecognised_by_latest("tools/list").code, ErrorCode::INVALID_PARAMS);
    }

    #[test]
    fn what_cannot_be_read_of_an_introduction_is_named() {
        let introduction = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "a", "version": "1"}});
        for (member, value, named) in [
            ("capabilities", json!({"experimental": {"a": 1}}), "capabilities.experimental: "),
            ("capabilities", json!({"sampling": {}, "roots": true}), "capabilities.roots: "),
            ("capabilities", json!({"extensions": []}), "capabilities.extensions: "),
            ("capabilities", json!(1), "capabilities: "),
            ("clientInfo", json!({"name": "a"}), "clientInfo: missing field `version`"),
            ("clientInfo", json!(null), "clientInfo: "),
            ("protocolVersion", json!(1), "protocolVersion: "),
        ] {
            let mut params = introduction.clone();
            params[member] = value;
            let message =
                json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
            let read = serde_json::from_value(message).expect("a request");
            let error = refuse(&read).unwrap_or_else(|| panic!("{named}was accepted"));
            assert!(error.message.contains(&format!("; {named}")), "{}", error.message);
        }
    }

    #[test]
    fn rmcp_knows_every_method_of_the_table() {
        for known in METHODS {
            let names = |text: &str| text.contains(known.name);
            let message = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{}","params":{{"name":5}}}}"#,
                known.name
            );
            let read: ClientJsonRpcMessage = serde_json::from_str(&message).expect(known.name);
            if let Some(error) = refuse(&read) {
                assert!(names(&error.message), "{}: {}", known.name, error.message);
                assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
            }
        }
    }
}
