//! The rmcp handler: every request of the protocol, handed on to the part that answers
//! it, and what a call's result looks like in the protocol.

use std::sync::{Arc, LazyLock};

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams,
    CancelledNotificationParam, CompleteRequestParams, CompleteResult, CustomRequest, CustomResult,
    DiscoverResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    InitializeRequestParams, InitializeResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, RequestId, ServerConfig, ServerResult,
    SubscribeRequestParams, SubscriptionFilter, Tool as RmcpTool, ToolAnnotations,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio_util::sync::CancellationToken;

use super::call_result::rmcp_result;
use super::progress::{ProgressReport, reporting};
use super::resources::{self, ResourceReader};
use super::subscriptions::{ListenRequest, PipeSubscriptions, listen};
use super::tasks::{TaskReader, WaitTask};
use super::tools::{self, TOOLSET_HEADER, Tool, ToolAccess, ToolResult, Toolset};
use super::{completion, info, methods, prompts};
use crate::access::Caller;
use crate::nearest::nearest;
use crate::service::{CancellableCall, Service};
use crate::store::cluster::CallId;

/// How long clients may cache the list of tools, in milliseconds. It changes only
/// with the program.
const LIST_TTL_MS: u64 = 300_000;

/// Serves one request. The next one is served by a clone, which is cheap to make.
#[derive(Clone)]
pub struct Handler {
    service: Service,
    /// The tools that are offered where a request does not choose.
    toolset: Toolset,
    /// Cancelled when the server stops: streams then end.
    stopping: CancellationToken,
    /// `None` over HTTP, where a client has no stream of its own.
    pipe: Option<PipeClient>,
    listen: ListenRequest,
}

/// The client at the other end of a pipe.
#[derive(Clone)]
struct PipeClient {
    /// Cancelled when the client has closed its side: it then waits for nothing any more.
    hung_up: CancellationToken,
    subscriptions: PipeSubscriptions,
    /// What tells its calls from those of other clients.
    session: Arc<str>,
}

impl Handler {
    /// A handler for requests over HTTP. `stopping` ends their streams.
    pub fn new(service: Service, toolset: Toolset, stopping: CancellationToken) -> Handler {
        Handler { service, toolset, stopping, pipe: None, listen: ListenRequest::default() }
    }

    /// A handler for a client that may close its side while calls are waiting.
    pub fn of_pipe(service: Service, toolset: Toolset, hung_up: CancellationToken) -> Handler {
        let session = format!("{:032x}", rand::random::<u128>()).into();
        let pipe = PipeClient { hung_up, subscriptions: PipeSubscriptions::default(), session };
        Handler { pipe: Some(pipe), ..Handler::new(service, toolset, CancellationToken::new()) }
    }

    fn hung_up(&self) -> Option<&CancellationToken> {
        self.pipe.as_ref().map(|pipe| &pipe.hung_up)
    }

    /// The call itself, if its client may cancel it by another message: over HTTP the one
    /// that was begun with its request.
    fn cancellable(&self, context: &RequestContext<RoleServer>) -> Option<Arc<CancellableCall>> {
        match &self.pipe {
            Some(pipe) => {
                Some(self.service.begin_cancellable(call_id(&pipe.session, &context.id)?))
            }
            None => {
                context.extensions.get::<axum::http::request::Parts>()?.extensions.get().cloned()
            }
        }
    }

    /// The tools that this request may see and call: over HTTP those that its headers
    /// choose.
    fn toolset(&self, context: &RequestContext<RoleServer>) -> Toolset {
        let parts = context.extensions.get::<axum::http::request::Parts>();
        let chosen = parts.and_then(|parts| parts.extensions.get::<Toolset>());
        chosen.copied().unwrap_or(self.toolset)
    }

