//! The whole runbook: a busy cluster is killed and loses two disks; the survivor's
//! folder becomes a SQLite file that a single node serves; and a new cluster
//! continues from there.

use serde_json::{Value, json};

use crate::programs::{Node, Plan, done, free_ports, path, setting};
use support::client::Client;

/// With 128 events for each transaction, more events than the 10,000 that a node
/// keeps in memory, so that the archive is needed.
const TRANSACTIONS: u64 = 90;
const SETS: u64 = 128;

/// How many entries come after the last snapshot.
const LATER: u64 = 130;

/// The answers that must be the same after recovery.
struct Answers {
    run: Value,
    claim: Value,
    lease: Value,
    once: Value,
    revision: u64,
    chain: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_recovered_after_losing_its_majority() {
    let dir = tempfile::tempdir().unwrap();
    let old = Plan::new("old", dir.path());
    let nodes = old.start().await;
    let answers = work(&nodes).await;
    nodes.into_iter().for_each(Node::kill);
    for at in [0, 2] {
        std::fs::remove_dir_all(old.data_dir(at)).unwrap();
    }

    let file = dir.path().join("state.db");
    let output =
        done(&[], &["recover", "--data-dir", path(&old.data_dir(1)), "--to-sqlite", path(&file)]);
    println!("{output}");
    assert!(output.contains("node 2 of cluster 'old': a snapshot up to index "), "{output}");
    assert!(
        output.contains(&format!("state: revision {}, chain {}", answers.revision, answers.chain))
    );
    assert!(
        output.contains(&format!("history: complete, {} events", answers.revision)),
        "{output}"
    );
    assert!(output.contains("later writes may be missing"), "{output}");

    let port = free_ports(1)[0];
    let db_path = setting("DB_PATH", file.display());
    let alone = Node::start(std::slice::from_ref(&db_path), port, dir.path().join("alone.log"));
    alone.ready().await;
    check(&alone.client, &answers, 2).await;
    let more = alone.client.answer("state_set", json!({"key": "alone", "value": 1})).await;
    assert!(more["revision"].as_u64() > Some(answers.revision), "{more}");
    alone.stop();

    let export = dir.path().join("state.jsonl.zst");
    done(std::slice::from_ref(&db_path), &["export", path(&export)]);
    let new = Plan::new("new", dir.path());
    for at in 0..3 {
        println!("{}", done(&new.settings(at), &["import", path(&export)]));
    }
    let nodes = new.start().await;
    for (at, node) in nodes.iter().enumerate() {
        check(&node.client, &answers, 3 + at as u64).await;
    }
    let written = nodes[0].client.answer("state_set", json!({"key": "again", "value": 1})).await;
    assert!(written["revision"].as_u64() > more["revision"].as_u64(), "{written}");
    let head = equal_heads(&nodes).await;
    nodes.into_iter().for_each(Node::kill);
    let nodes = new.start().await;
    assert_eq!(equal_heads(&nodes).await, head, "the chain changed when they were killed");
    whole_history(&nodes, &new, dir.path()).await;
}

/// Does work of every kind that must outlive the nodes, until all three have applied
/// the same.
async fn work(nodes: &[Node]) -> Answers {
    let on = |at: usize| &nodes[at % nodes.len()].client;
    let once = json!({"key": "once", "value": 1, "idempotency_key": "only-once"});
    let once = on(0).answer("state_set", once).await;
    for n in 0..TRANSACTIONS {
        let then: Vec<_> = (0..SETS)
            .map(|m| json!({"op": "set", "key": format!("k/{n}/{m}"), "value": n * m}))
            .collect();
        let answer = on(n as usize).answer("state_transact", json!({"then": then})).await;
        assert_eq!(answer["succeeded"], json!(true));
    }
    let run = on(0).answer("workflow_create", json!({"name": "job", "input": {"n": 1}})).await;
    let id = &run["run_id"];
    let claim = json!({"run_id": id, "agent_id": "a", "claim_ttl_seconds": 3600});
    let claim = on(1).answer("workflow_claim", claim).await;
    let step = json!({"run_id": id, "step": 1, "output": "1", "claim_token": claim["claim_token"]});
    on(2).answer("workflow_checkpoint", step).await;
    let lease = json!({"resource_id": "r", "holder_id": "a", "ttl_seconds": 3600});
    let lease = on(0).answer("lease_acquire", lease).await;
    on(1).answer("session_save", json!({"session_id": "s", "context": {"a": 1}})).await;
    for n in 0..LATER {
        on(n as usize).answer("state_set", json!({"key": format!("later/{n}"), "value": n})).await;
    }
    let (revision, chain) = equal_heads(nodes).await;
    Answers { run, claim, lease, once, revision, chain }
}

/// Waits until all nodes have applied the same entries, and compares.
async fn equal_heads(nodes: &[Node]) -> (u64, String) {
    loop {
        let mut heads = Vec::new();
        for node in nodes {
            // The question is linearizable, so the node has applied everything.
            heads.push(node.client.answer("sidecar_health", json!({})).await);
        }
        if heads.iter().all(|head| head["applied_index"] == heads[0]["applied_index"]) {
            assert!(heads.iter().all(|head| head["chain"] == heads[0]["chain"]), "{heads:?}");
            let chain = heads[0]["chain"].as_str().unwrap().to_owned();
            return (heads[0]["revision"].as_u64().unwrap(), chain);
        }
    }
}

/// Checks that all answers are still valid, and stores one more step.
async fn check(client: &Client, answers: &Answers, step: u64) {
    for n in [0, TRANSACTIONS - 1] {
        let key = format!("k/{n}/{}", SETS - 1);
        let got = client.answer("state_get", json!({"key": key})).await;
        assert_eq!(got["value"], json!(n * (SETS - 1)));
    }
    let later = json!({"key": format!("later/{}", LATER - 1)});
    assert_eq!(client.answer("state_get", later).await["value"], json!(LATER - 1));

    let (id, token) = (&answers.run["run_id"], &answers.claim["claim_token"]);
    let stored = json!({"run_id": id, "step": step, "output": "n", "claim_token": token});
    let stored = client.answer("workflow_checkpoint", stored).await;
    assert_eq!(stored["last_step"], json!(step), "the claim token is no longer valid");
    let other = client.answer("workflow_claim", json!({"run_id": id, "agent_id": "b"})).await;
    assert_eq!(other["claimed"], json!(false), "the claim no longer keeps others out");
    let resumed = client.answer("workflow_resume", json!({"run_id": id})).await;
    assert_eq!(
        resumed["step_outputs"].as_object().map(|steps| steps.len()),
        Some(step as usize),
        "{resumed}"
    );

    let fencing_token = &answers.lease["fencing_token"];
    let renewal = json!({"resource_id": "r", "holder_id": "a", "ttl_seconds": 3600,
        "fencing_token": fencing_token});
    let renewed = client.answer("lease_renew", renewal).await;
    assert_eq!(renewed["renewed"], json!(true), "{renewed}");
    let session = client.answer("session_restore", json!({"session_id": "s"})).await;
    assert_eq!(session["context"], json!({"a": 1}), "{session}");
    let again = json!({"key": "once", "value": 1, "idempotency_key": "only-once"});
    assert_eq!(client.answer("state_set", again).await, answers.once, "the request was forgotten");
    let first = client.answer("history_log", json!({"n": 1, "before_id": 2})).await;
    assert_eq!(first["entries"][0]["id"], json!(1), "{first}");
}

/// Checks that each node has the whole history, and proves it by its export.
async fn whole_history(nodes: &[Node], plan: &Plan, dir: &std::path::Path) {
    for (at, node) in nodes.iter().enumerate() {
        let mut before = None;
        let mut next = None;
        loop {
            let page = json!({"n": 1000, "before_id": before});
            let page = node.client.answer("history_log", page).await;
            let entries = page["entries"].as_array().unwrap();
            for entry in entries {
                let id = entry["id"].as_u64().unwrap();
                assert!(next.is_none_or(|next| id == next), "{id} in place of {next:?}");
                next = Some(id - 1);
            }
            before = entries.last().map(|entry| entry["id"].clone());
            if entries.is_empty() || next == Some(0) {
                break;
            }
        }
        assert_eq!(next, Some(0), "node {at} lacks the first events");
        let export = dir.join(format!("of-{at}.jsonl"));
        let addr = format!("127.0.0.1:{}", plan.raft_ports[at]);
        done(&[], &["export", "--node", &addr, path(&export)]);
        let whole = done(&[], &["import", "--dry-run", path(&export)]);
        assert!(whole.contains("complete: revision"), "{whole}");
    }
}
