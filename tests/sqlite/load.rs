//! How many writes per second one process achieves. This measures and asserts nothing:
//! run it in a release build with `--ignored --nocapture load`. `CALLERS` sets the number
//! of callers; without it, several numbers are tried one after another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_state_sidecar::store::Store;

use crate::common::{create, get, open, set, submit};

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

/// How long the others wait while a state of 100,000 keys and 20,000 runs is
/// reset, and afterwards while it is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn reset() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = folder.path().join("state.db");
    let store = Arc::new(open(&file));
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..400 {
        let store = store.clone();
        tasks.spawn(async move {
            for n in 0..250 {
                let value = format!("\"{}\"", "x".repeat(256));
                submit(&store, set(&format!("key-{caller}-{n}"), &value)).await.unwrap();
                if n % 5 == 0 {
                    submit(&store, create("run")).await.unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    println!("{} MB", std::fs::metadata(&file).unwrap().len() / 1_000_000);
    let writes = async |until: Instant| {
        let mut took = Vec::new();
        while Instant::now() < until {
            let asked = Instant::now();
            submit(&store, set("another", 1)).await.unwrap();
            took.push(asked.elapsed());
        }
        took.sort();
        (took.len(), took[took.len() / 2], took[took.len() * 99 / 100], took[took.len() - 1])
    };
    println!("before: {:?}", writes(Instant::now() + LASTS).await);
    let reset = async {
        let asked = Instant::now();
        submit(&store, mcp_state_sidecar::machine::Command::Reset).await.unwrap();
        asked.elapsed()
    };
    let (reset, beside) = tokio::join!(reset, writes(Instant::now() + LASTS));
    println!("reset: {reset:?}, beside and after it: {beside:?}");
    println!("later: {:?}", writes(Instant::now() + LASTS).await);
    let left = rusqlite::Connection::open(&file).unwrap();
    let sql = "SELECT COUNT(*) FROM sqlite_schema WHERE name GLOB 'gone_*'";
    let tables: u64 = left.query_row(sql, [], |row| row.get(0)).unwrap();
    println!("tables left: {tables}");
    store.close().await;
}
