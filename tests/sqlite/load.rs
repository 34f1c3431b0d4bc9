//! How many writes a second one process makes. Not a test of a promise: run it
//! by hand, in a release build, with `--ignored --nocapture load`; `CALLERS` says
//! with how many callers, if not with one after another number of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_state_sidecar::store::Store;

use crate::common::{get, open, set, submit};

const LASTS: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn load() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let wanted = std::env::var("CALLERS").ok().map(|wanted| wanted.parse().expect("a number"));
    for callers in wanted.map_or(vec![1, 16, 64, 256], |callers| vec![callers]) {
        for read in [false, true] {
            let store = Arc::new(open(&folder.path().join(format!("{callers}-{read}.db"))));
            let began = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for caller in 0..callers {
                let store = store.clone();
                tasks.spawn(async move {
                    let mut took = Vec::new();
                    let value = format!("\"{}\"", "x".repeat(256));
                    while began.elapsed() < LASTS {
                        let key = format!("key-{caller}-{}", took.len() % 100);
                        let asked = Instant::now();
                        if read {
                            get(&store, &key).await;
                        } else {
                            submit(&store, set(&key, &value)).await.unwrap();
                        }
                        took.push(asked.elapsed());
                    }
                    took
                });
            }
            let mut took: Vec<Duration> = tasks.join_all().await.concat();
            let lasted = began.elapsed().as_secs_f64();
            took.sort();
            println!(
                "{} with {callers} callers: {:.0}/s, p50 {:?}, p99 {:?}",
                if read { "reads" } else { "writes" },
                took.len() as f64 / lasted,
                took[took.len() / 2],
                took[took.len() * 99 / 100],
            );
            store.close().await;
        }
    }
}
