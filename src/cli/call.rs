//! `call`: one tool call to a running node, for people and scripts.

use std::io::Read;
use std::process::ExitCode;

use serde_json::{Map, Value};

use super::failure::CommandFailure;
use super::node_options::NodeOptions;
use super::output::pretty_json;

/// Call one tool of a running node and print its answer as JSON
///
/// The exit code is 0 if the tool answered, and 1 if it refused the call or no node could
/// be reached.
#[derive(Debug, clap::Args)]
pub struct CallArgs {
    /// The name of the tool, such as state_get
    tool: String,
    /// The arguments as a JSON object; `-` reads them from standard input
    #[arg(default_value = "{}", value_name = "JSON")]
    arguments: String,
    /// Print only this field of the answer, and strings without quotes
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    #[command(flatten)]
    node: NodeOptions,
}

/// Runs the command.
pub async fn run(args: CallArgs) -> Result<ExitCode, CommandFailure> {
    let text = match args.arguments.as_str() {
        "-" => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| CommandFailure::usage(format!("standard input: {error}")))?;
            text
        }
        text => text.to_owned(),
    };
    let arguments: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
        CommandFailure::usage(format!("arguments: expected a JSON object: {error}"))
    })?;
    let client = args.node.credentials.client().map_err(CommandFailure::usage)?;
    let url = args.node.url();
    let answer = client.call(&url, &args.tool, arguments, args.node.timeout()).await;
    let answer = answer.map_err(CommandFailure::run)?;
    if answer.is_error {
        eprintln!("{}", pretty_json(&answer.content));
        return Ok(ExitCode::FAILURE);
    }
    match &args.field {
        None => println!("{}", pretty_json(&answer.content)),
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
