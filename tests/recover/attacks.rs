//! Problems with a survivor's folder, or with the target of recovery: each is refused
//! in one line, or recovered and reported. The folder never changes, and nothing is
//! left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use mcp_state_sidecar::codec;
use mcp_state_sidecar::machine::{self, ClusterMs, Envelope, Json, Rules, WallMs};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::raft::consensus::entry::{Entry, log_id};
use mcp_state_sidecar::store::raft::consensus::types::Proposal;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::{LogStore, ReadOnlyLog};
use openraft::EntryPayload;
use openraft::storage::RaftLogStorageExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::programs::{done, failed, path, refused, setting};
use crate::survivor::{
    SETS, copy, files, log_options, names, set, start, submit, survivor, survivor_of_segments,
};

/// The unit that a disk writes completely or not at all.
const SECTOR_BYTES: usize = 512;

/// How many bits of the archive are flipped, one at a time.
const FLIPS: usize = 12;

/// A folder into which `recover` writes its file.
struct Target {
    dir: TempDir,
}

impl Target {
    fn new() -> Target {
        Target { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    /// Recovers `source`, which must not change, and returns the output.
    fn recovers(&self, source: &Path) -> String {
        let before = files(source);
        let file = self.file();
        let output =
            done(&[], &["recover", "--data-dir", path(source), "--to-sqlite", path(&file)]);
        assert!(files(source) == before, "the folder was changed");
        assert_eq!(names(self.dir.path()), ["state.db".to_owned()].into());
        output
    }

    /// Recovery must be refused in one line, and leave nothing.
    fn refuses(&self, source: &Path) -> (i32, String) {
        let before = files(source);
        let names_before = names(self.dir.path());
        let file = self.file();
        let failure =
            refused(&[], &["recover", "--data-dir", path(source), "--to-sqlite", path(&file)]);
        assert!(files(source) == before, "the folder was changed");
        assert_eq!(names(self.dir.path()), names_before, "something is left");
        failure
    }

    /// Exports the whole file, and has `import` check the chain.
    fn check_complete(&self) -> String {
        let export = self.dir.path().join("state.jsonl");
        done(&[setting("DB_PATH", self.file().display())], &["export", path(&export)]);
        done(&[], &["import", "--dry-run", path(&export)])
    }
}

fn snapshot(dir: &Path) -> PathBuf {
    let mut found = fs::read_dir(dir.join("snapshots")).unwrap();
    found.next().expect("a snapshot").unwrap().path()
}

fn flip(file: &Path, at: usize) {
    let mut content = fs::read(file).unwrap();
    content[at] ^= 1 << (at % 8);
    fs::write(file, content).unwrap();
}

/// Appends an entry that was never committed.
async fn append(dir: &Path, payload: Vec<u8>) -> u64 {
    let last =
        ReadOnlyLog::read(&Environment::system().disk, &dir.join("log")).unwrap().last().unwrap();
    let mut store =
        LogStore::open(&Environment::system(), &dir.join("log"), log_options()).unwrap();
    let payload = EntryPayload::Normal(Proposal(Bytes::from(payload)));
    let id = log_id(last.leader_id.term, last.index + 1);
    store.blocking_append([Entry { log_id: id, payload }]).await.unwrap();
    store.close().await.unwrap();
    id.index
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = start(dir.path()).await;
    submit(&*store, set("k", 1)).await;
    let target = Target::new();
    let file = target.file();
    let args = ["recover", "--data-dir", path(dir.path()), "--to-sqlite", path(&file)];
    let (code, line) = refused(&[], &args);
    assert!(code == 1 && line.contains("in use by another process"), "{line}");
    assert!(names(target.dir.path()).is_empty());
    submit(&*store, set("k", 2)).await;
    store.close().await;
    drop(store);
    assert!(target.recovers(dir.path()).contains("state: revision 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_not_known_to_be_committed_are_recovered_and_reported() {
    let dir = survivor().await;
    let envelope = Envelope {
        origin: None,
        idempotency: None,
        actor: None,
        random: 1,
        wall: WallMs(1),
        clock: ClusterMs(1),
        limits: Default::default(),
        rules: Rules::Attempts,
        command: set("doubtful", 1),
    };
    let index = append(dir.path(), codec::encode_envelope(&envelope).to_vec()).await;
    let target = Target::new();
    let output = target.recovers(dir.path());
    assert!(output.contains(&format!("reached: index {index}, term ")), "{output}");
    assert!(output.contains(&format!("this node knew: index {}", index - 1)), "{output}");
    assert!(output.contains("not known to be committed: 1"), "{output}");
    assert!(output.contains(&format!("state: revision {},", SETS + 1)), "{output}");
    assert!(target.check_complete().contains(&format!("revision {},", SETS + 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_decoded_is_refused() {
    let dir = survivor().await;
    let index = append(dir.path(), vec![0xff; 10]).await;
    let (code, line) = Target::new().refuses(dir.path());
    assert!(code == 1 && line.contains(&format!("log entry 1.{index}: ")), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_last_record_is_skipped_without_changing_the_log() {
    let dir = survivor().await;
    let before = files(&dir.path().join("log"));
    append(dir.path(), vec![7; 5_000]).await;
    let after = files(&dir.path().join("log"));
    let (name, new) = after.iter().find(|(name, new)| before[*name] != **new).unwrap();
    let changed: Vec<usize> = (0..new.len() / SECTOR_BYTES)
        .map(|n| n * SECTOR_BYTES)
        .filter(|at| before[name][*at..][..SECTOR_BYTES] != new[*at..][..SECTOR_BYTES])
        .collect();
    let mut torn = new.clone();
    torn[changed[changed.len() / 2]..][..SECTOR_BYTES].fill(0);
    fs::write(dir.path().join("log").join(name), torn).unwrap();
    let target = Target::new();
    let output = target.recovers(dir.path());
    assert!(output.contains("ended in an incomplete record"), "{output}");
    assert!(output.contains(&format!("state: revision {SETS},")), "{output}");
    target.check_complete();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_what_was_acknowledged_is_refused() {
    let dir = survivor().await;
    let length = fs::metadata(snapshot(dir.path())).unwrap().len() as usize;
    for at in (0..length).step_by(length / 8) {
        let damaged = copy(dir.path());
        flip(&snapshot(damaged.path()), at);
        let (code, line) = Target::new().refuses(damaged.path());
        assert!(code == 1 && line.contains("snapshot"), "byte {at}: {line}");
    }
    let log = dir.path().join("log");
    let segment = names(&log).into_iter().next().unwrap();
    for at in [SECTOR_BYTES + 100, SECTOR_BYTES + 2_000, SECTOR_BYTES + 6_000] {
        let damaged = copy(dir.path());
        flip(&damaged.path().join("log").join(&segment), at);
        let (code, line) = Target::new().refuses(damaged.path());
        assert!(code == 1 && line.contains("log is damaged"), "byte {at}: {line}");
    }
    let dir = survivor_of_segments().await;
    let segments = names(&dir.path().join("log"));
    assert!(segments.len() > 3, "{segments:?}");
    for segment in segments.iter().take(segments.len() - 2) {
        let damaged = copy(dir.path());
        fs::remove_file(damaged.path().join("log").join(segment)).unwrap();
        let (code, line) = Target::new().refuses(damaged.path());
        assert!(code == 1 && line.contains("is missing"), "{segment}: {line}");
    }
    let gone = copy(dir.path());
    fs::remove_file(snapshot(gone.path())).unwrap();
    let (_, line) = Target::new().refuses(gone.path());
    assert!(line.contains("does not continue the snapshot"), "{line}");
    let gone = copy(dir.path());
    fs::remove_dir_all(gone.path().join("log")).unwrap();
    fs::create_dir(gone.path().join("log")).unwrap();
    let (_, line) = Target::new().refuses(gone.path());
    assert!(line.contains("is missing"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_no_node_of_this_version_made_is_refused() {
    let dir = survivor().await;
    let node = fs::read_to_string(dir.path().join("node.toml")).unwrap();
    fs::write(dir.path().join("node.toml"), node.replace("format = 1", "format = 2")).unwrap();
    let (_, line) = Target::new().refuses(dir.path());
    assert!(line.contains("format 2, this version knows 1 at most"), "{line}");
    let empty = tempfile::tempdir().unwrap();
    let (_, line) = Target::new().refuses(empty.path());
    assert!(line.contains("no node has run here"), "{line}");
    let target = Target::new();
    let file = target.file();
    let (_, line) =
        refused(&[], &["recover", "--data-dir", "/nowhere", "--to-sqlite", path(&file)]);
    assert!(line.contains("/nowhere"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_file_is_not_overwritten() {
    let dir = survivor().await;
    let target = Target::new();
    fs::write(target.file(), "mine").unwrap();
    let (code, line) = target.refuses(dir.path());
    assert!(code == 2 && line.contains("exists already"), "{line}");
    assert_eq!(fs::read(target.file()).unwrap(), b"mine");
    fs::remove_file(target.file()).unwrap();
    // A recovery that was killed, or that is running, leaves this folder.
    fs::create_dir(target.dir.path().join("state.db.recovering")).unwrap();
    let (code, line) = target.refuses(dir.path());
    assert!(code == 1 && line.contains("state.db.recovering"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_cannot_be_put_into_the_survivors_folder() {
    let dir = survivor().await;
    let before = files(dir.path());
    for folder in ["", "snapshots", "log/..", "new/folders"] {
        let file = dir.path().join(folder).join("state.db");
        let args = ["recover", "--data-dir", path(dir.path()), "--to-sqlite", path(&file)];
        let (code, line) = refused(&[], &args);
        assert!(code == 2 && line.contains("is in the data directory"), "{line}");
    }
    assert!(files(dir.path()) == before, "the folder was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_history_is_reported() {
    let dir = survivor().await;
    fs::remove_dir_all(dir.path().join("archive")).unwrap();
    let target = Target::new();
    let output = target.recovers(dir.path());
    let first = output.split("history: from event ").nth(1).and_then(|rest| rest.split(' ').next());
    let first: u64 = first.expect("where it begins").parse().unwrap();
    assert!(1 < first && first < SETS, "{output}");
    assert!(
        output.contains(&format!("{} older events are not on this node", first - 1)),
        "{output}"
    );
    let whole = target.check_complete();
    assert!(whole.contains(&format!("{} events", SETS - first + 1)), "{whole}");
    assert!(whole.contains(&format!("revision {SETS},")), "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_costs_only_history() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = survivor().await;
    let used = {
        let content = fs::read(dir.path().join("archive/db")).unwrap();
        content.iter().rposition(|byte| *byte != 0).unwrap()
    };
    for _ in 0..FLIPS {
        let damaged = copy(dir.path());
        let at = rng.random_range(0..used);
        flip(&damaged.path().join("archive/db"), at);
        let target = Target::new();
        let output = target.recovers(damaged.path());
        assert!(output.contains(&format!("state: revision {SETS},")), "byte {at}: {output}");
        let whole = target.check_complete();
        assert!(whole.contains(&format!("revision {SETS},")), "byte {at}: {whole}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_nothing() {
    let dir = survivor().await;
    // Without a snapshot no archive is copied, so SQLite hits the limit.
    let large = tempfile::tempdir().unwrap();
    let store = start(large.path()).await;
    for n in 0..20 {
        let mut command = set(&format!("key/{n}"), n);
        if let machine::Command::Set(set) = &mut command {
            set.value = Json::new(format!("\"{}\"", "x".repeat(100_000)));
        }
        submit(&*store, command).await;
    }
    store.close().await;
    drop(store);
    let (archive, sqlite) = ("the archive cannot be copied", "the disk failed");
    for (dir, blocks, why) in [(&dir, 8, archive), (&dir, 100, archive), (&large, 2_000, sqlite)] {
        let target = Target::new();
        let program = env!("CARGO_BIN_EXE_mcp-state-sidecar");
        // Without the trap, the signal for the limit would kill the process.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let file = target.file();
        let args = ["recover", "--data-dir", path(dir.path()), "--to-sqlite", path(&file)];
        let output = Command::new("sh").args(["-c", &script, program]).args(args).output().unwrap();
        let (code, line) = failed(&args, &output);
        println!("{blocks}: {line}");
        assert!(code == 1 && line.contains(why), "{line}");
        assert!(names(target.dir.path()).is_empty(), "{:?}", names(target.dir.path()));
    }
}
