//! A process that is killed under load has lost nothing that it acknowledged.

use std::collections::BTreeMap;

use mcp_state_sidecar::store::Store;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::child::{program, start};
use crate::common::{check_chain, get, open, seed};

const KILLS: usize = 10;

/// Each round two processes write to one file; one of them is killed after a
/// drawn number of acknowledgements, the other a drawn number later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let mut random = StdRng::seed_from_u64(seed("kill_9"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..KILLS {
        let names = [format!("r{round}a"), format!("r{round}b")];
        let mut children = names.map(|name| start(program("load", &file, &name)));
        for (child, said) in &mut children {
            let moment = random.random_range(1..400);
            let mut heard: Vec<String> = said.by_ref().take(moment).collect();
            child.kill();
            // What it said before it died is still in the pipe.
            heard.extend(said);
            // A last line may be cut; a whole one has a key and a number.
            for line in heard {
                let (key, n) = line.split_once(' ').expect("a key and a number");
                if let Ok(n) = n.parse() {
                    acknowledged.insert(key.to_owned(), n);
                }
            }
        }
        let store = open(&file);
        check_chain(&store).await;
        for (key, &n) in &acknowledged {
            let (value, _) = get(&store, key).await;
            let value: u64 = value.unwrap_or_else(|| panic!("{key} is lost")).parse().unwrap();
            // Only a writer's newest is written again, and only upwards.
            assert!(value >= n, "{key} fell from {n} to {value}");
        }
        store.close().await;
    }
    assert!(acknowledged.len() > KILLS, "there was no load");
}
