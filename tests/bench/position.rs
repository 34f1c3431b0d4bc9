//! How far a system has got: its revision, and the entries of its log.

use crate::Result;
use crate::grpc::GrpcClient;
use crate::servers::Servers;

/// A connection to each process, to ask how far it is.
pub struct Position(Vec<GrpcClient>);

impl Position {
    pub async fn of(servers: &Servers) -> Result<Position> {
        let mut clients = Vec::new();
        for number in 0..servers.count() {
            clients.push(GrpcClient::connect(servers.grpc(number)).await?);
        }
        Ok(Position(clients))
    }

    /// The last revision that any process knows. It grows by one with each
    /// change of a row.
    pub async fn revision(&mut self) -> Result<u64> {
        let mut revision = 0;
        for client in &mut self.0 {
            revision = revision.max(client.status().await?.revision);
        }
        Ok(revision)
    }

    /// The last entry of a cluster's log; zero where there is no cluster.
    pub async fn log_index(&mut self) -> Result<u64> {
        let mut index = 0;
        for client in &mut self.0 {
            let cluster = client.status().await?.cluster;
            index = index.max(cluster.map_or(0, |cluster| cluster.last_log_index));
        }
        Ok(index)
    }
}
