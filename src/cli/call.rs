//! `call`: one tool call to a running node, for people and scripts.

use std::io::Read;
use std::process::ExitCode;

use serde_json::{Map, Value};

use super::target::Target;
use super::{Failure, print_json};

/// Call one tool of a running node and print what it answers, as JSON
///
/// Exit code 0: the tool answered; 1: it refused or no node could be reached.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tool's name, such as state_get
    tool: String,
    /// Its arguments as a JSON object; `-` reads them from standard input
    #[arg(default_value = "{}", value_name = "JSON")]
    arguments: String,
    /// Print this field of the answer alone, strings without quotes
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let text = match args.arguments.as_str() {
        "-" => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
            text
        }
        text => text.to_owned(),
    };
    let arguments: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("arguments: takes a JSON object: {error}")))?;
    let client = args.target.credentials.client().map_err(Failure::usage)?;
    let url = args.target.url();
    let answer = client.call(&url, &args.tool, arguments, args.target.timeout()).await;
    let answer = answer.map_err(Failure::run)?;
    if answer.is_error {
        eprintln!("{}", print_json(&answer.content));
        return Ok(ExitCode::FAILURE);
    }
    match &args.field {
        None => println!("{}", print_json(&answer.content)),
        Some(field) => match answer.content.get(field) {
            Some(Value::String(text)) => println!("{text}"),
            Some(value) => println!("{value}"),
            None => {
                let text = format!("--field: got {field:?}, which the answer lacks");
                return Err(Failure::run(text));
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}
