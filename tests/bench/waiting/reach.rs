//! Whether nodes at which as many calls wait as may are reached by others, each
//! on a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Result;
use crate::figures::millis;
use crate::http::McpClient;
use crate::servers::{NODES, Servers, answers};

/// Calls that want to wait at each node: more than the 4,096 that may.
const WAITERS: usize = 4_200;

/// Until all wait or are refused.
const SETTLED: Duration = Duration::from_secs(10);

/// What is not answered by then is not answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Lets more calls wait than may, and prints what is answered meanwhile.
pub async fn measure(servers: &Servers) -> Result<()> {
    let mut holder = McpClient::connect(servers.mcp(0)).await?;
    let lease = r#"{"resource_id":"r","holder_id":"h","ttl_seconds":600}"#;
    holder.call("lease_acquire", lease).await?;
    drop(holder);
    let ended = Arc::new(AtomicUsize::new(0));
    let mut waiters = JoinSet::new();
    for number in 0..WAITERS * NODES {
        let (host, ended) = (servers.mcp(number), ended.clone());
        waiters.spawn(async move {
            // A refusal ends it; whatever it is, the call waits no more.
            let _ = wait(host, number).await;
            ended.fetch_add(1, Ordering::Relaxed);
        });
    }
    tokio::time::sleep(SETTLED).await;
    let (asked, ended) = (WAITERS * NODES, ended.load(Ordering::Relaxed));
    println!("  {asked} calls want to wait at three nodes; {ended} were refused");
    for node in 0..NODES {
        let host = servers.mcp(node);
        let healthz = timed(answers(&host, "/healthz")).await;
        let readyz = timed(answers(&host, "/readyz")).await;
        let renewed = timed(renew(host, lease)).await;
        println!(
            "  node {}: /healthz {healthz}, /readyz {readyz}, lease_renew {renewed}",
            node + 1
        );
    }
    Ok(())
}

async fn wait(host: String, number: usize) -> Result<()> {
    let mut client = McpClient::connect(host).await?;
    let arguments = format!(r#"{{"agent_id":"agent{number}","wait_seconds":55}}"#);
    client.call("workflow_claim_next", &arguments).await?;
    Ok(())
}

async fn renew(host: String, lease: &str) -> Result<bool> {
    let mut client = McpClient::connect(host).await?;
    Ok(client.answer("lease_renew", lease).await?["renewed"] == true)
}

/// How long it took to be answered, as text.
async fn timed(call: impl Future<Output = Result<bool>>) -> String {
    let began = Instant::now();
    match timeout(ANSWERED_WITHIN, call).await {
        Ok(Ok(true)) => format!("{:.1} ms", millis(began.elapsed())),
        Ok(Ok(false)) => "answered no".to_owned(),
        Ok(Err(error)) => format!("failed: {error}"),
        Err(_) => format!("no answer in {} s", ANSWERED_WITHIN.as_secs()),
    }
}
