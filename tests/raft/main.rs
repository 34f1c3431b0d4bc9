//! The replicated store: three nodes in one process, on loopback.

mod aging;
mod away;
mod once;
mod refused;
mod schedules;
mod versions;

use std::time::Duration;

use mcp_state_sidecar::machine::command::Acquire;
use mcp_state_sidecar::machine::page::Page;
use mcp_state_sidecar::machine::{Answer, Command, Question, Reply};
use mcp_state_sidecar::store::{Consistency, Store};
use tokio::time::Instant;

use support::cluster::Cluster;
use support::raft_calls::{get, request, set, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_any_node_is_read_on_every_node() {
    let cluster = Cluster::start().await;
    for (number, writer) in cluster.stores().enumerate() {
        let value = number.to_string();
        let reply = writer.submit(set("k", &value), soon()).await.unwrap();
        assert!(matches!(reply, Reply::Set(written) if written.ok));
        for reader in cluster.stores() {
            assert_eq!(get(&*reader, "k").await, Some(value.clone()));
        }
    }
    cluster.assert_replicas_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_leader_costs_a_delay_and_nothing_else() {
    let mut cluster = Cluster::start().await;
    for number in 0..20 {
        let key = format!("before/{number}");
        cluster.any().submit(set(&key, "1"), soon()).await.unwrap();
    }
    let lost = cluster.stop_leader().await;
    for number in 0..20 {
        let key = format!("after/{number}");
        cluster.any().submit(set(&key, "2"), soon()).await.unwrap();
    }
    cluster.restart(lost).await;
    for store in cluster.stores() {
        assert_eq!(get(&*store, "before/19").await.as_deref(), Some("1"));
        assert_eq!(get(&*store, "after/19").await.as_deref(), Some("2"));
    }
    cluster.assert_replicas_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_acknowledged_and_local_reads_go_on() {
    let mut cluster = Cluster::start().await;
    cluster.any().submit(set("k", "1"), soon()).await.unwrap();
    // Local reads may lag.
    cluster.assert_replicas_equal().await;
    cluster.stop_leader().await;
    cluster.stop_leader().await;
    let last = cluster.any();
    let deadline = Instant::now() + Duration::from_secs(2);
    last.submit(set("k", "2"), deadline).await.expect_err("no majority");
    let question = Question::Key { key: "k".into() };
    let deadline = Instant::now() + Duration::from_secs(1);
    last.ask(question.clone(), Consistency::Linearizable, deadline).await.expect_err("no majority");
    let local = last.ask(question, Consistency::Local, soon()).await.unwrap();
    assert!(matches!(local.answer, Answer::Key(Some(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_seen_expired_stays_expired_under_the_next_leader() {
    let mut cluster = Cluster::start().await;
    let acquire = |holder: &str| {
        request(Command::Acquire(Acquire {
            resource_id: "r".into(),
            holder_id: holder.into(),
            ttl_ms: 3_000,
            ..Default::default()
        }))
    };
    let acquired = |reply| match reply {
        Reply::Acquired(acquired) => acquired,
        other => panic!("{other:?}"),
    };
    let first = acquired(cluster.any().submit(acquire("a"), soon()).await.unwrap());
    assert!(first.acquired);
    cluster.clock.advance_ms(3_001);
    let question = Question::Leases { scan: Default::default(), page: Page::of_rows(10) };
    let seen = cluster.any().ask(question.clone(), Consistency::Linearizable, soon()).await;
    assert!(matches!(seen.unwrap().answer, Answer::Leases { rows, .. } if rows.is_empty()));
    // The next leader's wall clock lags behind what the first one counted.
    cluster.stop_leader().await;
    let seen = cluster.any().ask(question, Consistency::Linearizable, soon()).await;
    assert!(matches!(seen.unwrap().answer, Answer::Leases { rows, .. } if rows.is_empty()));
    let second = acquired(cluster.any().submit(acquire("b"), soon()).await.unwrap());
    assert!(second.acquired && second.fencing_token > first.fencing_token);
}
