//! A record that power loss cut is dropped, whichever of its sectors arrived;
//! what came before it stays, and the log goes on.

use std::fs;

use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::LogStore;
use openraft::storage::RaftLogStorageExt;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::files::{Files, entry, folder, open, open_files, read, tiny_options};
use support::log_model::Model;
use support::seed;

const SECTOR_BYTES: usize = 512;
/// Records torn, each in every way there is.
const RECORDS: usize = 60;

/// A log before and after its last record.
struct Pair {
    before: (Files, Model),
    after: (Files, Model),
}

/// Writes a first record that sets where the last begins, and the last one.
async fn written(first_bytes: usize, last: Vec<u8>) -> Pair {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    store.blocking_append([entry(1, vec![7; first_bytes])]).await.unwrap();
    let before = (read(dir.path()), Model::observe(&mut store).await);
    store.blocking_append([entry(2, last)]).await.unwrap();
    let after = (read(dir.path()), Model::observe(&mut store).await);
    store.close().await.unwrap();
    Pair { before, after }
}

#[tokio::test]
async fn any_part_of_a_torn_record_is_dropped() {
    let mut rng = StdRng::seed_from_u64(seed("torn"));
    let (mut torn, mut straddled) = (0, 0);
    for n in 0..RECORDS {
        let mut payload = vec![0; rng.random_range(0..1700)];
        if n % 3 > 0 {
            rng.fill_bytes(&mut payload);
        }
        let pair = written(n * 8, payload).await;
        let name = pair.after.0.keys().next().unwrap().clone();
        let (old, new) = (&pair.before.0[&name], &pair.after.0[&name]);
        let changed: Vec<usize> = (0..new.len() / SECTOR_BYTES)
            .filter(|n| {
                old[n * SECTOR_BYTES..][..SECTOR_BYTES] != new[n * SECTOR_BYTES..][..SECTOR_BYTES]
            })
            .collect();
        straddled += usize::from(changed.len() > 1);
        for kept in 0..1_u32 << changed.len() {
            let mut content = old.clone();
            for (bit, n) in changed.iter().enumerate().filter(|(bit, _)| kept & 1 << bit != 0) {
                let _ = bit;
                content[n * SECTOR_BYTES..][..SECTOR_BYTES]
                    .copy_from_slice(&new[n * SECTOR_BYTES..][..SECTOR_BYTES]);
            }
            let whole = content == *new;
            let mut files = pair.before.0.clone();
            files.insert(name.clone(), content);
            let found = open_files(&files).await.unwrap_or_else(|error| {
                panic!("record {n} with sectors {kept:b} of {changed:?}: {error}")
            });
            let expected = if whole { &pair.after.1 } else { &pair.before.1 };
            assert_eq!(found, *expected, "record {n} with sectors {kept:b} of {changed:?}");
            torn += usize::from(!whole);
        }
    }
    assert!(straddled > 0, "no record crossed a sector");
    eprintln!("{torn} torn records dropped");
}

#[tokio::test]
async fn a_log_goes_on_where_a_torn_record_was() {
    let pair = written(100, vec![1; 900]).await;
    let name = pair.after.0.keys().next().unwrap();
    let mut content = pair.after.0[name].clone();
    content[1024..1536].fill(0);
    let dir = folder();
    fs::write(dir.path().join(name), &content).unwrap();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    assert_eq!(Model::observe(&mut store).await, pair.before.1);
    store.blocking_append([entry(2, vec![2; 50])]).await.unwrap();
    let went_on = Model::observe(&mut store).await;
    store.close().await.unwrap();
    assert_eq!(open(dir.path()).await.unwrap(), went_on);
}

/// The same sector, but a later record follows: nothing here was unsynced.
#[tokio::test]
async fn a_hole_before_a_valid_record_is_refused() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    for index in 1..=3 {
        store.blocking_append([entry(index, vec![1; 600])]).await.unwrap();
    }
    store.close().await.unwrap();
    let files = read(dir.path());
    let name = files.keys().next().unwrap();
    for sector in 1..4 {
        let mut holed = files.clone();
        holed.get_mut(name).unwrap()[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0);
        let error = open_files(&holed).await.unwrap_err().to_string();
        assert!(error.contains("is damaged"), "sector {sector}: {error}");
    }
}
