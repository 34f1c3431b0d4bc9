//! The folders of a new cluster: each is made completely or not at all, and all are
//! the same.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;

use crate::programs::{Node, PATIENCE, Plan, done, failed, free_ports, path, refused, setting};
use crate::survivor::{names, set, sets, submit};
use mcp_state_sidecar::machine::Row;
use mcp_state_sidecar::machine::row::KeyRow;
use mcp_state_sidecar::machine::{Json, Meta, Revision};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock;
use mcp_state_sidecar::store::export::{Part, StoreImport};
use mcp_state_sidecar::store::raft::consensus::types::Peer;
use mcp_state_sidecar::store::raft::offline::seed::{self, Seed};
use mcp_state_sidecar::store::sqlite::{Options, SqliteStore};

/// An export of a state with some history.
async fn export(dir: &std::path::Path) -> std::path::PathBuf {
    let file = dir.join("source.db");
    let store = SqliteStore::open(&file, Options::default(), clock::system()).unwrap();
    for n in 0..30 {
        submit(&store, sets(n)).await;
    }
    submit(&store, set("last", 1)).await;
    store.close().await;
    let export = dir.join("state.jsonl");
    done(&[setting("DB_PATH", file.display())], &["export", path(&export)]);
    export
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_holds_anything_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let export = export(dir.path()).await;
    let plan = Plan::new("seeded", dir.path());
    let folder = plan.data_dir(0);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("mine"), "x").unwrap();
    for more in [&[][..], &["--replace"]] {
        let args = [&["import", path(&export)][..], more].concat();
        let (code, line) = refused(&plan.settings(0), &args);
        assert!(code == 1 && line.contains("not empty; a cluster is"), "{line}");
        assert_eq!(names(&folder), ["mine".to_owned()].into());
    }
    fs::remove_file(folder.join("mine")).unwrap();
    done(&plan.settings(0), &["import", path(&export)]);
    let (code, line) = refused(&plan.settings(0), &["import", path(&export)]);
    assert!(code == 1 && line.contains("not empty"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_export_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let export = export(dir.path()).await;
    let plan = Plan::new("seeded", dir.path());
    let text = fs::read_to_string(&export).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let before = names(dir.path());
    for kept in [1, 50, lines.len() / 2, lines.len() - 1] {
        fs::write(&export, lines[..kept].join("\n") + "\n").unwrap();
        let (code, line) = refused(&plan.settings(0), &["import", path(&export)]);
        assert_eq!(code, 1, "{line}");
        assert_eq!(names(dir.path()), before, "after {kept} lines");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_comes_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let member = |id| (id, Peer::at(format!("127.0.0.1:{id}")));
    let options = seed::Options {
        cluster_name: "seeded".to_owned(),
        node_id: 1,
        members: [member(1), member(2), member(3)].into(),
        data_dir: dir.path().join("node"),
    };
    let row = KeyRow { value: Json::new("1"), revision: Revision(1), expires_at: None };
    let row = Part::Row(Row::Key("k".into(), row));
    let mut import = Box::new(Seed::begin(options, Meta::default()).await.unwrap());
    import.take(vec![row.clone(), row]).await.unwrap();
    let error = import.finish().await.unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let export = export(dir.path()).await;
    let plan = Plan::new("seeded", dir.path());
    let before = names(dir.path());
    // The archive hits the first two limits, a segment of the log the last.
    for blocks in [100, 2_000, 20_000] {
        // Without the trap, the signal for the limit would kill the process.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let program = env!("CARGO_BIN_EXE_mcp-state-sidecar");
        let mut shell = Command::new("sh");
        shell.env_clear().envs(plan.settings(0)).args(["-c", &script, program]);
        let output = shell.args(["import", path(&export)]).output().unwrap();
        let (code, line) = failed(&["import"], &output);
        println!("{blocks}: {line}");
        assert_eq!(code, 1);
        assert_eq!(names(dir.path()), before, "{blocks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_alike_and_another_may_be_added_later() {
    let dir = tempfile::tempdir().unwrap();
    let export = export(dir.path()).await;
    let plan = Plan::new("seeded", dir.path());
    for at in 0..3 {
        done(&plan.settings(at), &["import", path(&export)]);
    }
    let snapshot = |at| {
        let folder = plan.data_dir(at).join("snapshots");
        let name = names(&folder).into_iter().next().unwrap();
        (name.clone(), fs::read(folder.join(name)).unwrap())
    };
    assert!((1..3).all(|at| snapshot(at) == snapshot(0)), "snapshots differ");
    let mut nodes = plan.start().await;
    let heads = async |nodes: &[Node]| {
        let mut heads = Vec::new();
        for node in nodes {
            heads.push(node.client.answer("sidecar_health", json!({})).await["chain"].clone());
        }
        heads
    };
    let first = heads(&nodes).await;
    assert!(first.iter().all(|head| *head == first[0]), "{first:?}");
    nodes[2].client.answer("state_set", json!({"key": "more", "value": 1})).await;
    let then = heads(&nodes).await;
    assert!(then[0] != first[0] && then.iter().all(|head| *head == then[0]), "{then:?}");
    // A fourth node imported nothing: it has the history from the others.
    let (mcp_port, raft_port) = (free_ports(1)[0], free_ports(1)[0]);
    let addr = format!("127.0.0.1:{raft_port}");
    let mut settings = plan.settings(2);
    let own_settings = [
        setting("SIDECAR_NODE_ID", 4),
        setting("SIDECAR_RAFT_ADDR", &addr),
        setting("SIDECAR_DATA_DIR", dir.path().join("seeded-4").display()),
    ];
    // If a variable is given twice, the later value applies.
    settings.extend(own_settings);
    nodes.push(Node::start(&settings, mcp_port, dir.path().join("seeded-4.log")));
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(&addr).await.is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {addr}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = format!("127.0.0.1:{}", plan.raft_ports[0]);
    done(&[], &["cluster", "add", "4", &addr, "--node", &asked]);
    nodes[3].ready().await;
    let local = json!({"n": 1, "before_id": 2, "consistency": "local"});
    let oldest = nodes[3].client.answer("history_log", local).await;
    assert_eq!(oldest["entries"][0]["id"], json!(1), "{oldest}");
    let copy = dir.path().join("of-4.jsonl");
    done(&[], &["export", "--node", &addr, path(&copy)]);
    done(&[], &["import", "--dry-run", path(&copy)]);
}

/// The two states have the same revision and differ only in their chains.
#[tokio::test(flavor = "multi_thread")]
async fn members_with_different_states_refuse_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let other_dir = tempfile::tempdir().unwrap();
    let (one, other) = (export(dir.path()).await, export(other_dir.path()).await);
    let head = |file: &std::path::Path| {
        let text = fs::read_to_string(file).unwrap();
        let header: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        (header["revision"].clone(), header["chain"].clone())
    };
    let (one_head, other_head) = (head(&one), head(&other));
    assert!(one_head.0 == other_head.0 && one_head.1 != other_head.1, "{one_head:?}");
    let plan = Plan::new("apart", dir.path());
    done(&plan.settings(0), &["import", path(&other)]);
    for at in 1..3 {
        done(&plan.settings(at), &["import", path(&one)]);
    }
    let logs: Vec<_> = (0..3).map(|at| dir.path().join(format!("{at}.log"))).collect();
    let start = |at: usize| Node::start(&plan.settings(at), plan.mcp_ports[at], logs[at].clone());
    let nodes: Vec<Node> = (0..3).map(start).collect();
    nodes[1].ready().await;
    nodes[2].ready().await;
    nodes[1].client.answer("state_set", json!({"key": "more", "value": 1})).await;
    let kept = nodes[0].client.answer("sidecar_health", json!({})).await;
    assert_eq!((&kept["revision"], &kept["chain"]), (&other_head.0, &other_head.1), "{kept}");
    let output: String = logs.iter().map(|log| fs::read_to_string(log).unwrap()).collect();
    assert!(output.contains("founded the cluster from different states"), "{output}");
    assert!(!output.contains("panicked"), "{output}");
}
