//! Damage on a node's disk: the program does not start, and says in one line which
//! file is damaged and what to do.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::programs::{Plan, refused};

/// Enough writes for a snapshot and a log behind it.
const WRITES: u64 = 250;

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_folder_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let plan = Plan::new("corrupt", dir.path());
    let nodes = plan.start().await;
    for n in 0..WRITES {
        let set = json!({"key": format!("k/{n}"), "value": "v".repeat(200)});
        nodes[0].client.answer("state_set", set).await;
    }
    for node in nodes {
        node.stop();
    }
    let folder = plan.data_dir(0);
    let log = first(&folder.join("log"), "wal");
    let snapshot = first(&folder.join("snapshots"), "snapshot");
    for path in [log, snapshot] {
        let middle = written_bytes(&path) / 2;
        flip(&path, middle);
        let (code, line) = refused(&plan.settings(0), &["serve"]);
        assert_eq!(code, 1, "{line}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(line.contains(name) && line.contains("damaged"), "{line}");
        assert!(line.contains("`cluster replace`"), "the line does not say what to do: {line}");
        // After the bit is flipped back, the folder must work: nothing else changed.
        flip(&path, middle);
    }
    let nodes = plan.start().await;
    let health = nodes[0].client.answer("sidecar_health", json!({})).await;
    assert_eq!(health["revision"], json!(WRITES), "{health}");
}

/// The first file in a folder with this extension.
fn first(folder: &Path, extension: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    files.sort();
    files.into_iter().next().expect("there is one")
}

/// How far a file was written. Segments of the log are longer than that.
fn written_bytes(path: &Path) -> u64 {
    let content = fs::read(path).unwrap();
    content.iter().rposition(|byte| *byte != 0).expect("it was written") as u64 + 1
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}
