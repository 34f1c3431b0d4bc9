//! What a node knows about its delay: the age of local reads, and the skew of
//! clocks.

use std::time::Duration;

use mcp_state_sidecar::machine::Question;
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::raft::RaftStore;
use mcp_state_sidecar::store::{Consistency, Store};

use support::cluster::Cluster;
use support::raft_calls::{set, soon, until};

async fn age(store: &RaftStore) -> Option<Duration> {
    let question = Question::Key { key: "k".into() };
    store.ask(question, Consistency::Local, soon()).await.unwrap().age
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_read_says_how_old_it_may_be() {
    let mut cluster = Cluster::start().await;
    cluster.any().submit(set("k", "1"), soon()).await.unwrap();
    for store in cluster.stores() {
        until("it is current", || async {
            age(&store).await.is_some_and(|age| age < Duration::from_secs(2))
        })
        .await;
    }
    // Without a majority the age grows and never falls.
    let alone = cluster.store(0);
    for at in 1..3 {
        cluster.stop(at).await;
    }
    let first = age(&alone).await.expect("it was current");
    let asked = tokio::time::Instant::now();
    until("it has aged", || async {
        let age = age(&alone).await.expect("it was current");
        assert!(age >= first, "{age:?} after {first:?}");
        age > first + Duration::from_secs(3)
    })
    .await;
    assert!(asked.elapsed() >= Duration::from_secs(3));
    // A node that starts without a majority cannot know how old its state is.
    drop(alone);
    cluster.stop(0).await;
    cluster.start_node(0).await;
    assert_eq!(age(&cluster.store(0)).await, None);
    // With a majority the state becomes current again.
    cluster.start_node(1).await;
    cluster.settled().await;
    let back = cluster.store(0);
    until("it is current again", || async {
        age(&back).await.is_some_and(|age| age < Duration::from_secs(2))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_warns_of_skewed_clocks() {
    const START_MS: u64 = 1_700_000_000_000;
    let mut cluster = Cluster::start_at(ManualClock::at(START_MS)).await;
    let steady = cluster.clock.clone();
    for store in cluster.stores() {
        let near = || async {
            let health = store.health().await;
            assert_eq!(health.warning, None);
            let members = health.cluster.unwrap().members;
            let known = members.iter().filter_map(|member| member.clock_skew_ms).count();
            known == 2
        };
        until("it knows the clocks of both", near).await;
    }
    // One node returns with a wrong clock.
    let id = cluster.options(2).node_id;
    cluster.stop(2).await;
    cluster.clock = ManualClock::at(START_MS + 12_000);
    cluster.restart(2).await;
    let (one, ahead) = (cluster.store(0), cluster.store(2));
    let warns = |store: std::sync::Arc<RaftStore>, text: String| async move {
        let warning = store.health().await.warning;
        warning.is_some_and(|warning| warning.contains(&text))
    };
    let warning = format!("more than 5 s apart: node {id} is 12.0 s ahead of this node's");
    until("the others warn", || warns(one.clone(), warning.clone())).await;
    until("it warns", || warns(ahead.clone(), "is 12.0 s behind this node's".to_owned())).await;
    // It returns with a clock that agrees within the allowance.
    drop(ahead);
    cluster.stop(2).await;
    steady.set_wall_ms(START_MS);
    cluster.clock = ManualClock::at(START_MS + 4_000);
    cluster.restart(2).await;
    until("nobody warns any more", || async { one.health().await.warning.is_none() }).await;
    let health = one.health().await.cluster.unwrap();
    let skew = health.members.iter().find(|member| member.id == id).unwrap().clock_skew_ms;
    assert_eq!(skew, Some(4_000));
}
