//! Four sidecars, in processes of their own, share one SQLite file or one Redis. To their
//! callers they behave like one.

mod race;

use std::path::Path;
use support::redis_server;
use support::sidecar;

use support::redis_server::RedisServer;

/// Processes that share one state.
const SIDECARS: usize = 4;

async fn race_on(test: &str, dir: &Path, settings: &[(&str, &str)]) {
    let sidecars = sidecar::start_all(SIDECARS, dir, settings).await;
    let ports: Vec<u16> = sidecars.iter().map(|sidecar| sidecar.port).collect();
    race::run(test, &ports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_on_one_file_lose_nothing_and_hand_nothing_out_twice() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.db");
    let settings = [("STATE_BACKEND", "sqlite"), ("DB_PATH", &*file.to_string_lossy())];
    race_on("sqlite", dir.path(), &settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_on_one_redis_lose_nothing_and_hand_nothing_out_twice() {
    if !redis_server::is_installed("redis") {
        return;
    }
    let server = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let settings = [("STATE_BACKEND", "redis"), ("REDIS_URL", &*server.url())];
    race_on("redis", dir.path(), &settings).await;
}
