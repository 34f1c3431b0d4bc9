//! What a call of a tool gave.

use super::json_object::JsonObject;
use crate::service::ServiceError;

/// The result of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The structured result as JSON text; for an error `{"error": …}`.
    pub structured: String,
    /// For an error, what the agent reads: what the reference says, and the code, since
    /// many clients pass on nothing but the text.
    pub error: Option<String>,
}

impl ToolResult {
    /// What the agent reads.
    pub fn text(&self) -> &str {
        self.error.as_deref().unwrap_or(&self.structured)
    }

    /// The result of a call that its client has cancelled, for whoever still reads it.
    pub(in crate::api::mcp) fn cancelled(tool: &str) -> ToolResult {
        let error = ServiceError::unavailable("unavailable: the call was cancelled");
        ToolResult::failed(tool, &error)
    }

    /// The result of a call that failed.
    pub(in crate::api::mcp) fn failed(tool: &str, error: &ServiceError) -> ToolResult {
        let details = JsonObject::new()
            .text("code", error.code.as_str())
            .text("message", &error.message)
            .bool("retryable", error.is_retryable());
        ToolResult {
            structured: JsonObject::new().object("error", details).finish(),
            error: Some(format!(
                "Error calling tool '{tool}': {} (code: {}, retryable: {})",
                error.message,
                error.code.as_str(),
                error.is_retryable()
            )),
        }
    }
}
