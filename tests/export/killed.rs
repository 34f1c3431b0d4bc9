//! An import killed at any moment: the target is as it was, or has it all.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::program::PROGRAM;
use crate::state::*;

const KILLS: usize = 8;

/// More than SQLite keeps in memory: part of the import is in the log beside
/// the file before it is committed.
async fn large() -> Vec<u8> {
    let memory = Memory::new();
    let value = format!("\"{}\"", "x".repeat(512 * 1024));
    for number in 0..40 {
        submit(&memory.store, set(&format!("large/{number}"), &value)).await;
    }
    export(&memory.store).await
}

/// Feeds an import and kills it once it has taken about so many bytes.
fn kill_after(file: &Path, input: &[u8], bytes: usize, args: &[&str]) {
    let mut import = Command::new(&*PROGRAM)
        .env_clear()
        .env("DB_PATH", file)
        .args(["import", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = import.stdin.take().unwrap();
    // Returns when all but a pipe's worth has been taken.
    stdin.write_all(&input[..bytes]).unwrap();
    import.kill().unwrap();
    import.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_leaves_all_or_nothing() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("kill_9_leaves_all_or_nothing: SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let large = large().await;
    let after = essence(&large);
    let folder = tempfile::tempdir().unwrap();
    let (empty, full) = (folder.path().join("empty.db"), folder.path().join("full.db"));
    open(&empty);
    import(&full, &export(&Memory::filled().await.store).await, false).await.unwrap();
    for (file, args) in [(&empty, &[][..]), (&full, &["--replace"])] {
        let before = essence(&export_of(file).await);
        for round in 0..KILLS {
            // The last time it has everything, and may be anywhere in its end.
            let whole = round == KILLS - 1;
            let bytes = if whole { large.len() } else { random.random_range(0..large.len()) };
            kill_after(file, &large, bytes, args);
            let found = essence(&export_of(file).await);
            assert!(found == before || (whole && found == after), "after {bytes} bytes");
        }
    }
}

/// Exports that are told to stop while they write.
const STOPS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_interrupted_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.db");
    import(&state, &large().await, false).await.unwrap();
    let out = tempfile::tempdir().unwrap();
    let names = || std::fs::read_dir(out.path()).unwrap().count();
    let mut interrupted = 0;
    for round in 0..STOPS {
        let mut export = Command::new(&*PROGRAM)
            .env_clear()
            .env("DB_PATH", &state)
            .arg("export")
            .arg(out.path().join(format!("{round}.zst")))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = names();
        while names() == before && export.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let signal = [rustix::process::Signal::TERM, rustix::process::Signal::INT][round % 2];
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&export), signal);
        match export.wait().unwrap().code() {
            Some(0) => assert_eq!(names(), before + 1, "whole, but not there"),
            code => {
                assert_eq!(code, Some(1), "it did not end by itself");
                assert_eq!(names(), before, "it left something");
                interrupted += 1;
            }
        }
    }
    assert!(interrupted > 0, "none was interrupted in time");
}
