//! Plays a story on a store and returns the transcript: the same story with the
//! replies that came. The clock and the random numbers are controlled, so the same
//! story gives the same bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mcp_state_sidecar::access::Caller;
use mcp_state_sidecar::api::mcp::tools::{self, ToolResult};
use mcp_state_sidecar::machine::{Command, Reply};
use mcp_state_sidecar::service::{Context, Options, RandomSource, Service};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::sweep;
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use crate::schema;
use crate::script::{self, Action};
use crate::stores::Factory;

/// When stories begin, in milliseconds since the Unix epoch.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// The seed of the random numbers, the same in every story.
pub const SEED: u64 = 7;

/// How long a call that was started may take to end.
const JOIN: Duration = Duration::from_secs(20);

/// A service over a fresh store, and the clock that drives it.
pub struct Stage {
    pub service: Service,
    pub clock: Arc<ManualClock>,
    nodes: Vec<Arc<dyn Store>>,
    firing: sweep::Options,
    close: BoxFuture<'static, ()>,
}

impl Stage {
    pub async fn set(store: Factory) -> Stage {
        let clock = ManualClock::at(BEGIN_MS);
        let opened = store(clock.clone()).await;
        let options = Options {
            random: RandomSource::seeded(SEED),
            clock: clock.clone(),
            ..Options::default()
        };
        let firing = sweep::Options { random: options.random.clone(), ..Default::default() };
        let service = Service::new(opened.store, options);
        Stage { service, clock, nodes: opened.nodes, firing, close: opened.close }
    }

    pub async fn clear(self) {
        self.close.await;
    }

    pub async fn sweep(&self) -> String {
        let command = Command::Sweep { limit: 1000 };
        let removed = match self.service.submit(command, Context::default()).await {
            Ok(Reply::Swept { removed, .. }) => removed,
            other => return format!("{other:?}"),
        };
        let mut fired = 0;
        for node in &self.nodes {
            fired += sweep::fire(&**node, &self.firing).await.expect("the node can be reached");
        }
        match fired {
            0 => format!("removed {removed}"),
            _ => format!("removed {removed}, fired {fired}"),
        }
    }
}

pub async fn play(story: &str, store: Factory) -> Result<String, String> {
    let (lines, after) = script::parse(story)?;
    let stage = Stage::set(store).await;
    let mut played = Played { stage, named: HashMap::new(), started: HashMap::new(), admin: true };
    let mut transcript = String::new();
    for line in lines {
        transcript.push_str(&line.before);
        transcript.push_str(&line.source);
        transcript.push('\n');
        if let Some(reply) = played.act(line.action).await? {
            transcript.push_str(&format!("  {reply}\n"));
        }
    }
    transcript.push_str(&after);
    played.stage.clear().await;
    Ok(transcript)
}

struct Played {
    stage: Stage,
    named: HashMap<String, Value>,
    started: HashMap<String, JoinHandle<Option<ToolResult>>>,
    admin: bool,
}

impl Played {
    async fn act(&mut self, action: Action) -> Result<Option<String>, String> {
        match action {
            Action::Call { name, tool, arguments } => {
                let result = self.begin(&tool, &arguments)?.await.map_err(|e| e.to_string())?;
                let result = result.ok_or_else(|| format!("there is no tool '{tool}'"))?;
                if let Some(name) = name {
                    let reply = serde_json::from_str(&result.structured);
                    self.named.insert(name, reply.map_err(|error| error.to_string())?);
                }
                shown(&tool, &result).map(Some)
            }
            Action::Start { name, tool, arguments } => {
                let call = self.begin(&tool, &arguments)?;
                self.started.insert(name, call);
                Ok(None)
            }
            Action::Join { name } => {
                let call = self.started.remove(&name).ok_or(format!("'{name}' was not started"))?;
                let ended = tokio::time::timeout(JOIN, call).await;
                let ended = ended.map_err(|_| format!("'{name}' does not end"))?;
                match ended.map_err(|error| error.to_string())? {
                    Some(result) => shown("", &result).map(Some),
                    None => Err(format!("'{name}' called no tool")),
                }
            }
            Action::AdvanceMs(ms) => {
                self.stage.clock.advance_ms(ms);
                Ok(None)
            }
            Action::Sweep => Ok(Some(self.stage.sweep().await)),
            Action::As { admin } => {
                self.admin = admin;
                Ok(None)
            }
        }
    }

    fn begin(&self, tool: &str, arguments: &str) -> Result<JoinHandle<Option<ToolResult>>, String> {
        let arguments = self.filled_in(arguments)?;
        let arguments: Map<String, Value> = serde_json::from_str(&script::repeated(&arguments))
            .map_err(|error| format!("arguments of {tool}: {error}: {arguments}"))?;
        let service = self.stage.service.clone();
        let caller = Caller { actor: None, admin: self.admin };
        let tool = tools::find(tool);
        Ok(tokio::spawn(
            async move { Some(tools::call(&service, &caller, tool?, arguments).await) },
        ))
    }

    /// Replaces each `$name.field` by that field of an earlier reply.
    fn filled_in(&self, text: &str) -> Result<String, String> {
        let mut text = text.to_string();
        for (name, reply) in &self.named {
            let fields = reply.as_object().ok_or_else(|| format!("'{name}' is no object"))?;
            // Longer names come first, since one name may begin with another.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(field, _)| std::cmp::Reverse(field.len()));
            for (field, value) in fields {
                let value = value.as_str().map_or_else(|| value.to_string(), String::from);
                text = text.replace(&format!("${name}.{field}"), &value);
            }
        }
        match text.contains("\"$") {
            true => Err(format!("something was not named before: {text}")),
            false => Ok(text),
        }
    }
}

fn shown(tool: &str, result: &ToolResult) -> Result<String, String> {
    if result.error.is_some() {
        let reply: Value = serde_json::from_str(&result.structured).map_err(|e| e.to_string())?;
        let error = &reply["error"];
        let text = |field: &str| error[field].as_str().unwrap_or_default().to_string();
        return Ok(format!("error {}: {}", text("code"), text("message")));
    }
    let reply: Value = serde_json::from_str(&result.structured)
        .map_err(|error| format!("{tool} gave no JSON: {error}: {}", result.structured))?;
    if let Some(tool) = tools::find(tool) {
        schema::check(&tool.result_schema(), &reply)
            .map_err(|why| format!("the reply of {} breaks its schema: {why}", tool.name))?;
    }
    match tool {
        "sidecar_health" => Ok(same_everywhere(reply).to_string()),
        _ => Ok(ageless(&result.structured)),
    }
}

/// A local read ends with the age of the state that it saw, which differs between
/// stores and between runs.
fn ageless(reply: &str) -> String {
    match reply.split_once(",\"age_seconds\":") {
        Some((rest, _)) => format!("{rest},\"age_seconds\":\"…\"}}"),
        None => reply.to_owned(),
    }
}

/// The fields of health that only a node of a cluster has.
const OF_A_CLUSTER: [&str; 12] = [
    "cluster",
    "node",
    "role",
    "leader",
    "term",
    "last_log_index",
    "committed_index",
    "applied_index",
    "snapshot_index",
    "quorum",
    "caught_up",
    "members",
];

/// Health without the fields that differ between stores and between runs.
fn same_everywhere(mut health: Value) -> Value {
    if let Some(fields) = health.as_object_mut() {
        fields.retain(|name, _| !OF_A_CLUSTER.contains(&name.as_str()));
        fields.insert("backend".into(), "…".into());
        fields.insert("uptime_s".into(), "…".into());
        fields.insert("release".into(), "…".into());
    }
    health
}
