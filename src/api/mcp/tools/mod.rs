//! The tools: what each takes, gives and does, free of any protocol. The rmcp
//! handler, the fast lane and the story runner all call [`call`].
//!
//! One file a noun; the table of them is built once.

mod admin;
mod args;
mod claim;
mod field;
mod history;
mod json_object;
mod kv;
mod lease;
mod run;
mod session;

use std::panic::AssertUnwindSafe;
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

pub(super) use args::shortened;
pub use field::Field;
pub(super) use json_object::push_string;

use crate::access::Caller;
use crate::machine::query::PAGE_BYTES_MAX;
use crate::machine::view::Page;
use crate::machine::{Answer, Command, Question, Reply, Text};
use crate::observe;
use crate::service::{Context, Service, ServiceError};
use crate::store::Consistency;
use args::Args;
use field::{AGE, CONSISTENCY};
use json_object::JsonObject;

/// One tool.
pub struct Tool {
    pub name: &'static str,
    pub title: &'static str,
    /// For agents: when to use it.
    pub description: &'static str,
    pub takes: Vec<Field>,
    pub gives: Vec<Field>,
    pub nature: Nature,
    run: Run,
}

/// What calling a tool does to the state, as MCP's annotations have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Read,
    Write {
        /// May remove or overwrite what was there.
        destructive: bool,
        /// The same call again changes nothing more.
        idempotent: bool,
    },
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The structured result as JSON text; for an error `{"error": …}`.
    pub structured: String,
    /// For an error, what the agent reads.
    pub error: Option<String>,
}

/// One call on its way to its tool.
struct Call<'a> {
    service: &'a Service,
    caller: &'a Caller,
    args: Args<'a>,
    /// How old the state was that a local read saw; none where nothing was read so.
    age: &'a OnceLock<Option<Duration>>,
}

type Run = for<'a> fn(Call<'a>) -> BoxFuture<'a, Result<JsonObject, ServiceError>>;

/// All tools, grouped by noun.
pub fn all() -> &'static [Tool] {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        let groups = [
            kv::tools(),
            run::tools(),
            claim::tools(),
            lease::tools(),
            session::tools(),
            history::tools(),
            admin::tools(),
        ];
        groups.into_iter().flatten().map(told_its_age).collect()
    });
    &TOOLS
}

/// Reads that may be local say how old what they saw may be.
fn told_its_age(mut tool: Tool) -> Tool {
    if tool.takes.iter().any(|field| field.name == CONSISTENCY) {
        tool.gives.push(field::age());
    }
    tool
}

/// The tool of this name.
pub fn find(name: &str) -> Option<&'static Tool> {
    all().iter().find(|tool| tool.name == name)
}

/// Calls `tool`. Whatever goes wrong, a panic included, is in the result.
pub async fn call(
    service: &Service,
    caller: &Caller,
    tool: &'static Tool,
    arguments: Map<String, Value>,
) -> ToolResult {
    let age = OnceLock::new();
    let run = async {
        let args = Args::new(tool.name, &tool.takes, arguments, service.limits())?;
        (tool.run)(Call { service, caller, args, age: &age }).await
    };
    let began = Instant::now();
    let ended = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(tool = tool.name, "a tool panicked");
        Err(ServiceError::internal("internal error; the server's log has more"))
    });
    let outcome = ended.as_ref().map_or_else(|error| error.code.as_str(), |_| "ok");
    observe::call(tool.name, outcome, began.elapsed());
    match ended {
        Ok(object) => {
            let object = match age.get() {
                Some(Some(age)) => object.seconds(AGE, age.as_millis() as u64),
                Some(None) => object.null(AGE),
                None => object,
            };
            ToolResult { structured: object.finish(), error: None }
        }
        Err(error) => ToolResult::error(tool.name, &error),
    }
}

impl Tool {
    /// A JSON Schema of the arguments.
    pub fn input_schema(&self) -> Map<String, Value> {
        field::object_schema(&self.takes)
    }

    /// A JSON Schema of the structured result of a call that is no error.
    pub fn output_schema(&self) -> Map<String, Value> {
        field::object_schema(&self.gives)
    }

    /// Whether a call with these arguments may wait for something to happen.
    pub fn waits(&self, arguments: &Map<String, Value>) -> bool {
        self.takes.iter().any(|field| match field.name {
            // Waits by itself, and not only where asked to.
            "timeout_seconds" => true,
            "wait_seconds" => arguments.contains_key(field.name),
            _ => false,
        })
    }
}

impl ToolResult {
    /// What the agent reads.
    pub fn text(&self) -> &str {
        self.error.as_deref().unwrap_or(&self.structured)
    }

    /// A call that failed.
    pub(super) fn error(tool: &str, error: &ServiceError) -> ToolResult {
        let details = JsonObject::new()
            .text("code", error.code.as_str())
            .text("message", &error.message)
            .bool("retryable", error.is_retryable());
        ToolResult {
            structured: JsonObject::new().object("error", details).finish(),
            error: Some(format!("Error calling tool '{tool}': {}", error.message)),
        }
    }
}

impl Call<'_> {
    /// What comes with a write.
    fn context(&mut self) -> Result<Context, ServiceError> {
        let idempotency_key = self.args.idempotency_key()?;
        Ok(Context { actor: self.caller.actor.clone(), idempotency_key })
    }

    /// Answers a question of a tool that asks once.
    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
    ) -> Result<Answer, ServiceError> {
        let answered = self.service.ask(question, consistency).await?;
        if consistency == Consistency::Local {
            self.age.get_or_init(|| answered.age);
        }
        Ok(answered.answer)
    }

    async fn submit(&mut self, command: Command) -> Result<Reply, ServiceError> {
        let context = self.context()?;
        self.service.submit(command, context).await
    }
}

/// What a page holds where an agent does not ask for more: what fits beside its
/// other work into its context. The cursor leads on.
const PAGE_ROWS: usize = 100;
const PAGE_BYTES: usize = 64 * 1024;

/// And where it asks for more rows.
const PAGE_BYTES_ASKED: usize = 1024 * 1024;

/// A page of rows of which less is shown than is read.
fn whole_rows(page: Page) -> Page {
    Page { bytes: PAGE_BYTES_MAX, ..page }
}

/// The store gave an answer of another kind than was asked for.
fn mismatch() -> ServiceError {
    ServiceError::internal("the store answered another question")
}

/// An optional text, as `&str`.
fn text(text: &Option<Text>) -> Option<&str> {
    text.as_deref()
}