    fn task_reader<'a>(
        &'a self,
        caller: &'a Caller,
        context: &RequestContext<RoleServer>,
    ) -> TaskReader<'a> {
        let asks_user = context.client_capabilities().is_some_and(|it| it.elicitation.is_some());
        TaskReader { service: &self.service, caller, toolset: self.toolset(context), asks_user }
    }

    fn reader<'a>(
        &'a self,
        caller: &'a Caller,
        context: &RequestContext<RoleServer>,
    ) -> ResourceReader<'a> {
        ResourceReader { service: &self.service, caller, toolset: self.toolset(context) }
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        info::server_config(self.toolset)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        result.instructions = Some(info::instructions(self.toolset(&context)));
        // Tasks belong to the newest revision.
        result.capabilities.extensions = None;
        if let Some(resources) = &mut result.capabilities.resources {
            // A client of an older revision would be sent messages that it has not asked
            // for, and over HTTP there is no stream for them.
            resources.list_changed = None;
            resources.subscribe = self.pipe.is_some().then_some(true);
        }
        Ok(result)
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let info = info::server_config(self.toolset(&context));
        let mut result = DiscoverResult::from_server_info(versions, info);
        result.ttl_ms = LIST_TTL_MS;
        result.cache_scope = list_scope(&context);
        Ok(result)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        methods::refuse_cursor(request)?;
        static LIST: LazyLock<Vec<RmcpTool>> =
            LazyLock::new(|| tools::all().iter().map(rmcp_tool).collect());
        let toolset = self.toolset(&context);
        let offered = LIST.iter().filter(|tool| toolset.find(&tool.name).is_some());
        let result = ListToolsResult::with_all_items(offered.cloned().collect());
        Ok(result.with_ttl_ms(LIST_TTL_MS).with_cache_scope(list_scope(&context)))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let toolset = self.toolset(&context);
        let tool = toolset.find(&request.name);
        let tool = tool.ok_or_else(|| unknown_tool(&request.name, toolset))?;
        let caller = caller(&context);
        let arguments = request.arguments.unwrap_or_default();
        if knows_tasks(&context)
            && let Some(task) = WaitTask::of_call(tool, &arguments)
        {
            return task.begin(&self.task_reader(&caller, &context)).await;
        }
        let hung_up = self.hung_up().filter(|_| tool.waits(&arguments));
        let cancellable = self.cancellable(&context);
        let service = match cancellable.clone().filter(|_| tool.grants()) {
            Some(call) => self.service.on_behalf_of(call),
            None => self.service.clone(),
        };
        let report = ProgressReport::asked_for(tool, &arguments, &context);
        let call = reporting(report, tools::call(&service, &caller, tool, arguments));
        // The cancellation is polled first. A command that is on its way is carried
        // out anyway, and what it grants to a caller that has gone is given back,
        // so its reply must not be accepted for such a caller.
        let result = tokio::select! {
            biased;
            () = cancelled(&context, cancellable.as_deref(), hung_up) => ToolResult::cancelled(tool.name),
            result = call => result,
        };
        rmcp_result(result).map(CallToolResponse::Complete)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let (caller, task) = (caller(&context), request.task_id.parse::<WaitTask>()?);
        task.get(&self.task_reader(&caller, &context)).await.map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (caller, task) = (caller(&context), request.task_id.parse::<WaitTask>()?);
        task.update(&self.task_reader(&caller, &context), request.input_responses).await
    }

    /// Ends the waiting, which is the client's alone. The run goes on.
    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (caller, task) = (caller(&context), request.task_id.parse::<WaitTask>()?);
        task.check(&self.task_reader(&caller, &context)).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let caller = caller(&context);
        let reader = self.reader(&caller, &context);
        resources::list(&reader, request.and_then(|request| request.cursor)).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        methods::refuse_cursor(request)?;
        let templates = resources::rmcp_templates(self.toolset(&context));
        let result = ListResourceTemplatesResult::with_all_items(templates);
        Ok(result.with_ttl_ms(LIST_TTL_MS).with_cache_scope(list_scope(&context)))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let caller = caller(&context);
        let reader = self.reader(&caller, &context);
        resources::read(&reader, request.uri).await.map(ReadResourceResponse::Complete)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let source =
            completion::source(&request.r#ref, &request.argument.name, self.toolset(&context))?;
        let caller = caller(&context);
        let reader = self.reader(&caller, &context);
        resources::complete(&reader, source, &request.argument.value).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        methods::refuse_cursor(request)?;
        let offered = prompts::offered(self.toolset(&context));
        let list = offered.map(prompts::Prompt::rmcp_prompt).collect();
        let result = ListPromptsResult::with_all_items(list);
        Ok(result.with_ttl_ms(LIST_TTL_MS).with_cache_scope(list_scope(&context)))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompt = prompts::find(&request.name, self.toolset(&context))?;
        prompt.get(request.arguments.unwrap_or_default()).map(GetPromptResponse::Complete)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        // The request's headers are not known here. That it asks for less than the operator
        // offers is its own choice, so only the operator's bounds count.
        Some(self.listen.accept(&self.service, self.toolset, requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let stopping: Vec<_> = [&self.stopping].into_iter().chain(self.hung_up()).collect();
        listen(&self.listen, context, &stopping).await
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        match &self.pipe {
            Some(pipe) => {
                let (service, toolset) = (&self.service, self.toolset);
                pipe.subscriptions.subscribe(service, toolset, context.peer, request.uri)
            }
            None => Err(methods::absent("resources/subscribe")),
        }
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        match &self.pipe {
            Some(pipe) => pipe.subscriptions.unsubscribe(&request.uri),
            None => return Err(methods::absent("resources/unsubscribe")),
        }
        Ok(())
    }

    /// rmcp has cancelled the request already where it is still under way. This gives back
    /// what a call was granted whose answer has crossed with its cancellation.
    async fn on_cancelled(
        &self,
        cancelled: CancelledNotificationParam,
        _context: NotificationContext<RoleServer>,
    ) {
        let id = cancelled.request_id.as_ref();
        if let Some((pipe, id)) = self.pipe.as_ref().zip(id)
            && let Some(id) = call_id(&pipe.session, id)
        {
            self.service.cancel(id);
        }
    }

    /// rmcp also calls this for a known method whose parameters it cannot read.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let is_latest = is_latest(&context);
        if let Some(call) = methods::call_with_text(&request) {
            let mut result = ServerResult::from(self.call_tool(call, context).await?);
            if !is_latest {
                result.strip_result_type_for_legacy_peer();
            }
            let result = serde_json::to_value(result).map(CustomResult::new);
            return result.map_err(|error| ErrorData::internal_error(error.to_string(), None));
        }
        Err(match is_latest {
            true => methods::unrecognised_by_latest(&request),
            false => methods::unrecognised(&request),
        })
    }
}

