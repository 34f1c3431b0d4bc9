//! `dev`: a cluster of real processes, from its start to its end.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use support::command_line::{PATIENCE, PROGRAM, Running, command, run, text};

const NODES: u16 = 3;

struct Cluster {
    running: Running,
    dir: tempfile::TempDir,
    base_port: u16,
}

impl Cluster {
    fn start(dir: tempfile::TempDir, base_port: u16) -> Cluster {
        let mut cluster = Cluster::begin(dir, base_port);
        cluster.become_ready();
        cluster
    }

    /// Starts `dev`, whose nodes need not run yet.
    fn begin(dir: tempfile::TempDir, base_port: u16) -> Cluster {
        let mut command = command(&PROGRAM, dir.path());
        let (port, grpc_port) = (base_port.to_string(), (base_port + NODES).to_string());
        command.args(["dev", "--dir", "d", "--base-port", &port, "--base-grpc-port", &grpc_port]);
        // With these settings all nodes would be the same one, so `dev` must remove them.
        command.env("SIDECAR_PORT", "1").env("SIDECAR_NODE_ID", "1");
        command.stdout(Stdio::piped());
        Cluster { running: Running::start(command), dir, base_port }
    }

    fn become_ready(&mut self) {
        let ready = self.dir.path().join("d/ready");
        wait_for("not ready", || {
            let ended = self.running.child.try_wait().unwrap();
            assert!(ended.is_none(), "dev has ended: {ended:?}");
            ready.exists()
        });
    }

    /// What `cluster status` prints for a node, once every node answers.
    fn whole(&self, node: u16) -> Value {
        let addr = format!("127.0.0.1:{}", self.base_port + NODES + node - 1);
        let wait = PATIENCE.as_secs().to_string();
        let args = ["cluster", "status", "--json", "--node", &addr, "--wait", &wait];
        let output = run(self.dir.path(), &[], &args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn call(&self, node: u16, tool: &str, arguments: &str, field: &str) -> String {
        let url = format!("http://127.0.0.1:{}", self.base_port + node - 1);
        let args = ["call", tool, arguments, "--field", field, "--node", &url];
        let output = run(self.dir.path(), &[], &args);
        assert_eq!(output.status.code(), Some(0), "{tool}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    fn pid(&self, node: u16) -> Pid {
        let file = self.dir.path().join(format!("d/node{node}.pid"));
        let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// Stops the cluster with the signal of Ctrl-C.
    fn stop(mut self) -> tempfile::TempDir {
        self.running.signal(Signal::INT);
        assert_eq!(self.running.ended(), Some(0));
        for stale in ["d/node1.pid", "d/ready"] {
            assert!(!self.dir.path().join(stale).exists(), "{stale} is left behind");
        }
        let Cluster { running, dir, .. } = self;
        drop(running);
        dir
    }
}

/// The first of six consecutive ports that nobody listens on now, and that no other test
/// of this process was given.
fn free_ports() -> u16 {
    static GIVEN: Mutex<Option<u16>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap();
    let start = given.map_or(20_000 + (std::process::id() % 600) as u16 * 16, |last| last + 16);
    let free =
        |base: &u16| (*base..base + 2 * NODES).all(|p| TcpListener::bind(("127.0.0.1", p)).is_ok());
    let free = (start..32_000).step_by(16).find(free);
    *given = free;
    free.expect("free ports below those of outgoing calls")
}

fn has_ended(pid: Pid) -> bool {
    // A process that has ended, but that nobody has waited for, does not run either.
    let stat = PathBuf::from(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let zombie = std::fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") Z "));
    zombie || test_kill_process(pid).is_err()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < give_up, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_cluster_outlives_its_leader_and_a_restart_and_ends_with_dev() {
    let ports = free_ports();
    let cluster = Cluster::start(tempfile::tempdir().unwrap(), ports);
    let rows = cluster.whole(1);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), usize::from(NODES));
    for (row, port) in rows.iter().zip(ports..) {
        assert_eq!(row["url"], format!("http://127.0.0.1:{port}/mcp"), "{row}");
        assert_eq!(row["leader"], rows[0]["leader"], "{row}");
    }

    let leader = rows[0]["leader"].as_u64().unwrap() as u16;
    let other = leader % NODES + 1;
    cluster.call(leader, "state_set", r#"{"key": "k", "value": "kept"}"#, "revision");
    kill_process(cluster.pid(leader), Signal::KILL).unwrap();
    assert_eq!(cluster.call(other, "state_get", r#"{"key": "k"}"#, "value"), "kept");
    let mut cluster = cluster;
    let line = cluster.running.line_with("start it again with");
    assert!(line.contains("kill -HUP"), "{line}");
    cluster.running.line_with(&format!("node{leader}.toml"));
    cluster.running.signal(Signal::HUP);
    cluster.running.line_with(&format!("node {leader} is started again"));
    cluster.whole(other);

    let dir = cluster.stop();
    let mut cluster = Cluster::start(dir, ports);
    cluster.whole(leader);
    assert_eq!(cluster.call(leader, "state_get", r#"{"key": "k"}"#, "value"), "kept");

    // It is killed, so it cannot stop its nodes.
    let pids: Vec<Pid> = (1..=NODES).map(|node| cluster.pid(node)).collect();
    cluster.running.child.kill().unwrap();
    cluster.running.child.wait().unwrap();
    wait_for("nodes outlived dev", || pids.iter().all(|pid| has_ended(*pid)));
}

#[test]
fn a_cluster_starts_without_a_node_that_dies() {
    let mut cluster = Cluster::begin(tempfile::tempdir().unwrap(), free_ports());
    let pid_file = cluster.dir.path().join("d/node3.pid");
    wait_for("the third node was not started", || {
        std::fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n'))
    });
    kill_process(cluster.pid(3), Signal::KILL).unwrap();
    cluster.running.line_with("dev: node 3 (process");
    cluster.become_ready();
    cluster.call(1, "state_set", r#"{"key": "k", "value": 1}"#, "revision");
    cluster.running.signal(Signal::HUP);
    cluster.running.line_with("node 3 is started again");
    cluster.whole(3);
    cluster.stop();
}

#[test]
fn ports_that_are_taken_and_folders_of_another_cluster_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().clamp(1, 65_000).to_string();
    if port == listener.local_addr().unwrap().port().to_string() {
        let output = run(dir.path(), &[], &["dev", "--dir", "d", "--base-port", &port]);
        assert_eq!(output.status.code(), Some(1));
        let line = text(&output.stderr);
        assert!(line.contains("choose others with --base-port"), "{line}");
        assert!(!Path::new(&dir.path().join("d")).exists(), "it left files behind");
    }
    let overlap = ["dev", "--base-port", "8000", "--base-grpc-port", "8002"];
    let output = run(dir.path(), &[], &overlap);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("overlap"), "{}", text(&output.stderr));
}
