//! A damaged log refuses to open and says where; it is never shorter or other
//! than it was, and never a panic.

use std::path::{Path, PathBuf};

use mcp_state_sidecar::store::raft::consensus::entry::Vote;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::{LogError, LogStore, Options};
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::files::{Files, entry, folder, open_files, read, small_log, tiny_options, used_bytes};
use support::log_model::Model;
use support::seed;

/// Segments that are flipped through, the spare one included.
const SEGMENTS_MIN: usize = 4;

/// Flips in bytes never written, out of many thousands.
const BLANK_FLIPS: usize = 300;

/// Refused with file and way out, or just what it was; whether it was refused.
async fn refused_or_same(files: &Files, model: &Model, what: &str) -> bool {
    match open_files(files).await {
        Ok(found) => {
            assert_eq!(found, *model, "{what}: the log opened with other content");
            false
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(".wal"), "{what}: the error names no file: {text}");
            if !matches!(error, LogError::Format { .. }) {
                assert!(text.contains("cluster replace"), "{what}: no way out: {text}");
            }
            true
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_refused_wherever_something_was_written() {
    let seed = seed("flips");
    let mut rng = StdRng::seed_from_u64(seed);
    // A load that ends with a purge may leave few segments: take the next one.
    let mut load = seed;
    let (files, model) = loop {
        let (files, model) = small_log(load, 25).await;
        if files.len() >= SEGMENTS_MIN {
            break (files, model);
        }
        load = load.wrapping_add(1);
    };
    let segments: Vec<&PathBuf> = files.keys().collect();
    let (mut flips, mut blank_refused) = (0, 0);
    for (n, (name, content)) in files.iter().enumerate() {
        // The last is the spare: but for its header it was never written.
        let in_use = n + 1 < files.len();
        for at in 0..used_bytes(content) {
            let bit = rng.random_range(0..8);
            let what = at_byte(name, at);
            let refused = refused_or_same(&flip(&files, name, at, bit), &model, &what).await;
            assert_eq!(refused, in_use, "{what} bit {bit}");
            flips += 1;
        }
    }
    for _ in 0..BLANK_FLIPS {
        let name = segments[rng.random_range(0..segments.len())];
        let used = used_bytes(&files[name]);
        if used == files[name].len() {
            continue;
        }
        let at = rng.random_range(used..files[name].len());
        let damaged = flip(&files, name, at, rng.random_range(0..8));
        let refused = refused_or_same(&damaged, &model, &at_byte(name, at)).await;
        blank_refused += usize::from(refused);
    }
    eprintln!(
        "{flips} flips refused but in the spare, {blank_refused} of {BLANK_FLIPS} blank ones"
    );
}

#[tokio::test]
async fn every_bit_of_the_last_record_matters() {
    let seed = seed("last record");
    let (files, model) = small_log(seed, 25).await;
    let (name, content) = files.iter().rev().nth(1).unwrap();
    let used = used_bytes(content);
    for at in used.saturating_sub(200).max(512)..used {
        for bit in 0..8 {
            let what = at_byte(name, at);
            let refused = refused_or_same(&flip(&files, name, at, bit), &model, &what).await;
            assert!(refused, "{what} bit {bit}: a damaged record was accepted");
        }
    }
}

#[tokio::test]
async fn a_missing_segment_is_refused() {
    let (files, model) = small_log(seed("missing"), 25).await;
    for (n, name) in files.keys().enumerate() {
        let mut fewer = files.clone();
        fewer.remove(name);
        let refused = refused_or_same(&fewer, &model, &format!("without {name:?}")).await;
        assert_eq!(refused, n + 1 < files.len(), "without {name:?}");
    }
    for count in 1..files.len() - 1 {
        let fewer: Files = files.clone().into_iter().take(count).collect();
        assert!(refused_or_same(&fewer, &model, &format!("the first {count}")).await);
        let fewer: Files = files.clone().into_iter().skip(count).collect();
        assert!(refused_or_same(&fewer, &model, &format!("without the first {count}")).await);
    }
}

/// Even one whose entries are all gone, as long as the log says it is there.
#[tokio::test]
async fn a_missing_segment_of_votes_is_refused() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    for term in 1..=200 {
        store.save_vote(&Vote::new(term, 1)).await.unwrap();
    }
    let model = Model::observe(&mut store).await;
    store.close().await.unwrap();
    let files = read(dir.path());
    for name in files.keys().take(files.len() - 1) {
        let mut fewer = files.clone();
        fewer.remove(name);
        assert!(refused_or_same(&fewer, &model, &format!("without {name:?}")).await);
    }
}

#[tokio::test]
async fn a_segment_in_another_ones_place_is_refused() {
    let (files, model) = twin(1).await;
    let (other, _) = twin(2).await;
    let names: Vec<&PathBuf> = files.keys().collect();
    assert!(names.len() > 4, "the log has several segments: {names:?}");
    for pair in names.windows(2) {
        let mut doubled = files.clone();
        doubled.insert(pair[0].clone(), files[pair[1]].clone());
        assert!(refused_or_same(&doubled, &model, &format!("{pair:?} doubled")).await);
    }
    for name in &names[..names.len() - 1] {
        let mut mixed = files.clone();
        mixed.insert((*name).clone(), other[*name].clone());
        assert!(refused_or_same(&mixed, &model, &format!("{name:?} of another log")).await);
    }
}

/// Logs that differ in nothing but the bytes of their entries.
async fn twin(byte: u8) -> (Files, Model) {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    for index in 1..=30 {
        store.blocking_append([entry(index, vec![byte; 600])]).await.unwrap();
    }
    let model = Model::observe(&mut store).await;
    store.close().await.unwrap();
    (read(dir.path()), model)
}

#[tokio::test]
async fn a_cut_or_zeroed_file_is_refused() {
    let (files, model) = small_log(seed("zeroed"), 25).await;
    let used: Vec<&PathBuf> = files.keys().take(files.len() - 1).collect();
    for name in &used {
        for bytes in [0, 100, 512, 4000] {
            let mut cut = files.clone();
            cut.get_mut(*name).unwrap().truncate(bytes);
            assert!(refused_or_same(&cut, &model, &format!("{name:?} cut at {bytes}")).await);
        }
    }
    // Zeros at the very end look like a record that was never acknowledged.
    for name in &used[..used.len() - 1] {
        for sector in 0..used_bytes(&files[*name]).div_ceil(512) {
            let mut zeroed = files.clone();
            zeroed.get_mut(*name).unwrap()[sector * 512..][..512].fill(0);
            assert!(refused_or_same(&zeroed, &model, &at_byte(name, sector * 512)).await);
        }
    }
}

#[tokio::test]
async fn an_emptied_folder_is_refused_where_a_log_must_be() {
    let dir = folder();
    let options = Options { must_exist: true, ..tiny_options() };
    let error = LogStore::open(&Environment::system(), dir.path(), options.clone()).unwrap_err();
    assert!(matches!(error, LogError::Missing { .. }), "{error}");
    LogStore::open(&Environment::system(), dir.path(), tiny_options())
        .unwrap()
        .close()
        .await
        .unwrap();
    LogStore::open(&Environment::system(), dir.path(), options).unwrap().close().await.unwrap();
}

/// A whole record of zeros must not look like one that never arrived.
#[tokio::test]
async fn a_flipped_bit_among_zeros_is_refused() {
    let dir = folder();
    let mut store = LogStore::open(&Environment::system(), dir.path(), tiny_options()).unwrap();
    store.blocking_append([entry(1, vec![0; 1600])]).await.unwrap();
    let model = Model::observe(&mut store).await;
    store.close().await.unwrap();
    let files = read(dir.path());
    let (name, content) = files.first_key_value().unwrap();
    for at in 512..used_bytes(content) {
        let what = at_byte(name, at);
        let refused = refused_or_same(&flip(&files, name, at, at as u32 % 8), &model, &what).await;
        assert!(refused, "{what}: a damaged record was accepted");
    }
}

fn flip(files: &Files, name: &Path, at: usize, bit: u32) -> Files {
    let mut flipped = files.clone();
    flipped.get_mut(name).unwrap()[at] ^= 1 << bit;
    flipped
}

fn at_byte(name: &Path, at: usize) -> String {
    format!("{} at byte {at}", name.display())
}