/// Whether the client has said in this request that it knows tasks, which belong to the
/// newest revision.
fn knows_tasks(context: &RequestContext<RoleServer>) -> bool {
    is_latest(context) && context.client_capabilities().is_some_and(|it| it.supports_tasks())
}

fn is_latest(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// Who may be given a list that depends on the tools that are offered. A request that
/// has chosen them by a header has a list of its own.
fn list_scope(context: &RequestContext<RoleServer>) -> CacheScope {
    let parts = context.extensions.get::<axum::http::request::Parts>();
    match parts.is_some_and(|parts| parts.headers.contains_key(TOOLSET_HEADER)) {
        true => CacheScope::Private,
        false => CacheScope::Public,
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
async fn cancelled(
    context: &RequestContext<RoleServer>,
    call: Option<&CancellableCall>,
    hung_up: Option<&CancellationToken>,
) {
    let by_another = async {
        match call {
            Some(call) => call.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let hung_up = async {
        match hung_up {
            Some(hung_up) => hung_up.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = context.ct.cancelled() => {}
        () = by_another => {}
        () = hung_up => {}
    }
}

/// The name of a request of the client in `session`.
fn call_id(session: &str, id: &RequestId) -> Option<CallId> {
    CallId::new(session, serde_json::to_string(id).ok()?)
}

fn unknown_tool(name: &str, toolset: Toolset) -> ErrorData {
    if let Some(Tool { name, .. }) = tools::find(name) {
        let why = format!(
            "Unknown tool: '{name}' is not among the tools offered here; SIDECAR_TOOLS or the \
             header X-MCP-Toolsets can offer it"
        );
        return ErrorData::invalid_params(why, None);
    }
    let hint = match nearest(name, toolset.tools().map(|tool| tool.name)) {
        Some(near) => format!("; did you mean '{near}'?"),
        None => String::new(),
    };
    ErrorData::invalid_params(format!("Unknown tool: '{}'{hint}", tools::shortened(name)), None)
}

fn rmcp_tool(tool: &Tool) -> RmcpTool {
    // What is the default of the protocol is left out: a tool may write and remove, and must
    // not be repeated.
    let hints = ToolAnnotations::new().open_world(false);
    let annotations = match tool.access {
        ToolAccess::Read => hints.read_only(true),
        ToolAccess::Write { destructive: true, idempotent: false } => hints,
        ToolAccess::Write { destructive: true, idempotent: true } => hints.idempotent(true),
        ToolAccess::Write { destructive: false, idempotent: false } => hints.destructive(false),
        ToolAccess::Write { destructive: false, idempotent: true } => {
            hints.destructive(false).idempotent(true)
        }
    };
    RmcpTool::new(tool.name, tool.description, Arc::new(tool.input_schema()))
        .with_title(tool.title)
        .with_raw_output_schema(Arc::new(tool.output_schema()))
        .with_annotations(annotations)
}
