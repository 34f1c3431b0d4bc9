//! Adjacent versions: a node that speaks one version more works with the others, as
//! leader and as follower, and a cluster is upgraded node by node. Rules that only
//! newer nodes know come into force once all nodes know them. A folder that is too
//! new is refused in one line.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mcp_state_sidecar::machine::Command;
use mcp_state_sidecar::machine::command::Acquire;
use mcp_state_sidecar::store::raft::Options;
use mcp_state_sidecar::store::raft::rpc::SPEAKS;
use mcp_state_sidecar::store::{Request, Store, StoreError};
use tokio::net::TcpListener;

use support::cluster::{Cluster, Running};
use support::raft_calls::{get, mixed, request, set, soon, until};

/// The places of the format and the checksum in a segment of the log.
const LOG_FORMAT: std::ops::Range<usize> = 8..12;
const LOG_CHECKSUM: std::ops::Range<usize> = 12..16;
const LOG_HEADER_BYTES: usize = 512;

/// A snapshot ends with a mark, whose last byte is the version, followed by the
/// length and the digest.
const BEHIND_SNAPSHOT_VERSION: u64 = 1 + 8 + 32;

/// The version before the newest one.
const PREVIOUS: u32 = *SPEAKS.end() - 1;

/// The first two nodes speak only the previous version.
fn third_is_ahead(options: &mut Options) {
    if options.node_id != 3 {
        options.speaks = 1..=PREVIOUS;
    }
    options.consensus.snapshot_entries = 40;
    options.consensus.keep_entries = 10;
}

fn all_are_ahead(options: &mut Options) {
    third_is_ahead(options);
    options.speaks = SPEAKS;
}

fn third_is_too_far_ahead(options: &mut Options) {
    all_are_ahead(options);
    if options.node_id == 3 {
        options.speaks = PREVIOUS + 2..=PREVIOUS + 3;
    }
}

/// A command that only nodes of the newest version know.
fn too_new() -> Request {
    let lease = Acquire { resource_id: "r".into(), holder_id: "a".into(), ..Acquire::default() };
    request(Command::Acquire(Acquire { ttl_ms: 1_000, exclusive: true, ..lease }))
}

/// Writes on each node, and reads each write on every node.
async fn assert_works(cluster: &Cluster, name: &str) {
    for (at, store) in cluster.stores().enumerate() {
        let key = format!("{name}/{at}");
        store.submit(set(&key, "1"), soon()).await.unwrap();
        for other in cluster.stores() {
            assert_eq!(get(&*other, &key).await.as_deref(), Some("1"), "{key}");
        }
    }
}

