//! Four processes that share one file behave like one.

use std::collections::{BTreeMap, BTreeSet};

use mcp_state_sidecar::machine::Revision;
use mcp_state_sidecar::store::Store;
use tokio::time::timeout;

use crate::child::{INCREMENTS, program, start};
use crate::common::{PATIENCE, check_chain, create, get, open, set, submit};

const PROCESSES: u64 = 4;
const RUNS: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_processes_lose_nothing_and_hand_nothing_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = open(&file);
    for run in 0..RUNS {
        submit(&store, create(&format!("run-{run}"))).await.unwrap();
    }
    // All are started before any is listened to.
    let children: Vec<_> =
        (0..PROCESSES).map(|n| start(program("race", &file, &format!("agent-{n}")))).collect();
    let mut runs: BTreeMap<String, u64> = BTreeMap::new();
    let mut leases: BTreeSet<u64> = BTreeSet::new();
    let mut claimants = BTreeSet::new();
    let mut finished = 0;
    for (n, (mut child, said)) in children.into_iter().enumerate() {
        let (mut run_token, mut lease_token) = (0, 0);
        for line in said {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["run", run_id, token] => {
                    let token: u64 = token.parse().unwrap();
                    assert!(token > run_token, "claim tokens fell: {run_token}, then {token}");
                    run_token = token;
                    let before = runs.insert(run_id.to_owned(), token);
                    assert_eq!(before, None, "{run_id} was handed out twice");
                    claimants.insert(n);
                }
                ["lease", token] => {
                    let token: u64 = token.parse().unwrap();
                    assert!(token > lease_token, "tokens fell: {lease_token}, then {token}");
                    lease_token = token;
                    assert!(leases.insert(token), "token {token} was granted twice");
                }
                ["done"] => finished += 1,
                _ => panic!("agent-{n}: {line}"),
            }
        }
        assert!(child.succeeds());
    }
    assert_eq!(finished, PROCESSES);
    assert_eq!(runs.len(), RUNS, "runs were not claimed");
    assert!(claimants.len() > 1, "there was no race");
    let (counter, _) = get(&store, "counter").await;
    assert_eq!(counter, Some((PROCESSES * INCREMENTS).to_string()), "increments were lost");
    check_chain(&store).await;
    store.close().await;
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the last to close folds the log away: {left:?}");
}

/// Both ways: the child waits for our changes, we for its.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_another_process_wakes_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let store = open(&file);
    let (mut child, mut said) = start(program("echo", &file, "echo"));
    assert_eq!(said.next().as_deref(), Some("listening"));
    let mut revision = store.revision();
    let mut highest = Revision::ZERO;
    for n in 0..20 {
        submit(&store, set("ping", n)).await.unwrap();
        // Asking would tell the store of the change: only the watch may.
        let own = *revision.borrow_and_update();
        timeout(PATIENCE, revision.wait_for(|revision| *revision > own))
            .await
            .expect("the other's change was noticed")
            .unwrap();
        assert!(own > highest, "the revision fell: {highest}, then {own}");
        highest = own;
        let (pong, _) = get(&store, "pong").await;
        assert_eq!(pong, Some(n.to_string()));
    }
    child.kill();
    check_chain(&store).await;
}
