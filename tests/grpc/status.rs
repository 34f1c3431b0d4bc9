//! The status of a node and of its cluster.

use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::access;
use mcp_state_sidecar::machine::{Chain, Revision};
use mcp_state_sidecar::proto::sidecar as api;
use mcp_state_sidecar::store::{ClusterHealth, Health, Member, Role, Store};

use crate::support::*;

#[tokio::test]
async fn a_single_node_has_no_cluster() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.submit(set("k", "1")).await.unwrap();
    let status = client.0.status(api::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.backend.as_str(), status.revision), ("memory", 1));
    assert_eq!((status.chain.len(), status.fault, status.cluster), (32, None, None));
    assert_eq!(status.release, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn the_status_of_a_cluster_has_every_field() {
    let member = Member {
        clock_skew_ms: Some(-6),
        id: 2,
        addr: "127.0.0.1:9001".into(),
        url: "http://127.0.0.1:8001/mcp".into(),
        voter: true,
        lag: Some(3),
        last_seen: Some(Duration::from_millis(40)),
    };
    let cluster = ClusterHealth {
        cluster_name: "c".into(),
        node_id: 1,
        role: Role::Leader,
        leader: Some(1),
        term: 4,
        last_log_index: 10,
        committed_index: 9,
        applied_index: 8,
        snapshot_index: 7,
        quorum: true,
        caught_up: true,
        members: vec![member, Member::default()],
        protocol: 2,
    };
    let health = Health {
        backend: "raft",
        fault: Some("the disk is full".into()),
        revision: Revision(5),
        chain: Chain([7; 32]),
        state_bytes: 11,
        state_bytes_max: Some(12),
        warning: None,
        cluster: Some(cluster),
    };
    let server = Server::with(access::Options::default(), |inner| {
        let around = Around { health: Some(health), ..Around::of(inner, Behaviour::Works) };
        Arc::new(around) as Arc<dyn Store>
    })
    .await;
    let mut client = server.client().await;
    let status = client.0.status(api::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.fault.as_deref(), Some("the disk is full"));
    assert_eq!((status.revision, &status.chain[..]), (5, &[7u8; 32][..]));
    assert_eq!((status.state_bytes, status.state_bytes_max), (11, Some(12)));
    let cluster = status.cluster.unwrap();
    assert_eq!(
        (cluster.name.as_str(), cluster.node_id, cluster.role()),
        ("c", 1, api::Role::Leader)
    );
    assert_eq!((cluster.leader, cluster.term), (Some(1), 4));
    let indices = [
        cluster.last_log_index,
        cluster.committed_index,
        cluster.applied_index,
        cluster.snapshot_index,
    ];
    assert_eq!(indices, [10, 9, 8, 7]);
    assert!(cluster.quorum && cluster.caught_up);
    let member = &cluster.members[0];
    assert_eq!((member.id, member.voter, member.lag), (2, true, Some(3)));
    assert_eq!((member.addr.as_str(), member.last_seen_ms), ("127.0.0.1:9001", Some(40)));
    assert_eq!(member.url, "http://127.0.0.1:8001/mcp");
    assert_eq!((cluster.members[1].lag, cluster.members[1].last_seen_ms), (None, None));
}
