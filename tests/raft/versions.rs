//! Neighbouring versions: a node that speaks one version more works with the
//! others, in any office, and a cluster is upgraded node by node; what only the
//! newer ones know waits for the last of them. What is too
//! new is refused in one line.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::raft::Options;
use mcp_state_sidecar::store::raft::rpc::SPEAKS;
use tokio::net::TcpListener;

use support::cluster::{Cluster, Running};
use support::raft_calls::{get, mixed, set, soon, until};

/// Where a segment of the log says its format and its checksum.
const LOG_FORMAT: std::ops::Range<usize> = 8..12;
const LOG_CHECKSUM: std::ops::Range<usize> = 12..16;
const LOG_HEADER_BYTES: usize = 512;

/// A snapshot ends with its mark, of which the last byte is the version, its
/// length and its digest.
const BEHIND_SNAPSHOT_VERSION: u64 = 1 + 8 + 32;

/// The first two are of the version before.
fn third_is_ahead(options: &mut Options) {
    if options.node_id != 3 {
        options.speaks = 1..=1;
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
        options.speaks = 3..=4;
    }
}

/// Writes on each node and reads it on each.
async fn works(cluster: &Cluster, name: &str) {
    for (at, store) in cluster.stores().enumerate() {
        let key = format!("{name}/{at}");
        store.submit(set(&key, "1"), soon()).await.unwrap();
        for other in cluster.stores() {
            assert_eq!(get(&*other, &key).await.as_deref(), Some("1"), "{key}");
        }
    }
}

async fn leads(cluster: &Cluster, id: u64) {
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
    works(&cluster, "beside").await;
    leads(&cluster, 3).await;
    works(&cluster, "led").await;
    assert_eq!(together(&cluster, 2).await, 1, "the new rules do not wait for all to know them");
    // So long that it comes back by a snapshot of a node that is behind.
    leads(&cluster, 1).await;
    cluster.stop(2).await;
    for n in 0..200 {
        cluster.any().submit(mixed(n), soon()).await.unwrap();
    }
    cluster.restart(2).await;
    works(&cluster, "back").await;
    cluster.set_tweak(all_are_ahead);
    for at in 0..3 {
        cluster.stop(at).await;
        works(&cluster, &format!("without {at}")).await;
        cluster.restart(at).await;
        works(&cluster, &format!("upgraded {at}")).await;
    }
    cluster.work_as_one_version().await;
    works(&cluster, "upgraded").await;
    // What all know is not forgotten with the office, or while one is away.
    cluster.stop(2).await;
    assert_eq!(together(&cluster, 0).await, 2);
    cluster.restart(2).await;
    cluster.assert_replicas_equal().await;
    // One that speaks nothing of what they speak stays outside.
    cluster.stop(2).await;
    cluster.set_tweak(third_is_too_far_ahead);
    cluster.start_node(2).await;
    let term = cluster.store(0).health().await.cluster.unwrap().term;
    for n in 0..50 {
        cluster.store((n % 2) as usize).submit(mixed(n), soon()).await.unwrap();
    }
    let (inside, outside) = (cluster.store(0).health().await, cluster.store(2).health().await);
    assert!(outside.revision < inside.revision, "it follows");
    assert!(!outside.cluster.unwrap().caught_up);
    assert_eq!(cluster.store(0).health().await.cluster.unwrap().term, term);
}

/// In which version the node at `at` says that they work together.
async fn together(cluster: &Cluster, at: usize) -> u32 {
    cluster.store(at).health().await.cluster.unwrap().protocol
}

/// Changes what a folder says of its own version.
type Age = fn(&Path);

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_too_new_is_refused_in_one_line() {
    let ages: [(Age, &str); 3] =
        [(newer_name, "format 2"), (newer_log, "log format 2"), (newer_snapshot, "of version 2")];
    for (age, named) in ages {
        let mut cluster = Cluster::start_with(third_is_ahead).await;
        for n in 0..100 {
            cluster.any().submit(mixed(n), soon()).await.unwrap();
        }
        until("it has a snapshot", || async {
            cluster.store(0).health().await.cluster.unwrap().snapshot_index > 0
        })
        .await;
        cluster.stop(0).await;
        age(&cluster.options(0).data_dir);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let started = Running::start(cluster.options(0), cluster.clock.clone(), listener).await;
        let why = started.err().expect("it is too new").to_string();
        assert!(why.contains(named), "{why}");
        assert!(why.contains("this version knows 1 at most; start the newer version"), "{why}");
        assert_eq!(why.lines().count(), 1, "{why}");
    }
}

fn newer_name(data_dir: &Path) {
    let path = data_dir.join("node.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("format = 1"), "{text}");
    fs::write(path, text.replace("format = 1", "format = 2")).unwrap();
}

fn newer_log(data_dir: &Path) {
    let path = only(&data_dir.join("log"), "wal");
    let mut content = fs::read(&path).unwrap();
    let header = &mut content[..LOG_HEADER_BYTES];
    header[LOG_FORMAT].copy_from_slice(&2_u32.to_le_bytes());
    header[LOG_CHECKSUM].fill(0);
    let checksum = crc32c::crc32c(header);
    header[LOG_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    fs::write(path, content).unwrap();
}

fn newer_snapshot(data_dir: &Path) {
    let path = only(&data_dir.join("snapshots"), "snapshot");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let at = file.metadata().unwrap().len() - BEHIND_SNAPSHOT_VERSION;
    let mut version = [0];
    file.read_exact_at(&mut version, at).unwrap();
    assert_eq!(version, *b"1");
    file.write_all_at(b"2", at).unwrap();
}

/// The first file of a folder that ends so.
fn only(folder: &Path, extension: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    files.sort();
    files.into_iter().next().expect("there is one")
}
