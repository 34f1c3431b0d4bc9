//! Changes that would do harm or make no sense are refused with the reason, and
//! nothing changes.

use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::cluster::{ClusterError, NewMember};

use crate::change::{added, patient, remove, voters};
use support::cluster::Cluster;

/// The reason of a refusal.
fn refused(result: Result<(), ClusterError>) -> String {
    match result {
        Err(ClusterError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_would_cost_the_quorum_is_refused() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let dead = (leader + 1) % 3;
    cluster.stop(dead).await;
    // For one second the leader counts a silent member as reachable.
    let other = ((leader + 2) % 3) as u64 + 1;
    let why = loop {
        let node = cluster.store(cluster.leader().await);
        let members = node.health().await.cluster.unwrap().members;
        let silent = members.iter().find(|member| member.id == dead as u64 + 1).unwrap().last_seen;
        if silent.is_none_or(|silent| silent.as_millis() > 1_100) {
            break refused(node.cluster().unwrap().remove(other, patient()).await);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(why.contains("quorum") && why.contains(&format!("node {}", dead + 1)), "{why}");
    let addr = cluster.join(4).await;
    let node = cluster.store(cluster.leader().await);
    // Three of four voters are needed, and three answer, the new one included.
    node.cluster().unwrap().add(added(4, &addr), patient()).await.unwrap();
    let nobody = NewMember { id: 5, addr: "127.0.0.1:1".to_owned(), replaces: None };
    let why = refused(node.cluster().unwrap().add(nobody, patient()).await);
    assert!(why.contains("127.0.0.1:1 cannot be asked"), "{why}");
    assert_eq!(voters(&cluster).await, [1, 2, 3, 4]);
    remove(&cluster, dead as u64 + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_makes_no_sense_is_refused() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let node = cluster.store(leader);
    let me = leader as u64 + 1;
    let follower = (leader + 1) % 3;

    let other = cluster.store(follower).cluster().unwrap().add(added(4, "h:1"), patient()).await;
    let at = cluster.members[&me].addr.clone();
    assert_eq!(other, Err(ClusterError::NotLeader { leader: Some(at.clone()) }));

    assert!(matches!(
        node.cluster().unwrap().remove(9, patient()).await,
        Err(ClusterError::NotFound(_))
    ));
    let why = refused(node.cluster().unwrap().add(added(4, &at), patient()).await);
    assert!(why.contains(&format!("the address of node {me}")), "{why}");
    let why = refused(node.cluster().unwrap().add(added(me, "h:1"), patient()).await);
    assert!(why.contains("a member already"), "{why}");

    let addr = cluster.join(5).await;
    let why = refused(node.cluster().unwrap().add(added(4, &addr), patient()).await);
    assert!(why.contains("is node 5, not node 4"), "{why}");
    let replaces = NewMember { replaces: Some(9), ..added(5, &addr) };
    assert!(matches!(
        node.cluster().unwrap().add(replaces, patient()).await,
        Err(ClusterError::NotFound(_))
    ));
    let itself = NewMember { replaces: Some(5), ..added(5, &addr) };
    assert!(
        refused(node.cluster().unwrap().add(itself, patient()).await)
            .contains("cannot replace itself")
    );

    assert!(matches!(
        node.cluster().unwrap().transfer(Some(9), patient()).await,
        Err(ClusterError::NotFound(_))
    ));
    assert_eq!(
        node.cluster().unwrap().transfer(Some(me), patient()).await,
        Ok(me),
        "it leads already"
    );
    assert_eq!(voters(&cluster).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_not_transferred_to_a_dead_node() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let dead = (leader + 1) % 3;
    cluster.stop(dead).await;
    let node = cluster.store(leader);
    let deadline = patient();
    let refusal = loop {
        let silent = node.health().await.cluster.unwrap().members[dead].last_seen;
        if silent.is_none_or(|silent| silent.as_millis() > 1_100) {
            break node.cluster().unwrap().transfer(Some(dead as u64 + 1), patient()).await;
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(matches!(refusal, Err(ClusterError::Refused(why)) if why.contains("does not answer")));
    assert_eq!(cluster.leader().await, leader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_not_added() {
    let cluster = Cluster::start().await;
    let other = Cluster::start_with(|options| options.cluster_name = "other".to_owned()).await;
    let node = cluster.store(cluster.leader().await);
    let why =
        refused(node.cluster().unwrap().add(added(4, &other.members[&1].addr), patient()).await);
    assert!(why.contains("of cluster \"other\""), "{why}");
    let twin = Cluster::start().await;
    let why =
        refused(node.cluster().unwrap().add(added(4, &twin.members[&1].addr), patient()).await);
    assert!(why.contains("is node 1, not node 4"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_voter_cannot_be_removed_nor_an_old_number_reused() {
    let mut cluster = Cluster::start().await;
    for id in [1, 2] {
        remove(&cluster, id).await;
        cluster.dismiss(cluster.position(id)).await;
    }
    let node = cluster.any();
    assert!(refused(node.cluster().unwrap().remove(3, patient()).await).contains("the last voter"));
    let addr = cluster.join(1).await;
    let why = refused(node.cluster().unwrap().add(added(1, &addr), patient()).await);
    assert!(why.contains("never given out again"), "{why}");
    assert_eq!(node.cluster().unwrap().remove(1, patient()).await, Ok(()), "it is removed already");
}
