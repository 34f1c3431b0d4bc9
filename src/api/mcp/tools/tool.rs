//! What a tool is, and calling one.

use std::sync::OnceLock;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::arguments::Arguments;
use super::call::ToolCall;
use super::field::{AGE, Field, closed, object_schema, outline};
use super::json_object::JsonObject;
use super::result::ToolResult;
use crate::access::Caller;
use crate::api::observed::observed;
use crate::limits::ArgumentError;
use crate::service::{Service, ServiceError};

/// One tool: how agents see it, and what carries it out.
pub struct Tool {
    pub name: &'static str,
    pub title: &'static str,
    /// For agents: when to use it.
    pub description: &'static str,
    pub takes: Vec<Field>,
    pub gives: Vec<Field>,
    pub access: ToolAccess,
    pub(super) run: for<'a> fn(ToolCall<'a>) -> BoxFuture<'a, Result<JsonObject, ServiceError>>,
}

/// Whether a tool reads or writes the state, as MCP's annotations have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolAccess {
    Read,
    Write {
        /// It may remove or overwrite what was there.
        destructive: bool,
        /// The same call again changes nothing more.
        idempotent: bool,
    },
}

/// Calls `tool`. Every error is in the result, and so is a panic.
pub async fn call(
    service: &Service,
    caller: &Caller,
    tool: &'static Tool,
    arguments: Map<String, Value>,
) -> ToolResult {
    let age = OnceLock::new();
    let run = async {
        let args = Arguments::new(tool.name, &tool.takes, arguments)?;
        (tool.run)(ToolCall { service, caller, args, age: &age }).await
    };
    match observed(tool.name, run).await {
        Ok(object) => {
            let object = match age.get() {
                Some(Some(age)) => object.seconds(AGE, age.as_millis() as u64),
                Some(None) => object.null(AGE),
                None => object,
            };
            ToolResult { structured: object.finish(), error: None }
        }
        Err(error) => ToolResult::failed(tool.name, &tool.in_own_terms(error)),
    }
}

impl Tool {
    /// A JSON Schema of the arguments.
    pub fn input_schema(&self) -> Map<String, Value> {
        object_schema(&self.takes)
    }

    /// A JSON Schema of the structured result, as clients get it: it tells the fields
    /// and their types, and the result of a call that failed fits it too.
    pub fn output_schema(&self) -> Map<String, Value> {
        outline(&self.gives)
    }

    /// A JSON Schema with everything that is promised about the structured result of
    /// a call that succeeds.
    pub fn result_schema(&self) -> Value {
        closed(Value::Object(object_schema(&self.gives)))
    }

    /// Whether a call with these arguments may wait for something to happen.
    pub fn waits(&self, arguments: &Map<String, Value>) -> bool {
        self.takes.iter().any(|field| {
            matches!(field.name, "timeout_seconds" | "wait_seconds")
                && (field.has_default() || arguments.contains_key(field.name))
        })
    }

    /// Whether a call may grant the caller what others then cannot have.
    pub fn grants(&self) -> bool {
        self.gives.iter().any(|field| matches!(field.name, "claimed" | "acquired"))
    }

    /// The same error, with an argument named as this tool names it, and with
    /// durations in seconds.
    fn in_own_terms(&self, error: ServiceError) -> ServiceError {
        let Some(argument) = error.argument else { return error };
        let ArgumentError { path, kind } = *argument;
        let (parent, name) = match path.rfind('.') {
            Some(dot) => path.split_at(dot + 1),
            None => ("", &*path),
        };
        let (name, kind) = match name.strip_suffix("_ms") {
            Some(stem) => (format!("{stem}_seconds"), kind.in_seconds()),
            None => {
                let field = self.takes.iter().find(|field| field.fills == Some(name));
                (field.map_or(name, |field| field.name).into(), kind)
            }
        };
        ArgumentError { path: format!("{parent}{name}"), kind }.into()
    }
}
