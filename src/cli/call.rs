//! `call`: one tool call to a running node, for people and scripts.

use std::process::ExitCode;

use serde_json::Value;

use super::call_arguments::parse_arguments;
use super::failure::CommandFailure;
use super::node_options::{NodeOptions, tool_list};
use super::output::pretty_json;

/// Call one tool of a running node and print its answer as JSON
///
/// The exit code is 0 if the tool answered, and 1 if it refused the call or no node could
/// be reached.
#[derive(Debug, clap::Args)]
pub struct CallArgs {
    /// The name of the tool, such as state_get
    tool: String,
    /// Its arguments: NAME=TEXT, NAME:=JSON, or all in one JSON object; `-` reads that from standard input
    #[arg(value_name = "ARGUMENTS")]
    arguments: Vec<String>,
    /// Print only this field of the answer, and strings without quotes
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// The tools to choose from: a profile such as worker, or names with commas
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = tool_list)]
    tools: String,
    #[command(flatten)]
    node: NodeOptions,
}

/// Runs the command.
pub async fn run(args: CallArgs) -> Result<ExitCode, CommandFailure> {
    let arguments = parse_arguments(&args.arguments).map_err(CommandFailure::usage)?;
    let node = &args.node.node;
    let client = args.node.credentials.client(std::slice::from_ref(node));
    let client = client.map_err(CommandFailure::usage)?.with_tools(Some(args.tools));
    let url = node.mcp_url();
    let answer = client.call(&url, &args.tool, arguments, args.node.timeout()).await;
    let answer = answer.map_err(CommandFailure::run)?;
    if answer.is_error {
        eprintln!("{}", shown(&answer.content));
        return Ok(ExitCode::FAILURE);
    }
    match &args.field {
        None => println!("{}", shown(&answer.content)),
        Some(field) => match answer.content.get(field) {
            Some(Value::String(text)) => println!("{text}"),
            Some(value) => println!("{value}"),
            None => {
                let text = format!("--field: got {field:?}, which the answer does not have");
                return Err(CommandFailure::run(text));
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// The answer for people: JSON, or a text without quotes.
fn shown(answer: &Value) -> String {
    answer.as_str().map_or_else(|| pretty_json(answer), str::to_owned)
}
