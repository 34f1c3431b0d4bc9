//! The rmcp handler: which tools there are, and what a call's result looks like
//! in the protocol.

use std::sync::{Arc, LazyLock};

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
    CustomRequest, CustomResult, DiscoverResult, ErrorCode, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool as RmcpTool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::in_flight::CancelledByClient;
use super::tools::{self, Tool, ToolAccess, ToolResult};
use crate::access::Caller;
use crate::nearest::nearest;
use crate::service::{Service, ServiceError};

/// What an agent is told before it calls anything.
pub const INSTRUCTIONS: &str = "Durable state shared by all agents: keys, workflows, leases, \
sessions, and the history of every change.

To have work done by any of several agents:
1. create: workflow_create registers the work and gives a run_id; put what is needed into input.
2. discover: workflow_discover(claimable: true) finds work, or workflow_claim_next finds and claims \
the best in one step (wait_seconds waits for some).
3. claim: workflow_claim takes a run; exactly one agent wins. Keep its claim_token and show it in \
every later call on the run.
4. checkpoint: workflow_checkpoint after each step, before the next one begins. ok: false means \
that another agent has taken over: stop. In long steps call workflow_heartbeat.
5. resume: right after claiming call workflow_resume. If last_step is above 0, a predecessor got \
that far: go on from there, do not start again.
End with workflow_complete, or workflow_fail to have it tried again.

To keep others away from something: lease_acquire, work, lease_renew in time, lease_release. Pass \
the lease's token as fence to writes, so that a write made after losing the lease is refused.
To change a key only if nobody else has: state_get, then state_set with if_revision.
To wait for a change: state_wait, not a loop of state_get.
At the start of a conversation: session_restore; before its end: session_save.

Errors carry a code. unavailable: nothing was written, try again. outcome_unknown: repeat the call \
with the same idempotency_key. So give writes that must not happen twice an idempotency_key.";

/// How long clients may cache the list of tools, in milliseconds. It changes only
/// with the program.
const LIST_TTL_MS: u64 = 300_000;

/// Serves one connection or one request. It is cheap to create.
#[derive(Clone)]
pub struct Handler {
    service: Service,
    /// Cancelled when the client has closed its side of a pipe: it then waits for
    /// nothing any more.
    hung_up: CancellationToken,
}

impl Handler {
    pub fn new(service: Service) -> Handler {
        Handler::until(service, CancellationToken::new())
    }

    /// A handler for a client that may close its side while calls are waiting.
    pub fn until(service: Service, hung_up: CancellationToken) -> Handler {
        Handler { service, hung_up }
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(
                Implementation::new("mcp-state-sidecar", env!("CARGO_PKG_VERSION"))
                    .with_title("MCP State Sidecar"),
            )
            .with_instructions(INSTRUCTIONS)
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let mut result = DiscoverResult::from_server_info(versions, self.get_info());
        result.ttl_ms = LIST_TTL_MS;
        Ok(result)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        static LIST: LazyLock<Vec<RmcpTool>> =
            LazyLock::new(|| tools::all().iter().map(rmcp_tool).collect());
        let result = ListToolsResult::with_all_items(LIST.clone());
        Ok(result.with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = tools::find(&request.name).ok_or_else(|| unknown_tool(&request.name))?;
        let caller = caller(&context);
        let arguments = request.arguments.unwrap_or_default();
        let hung_up = tool.waits(&arguments).then_some(&self.hung_up);
        let call = tools::call(&self.service, &caller, tool, arguments);
        // The cancellation is polled first. A command that is on its way is carried
        // out anyway, and what it grants to a caller that has gone is given back,
        // so its reply must not be accepted for such a caller.
        let result = tokio::select! {
            biased;
            () = cancelled(&context, hung_up) => {
                let error = ServiceError::unavailable("unavailable: the call was cancelled");
                ToolResult::failed(tool.name, &error)
            }
            result = call => result,
        };
        rmcp_result(result).map(CallToolResponse::Complete)
    }

    /// rmcp also calls this for a known method whose parameters it cannot read.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        match request.method.as_str() {
            "tools/call" => Err(ErrorData::invalid_params(
                "tools/call takes {\"name\": a string, \"arguments\": an object}",
                None,
            )),
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None)),
        }
    }
}

/// Who calls: over HTTP the caller that was authorized, over a pipe the user who
/// started this process.
fn caller(context: &RequestContext<RoleServer>) -> Caller {
    match context.extensions.get::<axum::http::request::Parts>() {
        Some(parts) => parts.extensions.get::<Caller>().cloned().unwrap_or_default(),
        None => Caller::local(),
    }
}

/// Ends when the client has gone or has cancelled the call, by this connection or
/// by another; or when it has hung up, if `hung_up` is given.
async fn cancelled(context: &RequestContext<RoleServer>, hung_up: Option<&CancellationToken>) {
    let parts = context.extensions.get::<axum::http::request::Parts>();
    let by_client = parts.and_then(|parts| parts.extensions.get::<CancelledByClient>());
    let by_client = by_client.map(|CancelledByClient(token)| token);
    let tokens = [Some(&context.ct), by_client, hung_up];
    let first = tokens.into_iter().flatten().map(|token| Box::pin(token.cancelled()));
    futures::future::select_all(first).await;
}

fn unknown_tool(name: &str) -> ErrorData {
    let hint = match nearest(name, tools::all().iter().map(|tool| tool.name)) {
        Some(near) => format!("; did you mean '{near}'?"),
        None => String::new(),
    };
    ErrorData::invalid_params(format!("Unknown tool: '{}'{hint}", tools::shortened(name)), None)
}

fn rmcp_result(result: ToolResult) -> Result<CallToolResult, ErrorData> {
    let content = vec![ContentBlock::text(result.text())];
    let structured = parse(&result.structured)
        .map_err(|error| ErrorData::internal_error(format!("result is not JSON: {error}"), None))?;
    let mut reply = match result.error {
        None => CallToolResult::success(content),
        Some(_) => CallToolResult::error(content),
    };
    reply.structured_content = Some(structured);
    Ok(reply)
}

/// Parses a result without serde_json's limit on depth. A result nests a few
/// levels deeper than the deepest value that is accepted, so it has a bound.
fn parse(text: &str) -> serde_json::Result<Value> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit();
    serde::Deserialize::deserialize(&mut parser)
}

fn rmcp_tool(tool: &Tool) -> RmcpTool {
    let annotations = match tool.access {
        ToolAccess::Read => ToolAnnotations::new().read_only(true),
        ToolAccess::Write { destructive, idempotent } => {
            ToolAnnotations::new().read_only(false).destructive(destructive).idempotent(idempotent)
        }
    };
    RmcpTool::new(tool.name, tool.description, Arc::new(tool.input_schema()))
        .with_title(tool.title)
        .with_raw_output_schema(Arc::new(tool.output_schema()))
        .with_annotations(annotations.open_world(false))
}
