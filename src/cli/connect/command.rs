//! The command `connect`: it reads messages from standard input, carries each to a node, and
//! writes the answers to standard output.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, mpsc};

use super::forwarder::MessageForwarder;
use super::requests::CarriedRequests;
use crate::api::mcp::{MessageLine, MessageLines};
use crate::cli::failure::CommandFailure;
use crate::cli::node_options::{Credentials, tool_list};
use crate::config::NodeAddress;

/// How many messages may be under way at once. An agent has a few.
const IN_FLIGHT_MAX: usize = 64;

/// The longest message, which is also the longest body that a node accepts.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Speak MCP on standard input and output, answered by running nodes
///
/// This is for MCP clients that can only start programs. If several nodes are named and one
/// is down, the next one is called.
#[derive(Debug, clap::Args)]
pub struct ConnectArgs {
    /// The MCP addresses of nodes (SIDECAR_PORT), as HOST:PORT or as URLs with http:// or https://
    #[arg(required = true, value_name = "ADDRESS")]
    nodes: Vec<NodeAddress>,
    /// The tools that the nodes are to offer: a profile such as worker, or names with commas
    #[arg(long, value_name = "LIST", value_parser = tool_list)]
    tools: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

/// Runs the command until standard input ends.
pub async fn run(args: ConnectArgs) -> Result<ExitCode, CommandFailure> {
    let client = args.credentials.client(&args.nodes).map_err(CommandFailure::usage)?;
    let client = client.with_tools(args.tools);
    let nodes = args.nodes.iter().map(NodeAddress::mcp_url).collect();
    let forwarder = Arc::new(MessageForwarder::new(client, nodes));
    let (answers, written) = mpsc::channel::<String>(IN_FLIGHT_MAX);
    let writer = tokio::spawn(write_lines(written));
    let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let requests = CarriedRequests::default();
    let mut lines = MessageLines::new(tokio::io::stdin(), LINE_BYTES_MAX);
    let unreadable = |error| CommandFailure::run(format!("standard input: {error}"));
    while let Some(line) = lines.next().await.map_err(unreadable)? {
        let text = match line {
            MessageLine::Message(line) => String::from_utf8_lossy(line).into_owned(),
            MessageLine::Refused(answer) => {
                // Sending fails only if the client has gone.
                let _ = answers.send(answer).await;
                continue;
            }
        };
        let message: Value = serde_json::from_str(&text)
            .map_err(|error| CommandFailure::run(format!("standard input: {error}")))?;
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let (forwarder, answers) = (forwarder.clone(), answers.clone());
        let request = requests.begin(&message);
        tokio::spawn(async move {
            // Dropping a call that is under way closes its connection, which tells the
            // node. A cancelled call gets no answer.
            let carried = forwarder.carry(&message, &text, &request, &answers);
            if let Some(answer) = request.token.run_until_cancelled(carried).await.flatten() {
                let _ = answers.send(answer).await;
            }
            drop((request, slot));
        });
    }
    drop(answers);
    requests.cancel_waiting();
    // The channel stays open until the answers that are under way have been written.
    match writer.await {
        Ok(Ok(())) | Err(_) => Ok(ExitCode::SUCCESS),
        Ok(Err(error)) => Err(CommandFailure::run(format!("standard output: {error}"))),
    }
}

async fn write_lines(mut lines: mpsc::Receiver<String>) -> std::io::Result<()> {
    let mut output = tokio::io::stdout();
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        output.write_all(line.as_bytes()).await?;
        output.flush().await?;
    }
    Ok(())
}
