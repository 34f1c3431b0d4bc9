//! A running cluster's state on its way out, asked of any node while the others
//! take writes.

use mcp_state_sidecar::access;
use mcp_state_sidecar::machine::Command;

use crate::live::{Server, exports_under_load_are_moments, fill_up, rest};
use crate::state::*;
use support::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn exports_of_every_node_under_load_are_moments() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    // The leader's own, a follower's, and a follower's with writes on another.
    for (writes, exports) in [(0, 0), (0, 1), (1, 2)] {
        let at = |node| cluster.store((leader + node) % 3);
        exports_under_load_are_moments(at(writes), at(exports)).await;
        submit(&*cluster.any(), Command::Reset).await;
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clusters_state_arrives_in_a_file_as_it_was() {
    let cluster = Cluster::start().await;
    fill(&*cluster.any(), &cluster.clock).await;
    let mut streams = Vec::new();
    for store in cluster.stores() {
        streams.push(essence(&export(&*store).await));
    }
    let out = export(&*cluster.any()).await;
    assert!(streams.iter().all(|stream| *stream == essence(&out)), "nodes differ");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    import(&file, &out, false).await.unwrap();
    assert_eq!(essence(&export_of(&file).await), essence(&out));
    cluster.end().await;
}

/// An export that is under way on one node outlives the leader.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_on_when_the_leader_is_lost() {
    let mut cluster = Cluster::start().await;
    fill_up(&*cluster.any()).await;
    let follower = (cluster.leader().await + 1) % 3;
    let store = cluster.store(follower);
    let server = Server::start(store.clone(), access::Options::default()).await;
    let mut chunks = server.begin().await.unwrap();
    let first = chunks.message().await.unwrap().unwrap().data;
    cluster.stop_leader().await;
    submit(&*store, set("later", "1")).await;
    let bytes = [&first[..], &rest(chunks).await.unwrap()].concat();
    let (header, tally, _) = read(&bytes).unwrap();
    assert_eq!((header.meta.revision.0, tally.keys), (64, 64));
    assert_eq!(revision(&server.export().await).0, 65);
    drop((server, store));
    cluster.end().await;
}
