//! What a node refuses: peers of another cluster, folders of other nodes, and
//! damaged snapshots.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mcp_state_sidecar::machine::Question;
use mcp_state_sidecar::store::raft::Options;
use mcp_state_sidecar::store::raft::membership::view::Expelled;
use mcp_state_sidecar::store::{Consistency, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use support::cluster::{Cluster, Running};
use support::raft_calls::{get, mixed, set, soon, until};

/// Long enough for many elections and attempts to send entries.
const OBSERVED: Duration = Duration::from_secs(3);
/// How many bits of a snapshot file are flipped, one at a time. The unit test of
/// snapshots flips every byte.
const FLIPS: usize = 12;

fn small_snapshots(options: &mut Options) {
    options.consensus.snapshot_entries = 40;
    options.consensus.keep_entries = 10;
}

async fn other_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_neither_joins_nor_disturbs() {
    let mut cluster = Cluster::start().await;
    cluster.any().submit(set("k", "1"), soon()).await.unwrap();
    let away = (cluster.leader().await + 1) % 3;
    cluster.stop(away).await;
    let wrongs: [fn(&mut Options); 3] = [
        |options| options.cluster_name = "another".to_owned(),
        |options| options.secret = Some("wrong".to_owned()),
        |options| options.secret = None,
    ];
    for (number, wrong) in wrongs.into_iter().enumerate() {
        // The stranger has an empty log, and the address of a member.
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options { data_dir: folder.path().to_owned(), ..cluster.options(away) };
        wrong(&mut options);
        let listener = cluster.listener(away).await;
        let stranger = Running::start(options, cluster.clock.clone(), listener).await.unwrap();
        let leader = cluster.store(cluster.leader().await);
        let term = leader.health().await.cluster.unwrap().term;
        let until = Instant::now() + OBSERVED;
        let write = stranger.store.submit(set("k", "stranger"), until);
        let question = Question::Key { key: "k".into() };
        let read = stranger.store.ask(question, Consistency::Linearizable, until);
        let (write, read) = tokio::join!(write, read);
        assert!(write.is_err() && read.is_err(), "{number}: {write:?} {read:?}");
        let health = stranger.store.health().await;
        let cut_off = health.cluster.unwrap();
        assert_eq!((health.revision.0, cut_off.caught_up), (0, false), "{number}");
        assert_eq!(cut_off.leader, None, "{number}");
        assert_eq!(leader.health().await.cluster.unwrap().term, term, "{number}");
        assert_eq!(get(&*leader, "k").await.as_deref(), Some("1"), "{number}");
        stranger.end().await;
    }
    cluster.restart(away).await;
    cluster.assert_replicas_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_folder_does_not_take_the_leader_with_it() {
    let mut cluster = Cluster::start().await;
    for n in 0..30 {
        cluster.any().submit(mixed(n), soon()).await.unwrap();
    }
    cluster.assert_replicas_equal().await;
    let leader = cluster.leader().await;
    let away = (leader + 1) % 3;
    let store = cluster.store(leader);
    let term = store.health().await.cluster.unwrap().term;
    let id = cluster.options(away).node_id;
    until("its folder is known", || async { store.incarnation_of(id).is_some() }).await;
    cluster.stop(away).await;
    for folder in ["log", "snapshots", "archive"] {
        fs::remove_dir_all(cluster.options(away).data_dir.join(folder)).unwrap();
    }
    // The file with the node's name is still there, so the loss is noticed.
    let listener = other_listener().await;
    let started = Running::start(cluster.options(away), cluster.clock.clone(), listener).await;
    let error = started.err().expect("a log was here").to_string();
    assert!(error.contains("log"), "{error}");
    fs::remove_file(cluster.options(away).data_dir.join("node.toml")).unwrap();
    cluster.start_node(away).await;
    let mut expelled = cluster.store(away).expelled();
    let reason = expelled.wait_for(Option::is_some);
    let reason = timeout(Duration::from_secs(30), reason).await.expect("it learns why").unwrap();
    assert_eq!(*reason, Some(Expelled::Wiped));
    store.submit(set("after", "1"), soon()).await.unwrap();
    assert_eq!(get(&*store, "after").await.as_deref(), Some("1"));
    let health = store.health().await;
    assert_eq!((health.fault, health.cluster.unwrap().term), (None, term));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_serves_one_process_of_one_node() {
    let mut cluster = Cluster::start().await;
    let clock = cluster.clock.clone();
    let refused = |options: Options| {
        let clock = clock.clone();
        async move {
            let started = Running::start(options, clock, other_listener().await).await;
            started.err().expect("refused").to_string()
        }
    };
    let second = refused(cluster.options(0)).await;
    assert!(second.contains("in use by another process"), "{second}");
    cluster.any().submit(set("k", "1"), soon()).await.unwrap();
    cluster.stop(0).await;
    let another = refused(Options { node_id: 2, ..cluster.options(0) }).await;
    assert!(another.contains("belongs to node 1 of cluster 'test'"), "{another}");
    let cluster_name = "another".to_owned();
    let foreign = refused(Options { cluster_name, ..cluster.options(0) }).await;
    assert!(foreign.contains("not to node 1 of cluster 'another'"), "{foreign}");
    let folder = cluster.options(0).data_dir;
    assert!(foreign.contains(folder.to_str().unwrap()), "{foreign}");
    // None of these attempts changed anything.
    cluster.restart(0).await;
    assert_eq!(get(&*cluster.store(0), "k").await.as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_refused_with_its_name_and_a_way_out() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("snapshot: SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start_with(small_snapshots).await;
    for n in 0..100 {
        cluster.store(0).submit(mixed(n), soon()).await.unwrap();
    }
    let node = cluster.store(0);
    until("a snapshot", || async { node.health().await.cluster.unwrap().snapshot_index > 40 })
        .await;
    drop(node);
    cluster.stop(0).await;
    let path = newest(&cluster.options(0).data_dir.join("snapshots"));
    let intact = fs::read(&path).unwrap();
    for flip in 0..FLIPS {
        let mut damaged = intact.clone();
        // Flip a bit in the first record, in the last byte, and anywhere else.
        let at = match flip {
            0 => 3,
            1 => intact.len() - 1,
            _ => rng.random_range(0..intact.len()),
        };
        damaged[at] ^= 1 << rng.random_range(0..8);
        fs::write(&path, damaged).unwrap();
        let listener = other_listener().await;
        let started = Running::start(cluster.options(0), cluster.clock.clone(), listener).await;
        let error = started.err().expect("a damaged snapshot").to_string();
        assert!(error.contains(path.to_str().unwrap()), "byte {at}: {error}");
        assert!(error.contains("cluster replace"), "byte {at}: {error}");
        assert_eq!(newest(path.parent().unwrap()), path, "the damaged file is still there");
    }
    fs::write(&path, intact).unwrap();
    cluster.restart(0).await;
    cluster.assert_replicas_equal().await;
}

fn newest(folder: &std::path::Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let snapshots = files.filter(|path| path.extension().is_some_and(|end| end == "snapshot"));
    snapshots.max().expect("a snapshot")
}
