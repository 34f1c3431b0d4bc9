//! Who carries a row: a system, and how its clients speak to it.

use prost::Message;

use super::call::{self, FRAME_BYTES, KEY, value};
use super::host::Limits;
use super::reference::Reference;
use super::tool::Tool;
use crate::Result;
use crate::http::{McpClient, contains};
use crate::load::{Client, Operation, Protocol};
use crate::position::Position;
use crate::servers::Servers;
use crate::system::System;
use std::time::Duration;
use support::redis_server::RedisServer;

/// One system that runs, called in one way.
#[derive(Clone, Copy)]
pub enum Side<'a> {
    Servers(&'a Servers, Protocol),
    /// Redis itself.
    Redis(&'a RedisServer),
    Reference(&'a Reference),
}

/// What a call of our own has seen. A load generator takes every answer for a good one;
/// with this it is known how many writes were carried out, and how long a good answer is.
pub struct Seen {
    /// Writes of the key so far, where the system can tell.
    pub writes: Option<u64>,
    /// Of a read, as generators count them.
    pub answer_bytes: u64,
}

impl Side<'_> {
    /// The system and the protocol, as tables call them.
    pub fn name(&self) -> (&'static str, &'static str) {
        match self {
            Side::Servers(servers, Protocol::Mcp) => (servers.system().name(), "MCP"),
            Side::Servers(servers, Protocol::Grpc | Protocol::Etcd) => {
                (servers.system().name(), "gRPC")
            }
            Side::Redis(_) => ("Redis itself", "RESP"),
            Side::Reference(_) => ("Python reference", "MCP"),
        }
    }

    pub fn tool(&self) -> Tool {
        match self {
            Side::Servers(_, Protocol::Mcp) | Side::Reference(_) => Tool::Wrk,
            Side::Servers(_, Protocol::Grpc | Protocol::Etcd) => Tool::H2load,
            Side::Redis(_) => Tool::RedisBenchmark,
        }
    }

    /// `host:port` of each process that takes calls.
    pub fn hosts(&self) -> Vec<String> {
        match self {
            Side::Servers(servers, Protocol::Mcp) => {
                (0..servers.count()).map(|node| servers.mcp(node)).collect()
            }
            Side::Servers(servers, Protocol::Grpc | Protocol::Etcd) => {
                (0..servers.count()).map(|node| servers.grpc(node)).collect()
            }
            Side::Redis(server) => vec![format!("127.0.0.1:{}", server.port())],
            Side::Reference(reference) => vec![reference.host().to_owned()],
        }
    }

    /// The processes whose work counts.
    pub fn pids(&self) -> Vec<u32> {
        match self {
            Side::Servers(servers, _) => servers.pids(),
            Side::Redis(server) => server.pid().into_iter().collect(),
            Side::Reference(reference) => vec![reference.pid()],
        }
    }

    /// The path of a call, and what its generator takes from a file.
    pub fn call(&self, operation: Operation) -> (&'static str, Vec<u8>) {
        let mcp = |session| ("/mcp", call::mcp_script(operation, session).into_bytes());
        match self {
            Side::Servers(_, Protocol::Mcp) => mcp(None),
            Side::Servers(_, Protocol::Grpc) => call::grpc(operation),
            Side::Servers(_, Protocol::Etcd) => call::etcd(operation),
            Side::Redis(_) => ("", Vec::new()),
            Side::Reference(reference) => mcp(Some(reference.session())),
        }
    }

    /// The call in words, where its generator takes them.
    pub fn words(&self, operation: Operation) -> Vec<String> {
        match (self, operation) {
            (Side::Servers(..) | Side::Reference(_), _) => Vec::new(),
            (Side::Redis(_), Operation::Write) => vec!["SET".into(), KEY.into(), value()],
            (Side::Redis(_), _) => vec!["GET".into(), KEY.into()],
        }
    }

    /// The syncs and the ways over loopback that a call cannot do without, one after the
    /// other. A cluster has two such ways: to a node, and from there to another.
    pub fn floor(&self, operation: Operation, limits: &Limits) -> Duration {
        let (keeps, trips) = match self {
            Side::Servers(servers, _) => match servers.system() {
                System::Memory => (false, 1),
                System::Sqlite(_) => (true, 1),
                System::Redis(_) | System::Cluster | System::Etcd => (true, 2),
            },
            Side::Redis(_) | Side::Reference(_) => (true, 1),
        };
        let syncs = u32::from(keeps && operation == Operation::Write);
        limits.sync * syncs + limits.round_trip * trips
    }

    /// Writes the key and reads it.
    pub async fn observe(&self) -> Result<Seen> {
        match self {
            Side::Servers(servers, protocol) => {
                let mut client = Client::connect(*protocol, servers, 0).await?;
                client.write(KEY, &value()).await?;
                match client {
                    Client::Mcp(mut client) => {
                        let writes = Some(Position::of(servers).await?.revision().await?);
                        Ok(Seen { writes, ..read_mcp(&mut client).await? })
                    }
                    Client::Grpc(mut client) => {
                        let writes = Some(Position::of(servers).await?.revision().await?);
                        seen(writes, &client.get(KEY).await?)
                    }
                    Client::Etcd(mut client) => {
                        let answer = client.get(KEY).await?;
                        let writes = answer.rows.first().map(|row| row.version as u64);
                        seen(writes, &answer)
                    }
                }
            }
            Side::Redis(server) => {
                let stats: String = server.ask(&["INFO", "commandstats"]);
                let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_set:calls="));
                let writes = line.and_then(|line| line.split(',').next()?.parse().ok());
                Ok(Seen { writes: writes.or(Some(0)), answer_bytes: 0 })
            }
            Side::Reference(reference) => {
                let mut client = McpClient::connect(reference.host().to_owned()).await?;
                client.initialize().await?;
                client.write(KEY, &value()).await?;
                read_mcp(&mut client).await
            }
        }
    }
}

fn seen(writes: Option<u64>, answer: &impl Message) -> Result<Seen> {
    let answer = answer.encode_to_vec();
    has_value(&answer)?;
    Ok(Seen { writes, answer_bytes: (FRAME_BYTES + answer.len()) as u64 })
}

async fn read_mcp(client: &mut McpClient) -> Result<Seen> {
    let body = client.call("state_get", &format!(r#"{{"key":"{KEY}"}}"#)).await?;
    has_value(&body)?;
    Ok(Seen { writes: None, answer_bytes: (client.head_bytes() + body.len()) as u64 })
}

fn has_value(answer: &[u8]) -> Result<()> {
    match contains(answer, value().as_bytes()) {
        true => Ok(()),
        false => Err(format!("not the value: {}", String::from_utf8_lossy(answer)).into()),
    }
}
