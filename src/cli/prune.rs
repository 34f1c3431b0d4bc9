//! `prune`: removes runs that have been over for long enough.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::failure::CommandFailure;
use super::http_client::NodeClient;
use super::node_options::NodeOptions;
use crate::config::duration_ms;

/// Remove runs that have been over for long enough, with their steps and results
///
/// The service does so by itself after SIDECAR_RUN_RETENTION; this is for what must go sooner,
/// for example because the state is close to its quota. Children of a removed run stay.
#[derive(Debug, clap::Args)]
pub struct PruneArgs {
    /// How long ago they ended at least, such as 3600, 90m, 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = older_than)]
    older_than: Duration,
    /// Only runs with this status; may be given several times
    #[arg(long, value_enum)]
    status: Vec<EndedStatus>,
    /// Only runs of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EndedStatus {
    Done,
    Failed,
    Cancelled,
}

fn older_than(text: &str) -> Result<Duration, String> {
    match duration_ms(text) {
        Ok(Some(ms)) => Ok(Duration::from_millis(ms)),
        Ok(None) | Err(_) => Err("takes a time such as 3600, 90m, 24h or 7d".into()),
    }
}

/// Runs the command.
pub async fn run(args: PruneArgs) -> Result<ExitCode, CommandFailure> {
    let node = &args.node.node;
    let client = args.node.credentials.client(std::slice::from_ref(node));
    let client = client.map_err(CommandFailure::usage)?.with_tools(Some("all".into()));
    let prune = Prune { client, url: node.mcp_url(), args: &args };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = now.saturating_sub(args.older_than).as_secs_f64();
    let statuses = match &args.status[..] {
        [] => EndedStatus::value_variants(),
        some => some,
    };
    let mut removed = 0;
    for status in statuses {
        removed += prune.all_of(*status, before).await?;
    }
    println!("{}: {removed}", if args.dry_run { "would be removed" } else { "removed" });
    Ok(ExitCode::SUCCESS)
}

struct Prune<'a> {
    client: NodeClient,
    url: String,
    args: &'a PruneArgs,
}

impl Prune<'_> {
    /// Removes the runs of one status that ended before the time `before`, in Unix seconds.
    async fn all_of(&self, status: EndedStatus, before: f64) -> Result<u64, CommandFailure> {
        let status = status.to_possible_value().map(|value| value.get_name().to_owned());
        let mut removed = 0;
        let mut cursor = Value::Null;
        loop {
            let name = self.args.name.as_deref();
            let wanted = json!({"status": status, "name": name, "cursor": cursor});
            let page = self.call("workflow_discover", wanted).await?;
            for run in page["runs"].as_array().into_iter().flatten() {
                if run["updated_at"].as_f64().is_some_and(|ended_at| ended_at < before) {
                    removed += self.one(run).await?;
                }
            }
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                return Ok(removed);
            }
        }
    }

    /// Returns the number of runs removed: none if somebody else was faster.
    async fn one(&self, run: &Value) -> Result<u64, CommandFailure> {
        if self.args.dry_run {
            let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
            println!("{} {} {}", text("run_id"), text("status"), text("name"));
            return Ok(1);
        }
        let removed = self.ask("workflow_delete", json!({"run_id": run["run_id"]})).await?;
        Ok(u64::from(removed.is_ok_and(|answer| answer["ok"] == true)))
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, CommandFailure> {
        self.ask(tool, arguments).await?.map_err(CommandFailure::run)
    }

    /// The answer of the tool, or the text with which it refused.
    async fn ask(
        &self,
        tool: &str,
        arguments: Value,
    ) -> Result<Result<Value, String>, CommandFailure> {
        let arguments = match arguments {
            Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        };
        let timeout = self.args.node.timeout();
        let answer = self.client.call(&self.url, tool, arguments, timeout).await;
        let answer = answer.map_err(CommandFailure::run)?;
        Ok(if answer.is_error { Err(answer.content.to_string()) } else { Ok(answer.content) })
    }
}
