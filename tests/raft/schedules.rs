//! Schedules in a cluster: a firing creates one run, whoever proposes it and however often,
//! also while the leader changes.

use std::sync::Arc;

use futures::future::join_all;
use mcp_state_sidecar::machine::command::{Create, FireSchedule, SetSchedule};
use mcp_state_sidecar::machine::filter::RunFilter;
use mcp_state_sidecar::machine::page::{Page, Scan};
use mcp_state_sidecar::machine::timetable::{FiringMs, Overlap, Timetable};
use mcp_state_sidecar::machine::{Answer, Command, Question, Reply};
use mcp_state_sidecar::store::raft::RaftStore;
use mcp_state_sidecar::store::{Consistency, Request, Store};
use mcp_state_sidecar::sweep;

use support::cluster::Cluster;
use support::raft_calls::{request, soon};

const MINUTE_MS: u64 = 60_000;

/// The first full minute after the cluster's clock starts.
const FIRST_MS: u64 = 1_700_000_040_000;

async fn ask(store: &RaftStore, question: Question) -> Answer {
    store.ask(question, Consistency::Linearizable, soon()).await.expect("an answer").answer
}

async fn runs(store: &RaftStore) -> usize {
    let (filter, page) = (RunFilter::default(), Page::of_rows(100));
    match ask(store, Question::Runs { filter, before: None, page }).await {
        Answer::Runs { rows, .. } => rows.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firing_creates_one_run_across_changes_of_the_leader() {
    let mut cluster = Cluster::start().await;
    cluster.work_as_one_version().await;
    let set = SetSchedule {
        name: "s".into(),
        timetable: Timetable::Cron { expression: "* * * * *".into(), time_zone: "UTC".into() },
        template: Create { name: "report".into(), ..Create::default() },
        overlap: Overlap::Queue,
        first_at: Some(FiringMs(FIRST_MS)),
        agent_id: None,
    };
    let set = Command::SetSchedule(Box::new(set));
    cluster.any().submit(request(set), soon()).await.expect("set");
    for firing in 1..=3 {
        cluster.clock.advance_ms(MINUTE_MS);
        let due_at = FiringMs(FIRST_MS + (firing - 1) * MINUTE_MS);
        let fire = FireSchedule {
            name: "s".into(),
            due_at,
            next_at: Some(due_at.plus(MINUTE_MS)),
            missed: 0,
            error: None,
        };
        let propose = |store: Arc<RaftStore>, random: u64| {
            let command = Command::FireSchedule(fire.clone());
            async move {
                let request = Request { random, ..request(command) };
                store.submit(request, soon()).await
            }
        };
        // Every node proposes the firing while the leader stops, and the others again when
        // there is a new one.
        let first =
            cluster.stores().enumerate().map(|(n, store)| propose(store, 10 * firing + n as u64));
        let first: Vec<_> = first.map(tokio::spawn).collect();
        let lost = cluster.stop_leader().await;
        let mut replies = join_all(first).await.into_iter().flatten().flatten().collect::<Vec<_>>();
        for (n, store) in cluster.stores().enumerate() {
            let again = propose(store, 10 * firing + 5 + n as u64).await;
            replies.push(again.expect("a majority decides"));
        }
        cluster.restart(lost).await;
        let fired = |reply: &&Reply| matches!(reply, Reply::ScheduleFired(of) if of.fired);
        assert!(replies.iter().filter(fired).count() <= 1, "{replies:?}");
        assert_eq!(runs(&cluster.any()).await as u64, firing, "{replies:?}");
    }
    // Whoever leads sees that nothing is left to do, and later that there is.
    cluster.settled().await;
    let fire_on_all = async |cluster: &Cluster| {
        let mut fired = 0;
        for store in cluster.stores() {
            fired += sweep::fire(&*store, &sweep::Options::default()).await.expect("a majority");
        }
        fired
    };
    assert_eq!(fire_on_all(&cluster).await, 0);
    cluster.clock.advance_ms(10 * MINUTE_MS);
    assert_eq!(fire_on_all(&cluster).await, 1, "ten have passed, and one is caught up");
    assert_eq!(fire_on_all(&cluster).await, 0);
    let page = Page::of_rows(10);
    let listed = ask(&cluster.any(), Question::Schedules { scan: Scan::default(), page }).await;
    let Answer::Schedules { rows, .. } = listed else { panic!("{listed:?}") };
    assert_eq!((rows[0].1.fired, rows[0].1.missed), (4, 9));
    cluster.assert_replicas_equal().await;
}
