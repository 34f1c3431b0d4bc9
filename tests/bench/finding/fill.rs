//! Filling a state with many rows, through pipelines to all processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream;
use mcp_state_sidecar::proto::state;
use mcp_state_sidecar::proto::state::command::Command;
use mcp_state_sidecar::proto::state::reply::Reply;

use crate::Result;
use crate::grpc::{Ended, GrpcClient};
use crate::servers::Servers;

/// Two keep a single process busy; three nodes get one each.
const PIPELINES: usize = 3;

/// Carries out `command` for each number below `count`, and gives the replies in
/// any order. A command is made as it is sent.
pub async fn fill(
    servers: &Servers,
    count: usize,
    command: impl Fn(usize) -> Command + Send + Sync + 'static,
) -> Result<Vec<Reply>> {
    let (next, command) = (Arc::new(AtomicU64::new(0)), Arc::new(command));
    let mut tasks = Vec::new();
    for number in 0..PIPELINES {
        let mut client = GrpcClient::connect(servers.grpc(number)).await?;
        let (next, command) = (next.clone(), command.clone());
        tasks.push(tokio::spawn(async move {
            let commands = stream::iter(std::iter::from_fn(move || {
                let number = next.fetch_add(1, Ordering::Relaxed);
                (number < count as u64).then(|| (number, command(number as usize)))
            }));
            let mut ended = client.pipeline(commands).await?;
            let mut replies = Vec::new();
            while let Some(next) = ended.next().await {
                match next? {
                    (_, Ended::Replied(reply)) => replies.push(reply),
                    (_, Ended::Faulted(fault)) => return Err(format!("{fault:?}").into()),
                }
            }
            Result::Ok(replies)
        }));
    }
    let mut replies = Vec::new();
    for task in tasks {
        replies.extend(task.await??);
    }
    match replies.len() == count {
        true => Ok(replies),
        false => Err(format!("{} of {count} commands were carried out", replies.len()).into()),
    }
}

/// A run of this name with nothing else said.
pub fn run(name: &str) -> state::Create {
    state::Create { name: name.to_owned(), ..state::Create::default() }
}

/// A small value under `key`.
pub fn key(key: String) -> state::Set {
    state::Set { key, value: "1".to_owned(), ..state::Set::default() }
}

pub fn tag(name: &str) -> state::Tag {
    state::Tag { name: name.to_owned(), value: "yes".to_owned() }
}

/// The run that was created.
pub fn run_id(reply: &Reply) -> Result<String> {
    match reply {
        Reply::Created(created) => Ok(created.run_id.clone()),
        other => Err(format!("{other:?}").into()),
    }
}
