//! Measures how many items one core forwards: both ends run on one thread, without
//! raft. Run it by hand: `cargo test --release --test peer -- --ignored --nocapture rate`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use mcp_state_sidecar::proto::peer::HistoryQuestion;
use mcp_state_sidecar::store::raft::consensus::options;
use mcp_state_sidecar::store::raft::consensus::types::NodeId;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::rpc::{
    Forwarder, Options, PeerHandler, PeerNetwork, PeerRefusal, PeerRefusalCode, ReadIndex,
    peer_service, server_builder,
};
use openraft::Raft;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;

use crate::cluster::{CLUSTER, Place, soon};

struct Echo;

#[async_trait]
impl PeerHandler for Echo {
    async fn forwarded(&self, _: NodeId, item: Bytes, _: Instant) -> Result<Bytes, PeerRefusal> {
        Ok(item)
    }

    async fn read_index(&self) -> Result<ReadIndex, PeerRefusal> {
        Err(PeerRefusal::refused(PeerRefusalCode::Busy, "only echoes"))
    }

    async fn history(
        &self,
        _: u64,
        _: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, PeerRefusal>>, PeerRefusal> {
        Ok(Box::pin(stream::empty()))
    }

    async fn ask_history(&self, _: HistoryQuestion) -> Result<Bytes, PeerRefusal> {
        Err(PeerRefusal::refused(PeerRefusalCode::Fault, "there is no history here"))
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn rate_of_forwarding_on_one_core() {
    const ITEMS: usize = 200_000;
    let (near, far) = (Place::new(1), Place::new(2));
    let config = options::Options::default().config(CLUSTER).unwrap();
    let network = PeerNetwork::new(far.identity(), Options::default());
    let raft = Raft::new(2, config, network, far.log.clone(), far.machine.clone()).await.unwrap();
    let folder = far.machine.folder.clone();
    let host = Environment::system();
    let service = peer_service(raft, Arc::new(Echo), far.identity(), host, folder);
    let bound = tokio::net::TcpListener::bind(far.addr).await.unwrap();
    let incoming = TcpListenerStream::new(bound);
    let server = server_builder(Duration::from_secs(2)).add_service(service);
    tokio::spawn(async move { server.serve_with_incoming(incoming).await });
    let forwarder = Forwarder::new(PeerNetwork::new(near.identity(), Options::default()));
    for at_once in [1, 64, 512] {
        let items = if at_once == 1 { ITEMS / 20 } else { ITEMS };
        let began = Instant::now();
        stream::iter(0..items)
            .map(|n| {
                let (forwarder, peer) = (forwarder.clone(), far.peer());
                let item = Bytes::from(format!("{n:0>200}"));
                async move { (forwarder.submit(2, &peer, item.clone(), soon()).await, item) }
            })
            .buffer_unordered(at_once)
            .for_each(async |(reply, item)| assert_eq!(reply, Ok(item)))
            .await;
        let rate = items as f64 / began.elapsed().as_secs_f64();
        eprintln!("{rate:.0} items/s of 200 bytes, {at_once} at once");
    }
}
