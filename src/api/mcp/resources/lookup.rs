//! Calling a tool for a resource, and reading what it gave.

use rmcp::ErrorData;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Caller;
use crate::api::mcp::tools::{self, Tool, Toolset};
use crate::service::Service;

/// The type of what tools give.
pub(super) const JSON: &str = "application/json";

/// Calls the tools on behalf of a client that reads resources.
pub(in crate::api::mcp) struct ResourceReader<'a> {
    pub(in crate::api::mcp) service: &'a Service,
    pub(in crate::api::mcp) caller: &'a Caller,
    /// What the client may call, and so may read.
    pub(in crate::api::mcp) toolset: Toolset,
}

/// What a tool gives for a call that fails.
#[derive(Deserialize)]
struct FailedCall {
    error: FailedCallError,
}

#[derive(Deserialize)]
struct FailedCallError {
    code: String,
    message: String,
    retryable: bool,
}

impl ResourceReader<'_> {
    /// The structured result of a tool, as JSON text. An argument that is `null` is left
    /// out.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Result<String, ErrorData> {
        let tool = self.toolset.find(tool).ok_or_else(|| not_offered(tool))?;
        let arguments = match arguments {
            Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        };
        let result = tools::call(self.service, self.caller, tool, arguments).await;
        match result.error {
            None => Ok(result.structured),
            Some(text) => Err(protocol_error(&result.structured, text)),
        }
    }

    /// The same, with the result converted.
    pub(super) async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        tool: &str,
        arguments: Value,
    ) -> Result<T, ErrorData> {
        convert(&self.call(tool, arguments).await?)
    }

    /// The first of these tools that the client may call. They give the same.
    pub(super) fn offered(&self, tools: &[&'static str]) -> Option<&'static Tool> {
        tools.iter().find_map(|name| self.toolset.find(name))
    }
}

/// The error for a resource whose tool is not offered to the client.
fn not_offered(tool: &str) -> ErrorData {
    let why = format!("{tool}, which would give this, is not among the tools offered here");
    ErrorData::invalid_params(why, None)
}

/// Converts the result of a tool.
pub(super) fn convert<'a, T: Deserialize<'a>>(structured: &'a str) -> Result<T, ErrorData> {
    serde_json::from_str(structured).map_err(|error| {
        ErrorData::internal_error(format!("a tool gave another result: {error}"), None)
    })
}

/// An error of a tool, as an error of the protocol.
fn protocol_error(structured: &str, text: String) -> ErrorData {
    let Ok(FailedCall { error }) = serde_json::from_str(structured) else {
        return ErrorData::internal_error(text, None);
    };
    let data = serde_json::json!({"code": error.code, "retryable": error.retryable});
    match error.code.as_str() {
        "invalid_argument" | "too_large" => ErrorData::invalid_params(error.message, Some(data)),
        "not_found" => ErrorData::resource_not_found(error.message, Some(data)),
        _ => ErrorData::internal_error(error.message, Some(data)),
    }
}
