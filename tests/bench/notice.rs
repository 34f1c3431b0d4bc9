//! Notice: how long after a change on one process a call that waits for it on
//! another ends. One pair of clients, one change at a time.

use std::time::{Duration, Instant};

use crate::Result;
use crate::figures::Row;
use crate::http::McpClient;
use crate::load::{Load, Operation, Protocol};
use crate::servers::Servers;

/// How long the waiting call has to get there before the change is made. One
/// that comes later finds the change made, and the figure is too good.
const HEAD_START: Duration = Duration::from_millis(5);

/// Changes on the first process, noticed on the last one.
pub async fn measure(servers: &Servers, time: Duration) -> Result<Row> {
    let load = Load { protocol: Protocol::Mcp, operation: Operation::Notice, clients: 1, time };
    let last = servers.count() - 1;
    let mut here = McpClient::connect(servers.mcp(0)).await?;
    let mut there = McpClient::connect(servers.mcp(last)).await?;
    let mut revision = here.change("notice").await?;
    let mut took = Vec::new();
    let began = Instant::now();
    while began.elapsed() < time {
        let waiting = tokio::spawn(async move {
            there.wait("notice", revision).await?;
            Result::Ok((there, Instant::now()))
        });
        tokio::time::sleep(HEAD_START).await;
        let changed = Instant::now();
        revision = here.change("notice").await?;
        let noticed;
        (there, noticed) = waiting.await??;
        took.push(noticed.saturating_duration_since(changed));
    }
    Ok(Row::new(servers, &load, took, began.elapsed()))
}