async fn make_leader(cluster: &Cluster, id: u64) {
    let leader = cluster.store(cluster.leader().await);
    leader.cluster().unwrap().transfer(Some(id), soon()).await.unwrap();
    until("it leads", || async {
        let known = cluster.any().health().await.cluster.unwrap();
        known.leader == Some(id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_one_version_ahead_works_with_the_others_and_they_follow() {
    let mut cluster = Cluster::start_with(third_is_ahead).await;
    assert_works(&cluster, "beside").await;
    make_leader(&cluster, 3).await;
    assert_works(&cluster, "led").await;
    assert_eq!(
        protocol(&cluster, 2).await,
        PREVIOUS,
        "the new rules came into force before all nodes knew them"
    );
    // What the others could not read does not come into the log.
    let early = cluster.store(2).submit(too_new(), soon()).await;
    assert!(matches!(early, Err(StoreError::Unavailable(_))), "{early:?}");
    // It misses so much that it needs a snapshot from an older node.
    make_leader(&cluster, 1).await;
    cluster.stop(2).await;
    for n in 0..200 {
        cluster.any().submit(mixed(n), soon()).await.unwrap();
    }
    cluster.restart(2).await;
    assert_works(&cluster, "back").await;
    cluster.set_tweak(all_are_ahead);
    for at in 0..3 {
        cluster.stop(at).await;
        assert_works(&cluster, &format!("without {at}")).await;
        cluster.restart(at).await;
        assert_works(&cluster, &format!("upgraded {at}")).await;
    }
    cluster.work_as_one_version().await;
    assert_works(&cluster, "upgraded").await;
    let late = cluster.any().submit(too_new(), soon()).await;
    assert!(late.is_ok(), "{late:?}");
    // The rules stay in force after a change of leader and while a node is down.
    cluster.stop(2).await;
    assert_eq!(protocol(&cluster, 0).await, *SPEAKS.end());
    cluster.restart(2).await;
    cluster.assert_replicas_equal().await;
    // A node without a common version stays outside.
    cluster.stop(2).await;
    cluster.set_tweak(third_is_too_far_ahead);
    cluster.start_node(2).await;
    let term = cluster.store(0).health().await.cluster.unwrap().term;
    for n in 0..50 {
        cluster.store((n % 2) as usize).submit(mixed(n), soon()).await.unwrap();
    }
    let (inside, outside) = (cluster.store(0).health().await, cluster.store(2).health().await);
    assert!(outside.revision < inside.revision, "it replicates");
    assert!(!outside.cluster.unwrap().caught_up);
    assert_eq!(cluster.store(0).health().await.cluster.unwrap().term, term);
}

/// The version that the node at `at` reports as the one in use.
async fn protocol(cluster: &Cluster, at: usize) -> u32 {
    cluster.store(at).health().await.cluster.unwrap().protocol
}

/// Changes the version that a folder names.
type MakeNewer = fn(&Path);

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_too_new_is_refused_in_one_line() {
    let changes: [(MakeNewer, &str); 3] = [
        (newer_node_file, "format 2"),
        (newer_log, "log format 2"),
        (newer_snapshot, "of version 2"),
    ];
    for (make_newer, named) in changes {
        let mut cluster = Cluster::start_with(third_is_ahead).await;
        for n in 0..100 {
            cluster.any().submit(mixed(n), soon()).await.unwrap();
        }
        until("it has a snapshot", || async {
            cluster.store(0).health().await.cluster.unwrap().snapshot_index > 0
        })
        .await;
        cluster.stop(0).await;
        make_newer(&cluster.options(0).data_dir);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let started = Running::start(cluster.options(0), cluster.clock.clone(), listener).await;
        let why = started.err().expect("it is too new").to_string();
        assert!(why.contains(named), "{why}");
        assert!(why.contains("this version knows 1 at most; start the newer version"), "{why}");
        assert_eq!(why.lines().count(), 1, "{why}");
    }
}

fn newer_node_file(data_dir: &Path) {
    let path = data_dir.join("node.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("format = 1"), "{text}");
    fs::write(path, text.replace("format = 1", "format = 2")).unwrap();
}

fn newer_log(data_dir: &Path) {
    let path = first_file(&data_dir.join("log"), "wal");
    let mut content = fs::read(&path).unwrap();
    let header = &mut content[..LOG_HEADER_BYTES];
    header[LOG_FORMAT].copy_from_slice(&2_u32.to_le_bytes());
    header[LOG_CHECKSUM].fill(0);
    let checksum = crc32c::crc32c(header);
    header[LOG_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    fs::write(path, content).unwrap();
}

fn newer_snapshot(data_dir: &Path) {
    let path = first_file(&data_dir.join("snapshots"), "snapshot");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let at = file.metadata().unwrap().len() - BEHIND_SNAPSHOT_VERSION;
    let mut version = [0];
    file.read_exact_at(&mut version, at).unwrap();
    assert_eq!(version, *b"1");
    file.write_all_at(b"2", at).unwrap();
}

/// The first file in a folder with this extension.
fn first_file(folder: &Path, extension: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    files.sort();
    files.into_iter().next().expect("there is one")
}
