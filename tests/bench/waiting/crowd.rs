//! A crowd of agents that wait for work, take it, and wait for more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::JoinSet;

use super::Seen;
use crate::Result;
use crate::http::McpClient;
use crate::servers::{NODES, Servers};

/// Agents that wait until they are dropped.
pub struct Crowd {
    tasks: JoinSet<Result<()>>,
    claimed: Arc<Mutex<HashMap<String, Seen>>>,
}

impl Crowd {
    /// Lets `count` agents wait, on all nodes evenly.
    pub async fn start(servers: &Servers, count: usize) -> Result<Crowd> {
        let mut crowd = Crowd { tasks: JoinSet::new(), claimed: Arc::default() };
        for number in 0..count {
            let client = McpClient::connect(servers.mcp(number)).await?;
            crowd.tasks.spawn(work(client, number, crowd.claimed.clone()));
        }
        Ok(crowd)
    }

    /// Ends them; gives when each run's claim was answered.
    pub fn stop(self) -> HashMap<String, Seen> {
        drop(self.tasks);
        std::mem::take(&mut self.claimed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// Takes one run after the other, and does nothing with it.
async fn work(
    mut client: McpClient,
    number: usize,
    claimed: Arc<Mutex<HashMap<String, Seen>>>,
) -> Result<()> {
    let arguments = format!(r#"{{"agent_id":"agent{number}","name":"work","wait_seconds":55}}"#);
    loop {
        let answer = client.answer("workflow_claim_next", &arguments).await?;
        let seen = Seen { at: Instant::now(), node: number % NODES };
        let Some(run_id) = answer["run_id"].as_str() else { continue };
        let mut claimed = claimed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        claimed.insert(run_id.to_owned(), seen);
    }
}
