//! A full disk gives one clear error, loses nothing that was acknowledged, and the store
//! continues when there is space again.

use std::path::Path;
use std::process::Command as Program;

use mcp_state_sidecar::store::{Store, StoreError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child::{ARGUMENTS, dress, say, start};
use crate::common::{check_chain, get, open, set, submit};

/// No file may grow beyond this; the soft limit, so that it can be lifted.
const LIMIT_BYTES: u64 = 512 * 1024;

#[tokio::test]
async fn a_full_disk_is_reported_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    // The signal that goes with the limit would end the child.
    let mut shell = Program::new("sh");
    let tool = std::env::current_exe().unwrap();
    shell.arg("-c").arg("trap '' XFSZ; exec \"$0\" \"$@\"").arg(tool).args(ARGUMENTS);
    dress(&mut shell, "fill", &file, "fill");
    let (mut child, said) = start(shell);
    let said: Vec<String> = said.collect();
    assert!(child.succeeds(), "{said:?}");
    let written: u64 = said.last().and_then(|last| last.parse().ok()).expect("a count");
    assert!(written > 10, "{said:?}");
    let store = open(&file);
    check_chain(&store).await;
    for n in 0..written {
        assert!(get(&store, &format!("key-{n}")).await.0.is_some(), "key-{n} is lost");
    }
    assert_eq!(get(&store, &format!("key-{written}")).await.0, None, "refused, but written");
    assert!(get(&store, "after").await.0.is_some());
}

/// The child's part: writes until the disk is full, and once more when it is
/// not. Says how many keys were written before.
pub async fn fill(file: &Path) {
    let store = open(file);
    let limit = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(LIMIT_BYTES), ..limit }).unwrap();
    let value = format!("\"{}\"", "x".repeat(4_000));
    let mut written = 0;
    let fault = loop {
        assert!(written * 4_000 < LIMIT_BYTES * 10, "no fault was reported");
        match submit(&store, set(&format!("key-{written}"), &value)).await {
            Ok(_) => written += 1,
            Err(fault) => break fault,
        }
    };
    assert!(matches!(fault, StoreError::Unavailable(_)), "{fault}");
    assert_eq!(fault.to_string().lines().count(), 1);
    assert_eq!(store.health().await.fault, Some(fault.to_string()));
    setrlimit(Resource::Fsize, limit).unwrap();
    submit(&store, set("after", 1)).await.expect("there is room again");
    assert_eq!(store.health().await.fault, None);
    store.close().await;
    say(written);
}
