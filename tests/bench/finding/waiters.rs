//! Many callers that wait for a run or a lease, on all processes evenly. Each is
//! a call of its own; a connection carries a hundred of them.

use std::time::{Duration, Instant};

use mcp_state_sidecar::proto::state::command::Command;
use mcp_state_sidecar::proto::state::reply::Reply;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::Result;
use crate::grpc::GrpcClient;
use crate::position::Position;
use crate::servers::Servers;

/// The longest wait that the program grants.
const WAIT: Duration = Duration::from_secs(55);

/// Calls on one connection.
const PER_CONNECTION: usize = 100;

/// How often it is looked whether all have settled, at most [`LOOKS_MAX`] times.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS_MAX: usize = 40;

/// Entries between two looks that others write: heartbeats of a term, sweeps.
const QUIET_ENTRIES: u64 = 5;

/// Callers that wait until they are dropped.
pub struct Waiters {
    _tasks: JoinSet<()>,
    granted: UnboundedReceiver<Result<Instant>>,
}

impl Waiters {
    /// Starts `count` of them, and waits until the log grows no more by their
    /// coming: two looks at least.
    pub async fn start(
        servers: &Servers,
        count: usize,
        command: impl Fn(usize) -> Command,
    ) -> Result<Waiters> {
        let (grants, granted) = unbounded_channel();
        let mut tasks = JoinSet::new();
        let mut clients = Vec::new();
        for number in 0..count.div_ceil(PER_CONNECTION).max(servers.count()) {
            clients.push(GrpcClient::connect(servers.grpc(number)).await?);
        }
        for number in 0..count {
            let client = clients[number % clients.len()].clone();
            tasks.spawn(wait(client, command(number), grants.clone()));
        }
        let mut waiters = Waiters { _tasks: tasks, granted };
        waiters.settle(servers).await?;
        Ok(waiters)
    }

    async fn settle(&mut self, servers: &Servers) -> Result<()> {
        let mut position = Position::of(servers).await?;
        let mut before = position.log_index().await?;
        for look in 0..LOOKS_MAX {
            tokio::time::sleep(LOOK).await;
            let index = position.log_index().await?;
            if look > 0 && index <= before + QUIET_ENTRIES {
                break;
            }
            before = index;
        }
        match self.granted.try_recv() {
            Ok(Ok(_)) => Err("a caller did not need to wait".into()),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// When each was granted something, of those that were within `time`.
    pub async fn granted_within(&mut self, time: Duration) -> Result<Vec<Instant>> {
        tokio::time::sleep(time).await;
        let mut moments = Vec::new();
        while let Ok(granted) = self.granted.try_recv() {
            moments.push(granted?);
        }
        Ok(moments)
    }
}

async fn wait(mut client: GrpcClient, command: Command, grants: UnboundedSender<Result<Instant>>) {
    let granted = loop {
        match client.wait(command.clone(), WAIT).await {
            Ok(reply) if is_grant(&reply) => break Ok(Instant::now()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    // Nobody listens any more once the measurement is over.
    let _ = grants.send(granted);
}

fn is_grant(reply: &Reply) -> bool {
    match reply {
        Reply::Claimed(claimed) => claimed.claimed,
        Reply::Acquired(acquired) => acquired.acquired,
        _ => false,
    }
}
